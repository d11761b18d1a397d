"""QR codes as inline SVG: no picture is fetched from anywhere. The library is loaded at the first use."""

from __future__ import annotations

from markupsafe import Markup


def as_svg(text: str) -> Markup:
    """Dark on light whatever the page's colours, for cameras; with the border that they need."""
    import segno

    svg = segno.make(text, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff", title="QR code")
    return Markup(svg)  # noqa: S704  made here, of nothing but squares
