"""A host's last hour as small charts on its page: drawn here, so they need no script. Also the panel to learn from."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from markupsafe import Markup

from roci import Roci, hookimpl, now

from ...agent.sample import Sample
from ...work.metrics import Metrics
from ..language import N_, _
from ..shell import Panel

WIDTH, HEIGHT, POINTS = 300, 60, 60
SPARK = 20  # pixels: the height of a line among words


def line(values: Sequence[float | None], width: int, height: int) -> str:
    """The path of percentages, evenly spaced. Where nothing is known there is no line."""
    step, drawn, is_on = width / max(len(values) - 1, 1), [], False
    for at, value in enumerate(values):
        if value is not None:
            drawn.append(f"{'L' if is_on else 'M'}{at * step:.0f} {height - min(value, 100) / 100 * height:.0f}")
        is_on = value is not None
    return "".join(drawn)


def _said(label: str, known: Sequence[float]) -> str:
    return _("%(what)s in the last hour: at most %(most)s %%", what=label, most=round(max(known)))


def spark(label: str, values: Sequence[float | None]) -> Markup:
    """A small line among words; nothing where nothing is known."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    said = _said(label, known)
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" role="img" aria-label="{said}" preserveAspectRatio="none">'
        '<path d="{path}"/></svg>'
    ).format(w=len(values) * 2, h=SPARK, said=said, path=line(values, len(values) * 2, SPARK))


def chart(label: str, values: Sequence[float | None]) -> Markup:
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    said = _said(label, known)
    return Markup(
        '<figure class="chart"><svg viewBox="0 0 {w} {h}" role="img" aria-label="{said}" preserveAspectRatio="none">'
        '<path d="{path}"/></svg><figcaption>{said}</figcaption></figure>'
    ).format(w=WIDTH, h=HEIGHT, said=said, path=line(values, WIDTH, HEIGHT))


async def last_hour(roci: Roci, host_id: str) -> str | None:
    """CPU and memory; None for a host that tells neither."""
    until = now()
    found: list[Sample] = await roci.part(Metrics).history(
        host_id, until - datetime.timedelta(hours=1), until, limit=POINTS
    )
    charts = chart(_("CPU"), [each.cpu_percent for each in found]) + chart(
        _("Memory"), [each.memory_percent for each in found]
    )
    return charts or None


@hookimpl
def register_panels(roci: Roci) -> list[Panel]:
    return [Panel("last hour", N_("The last hour"), "host", last_hour, "metrics.read")]
