"""A host's last hour as small charts on its page: drawn here, so they need no script. Also the panel to learn from."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from markupsafe import Markup

from roci import Roci, hookimpl, now

from ...agent.sample import Sample
from ...work.metrics import Metrics
from ..shell import Panel

WIDTH, HEIGHT, POINTS = 300, 60, 60


def line(values: Sequence[float | None]) -> str:
    """The points of a polyline for percentages, evenly spaced. Where nothing is known there is no point."""
    step = WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{at * step:.1f},{HEIGHT - value / 100 * HEIGHT:.1f}" for at, value in enumerate(values) if value is not None
    )


def chart(label: str, values: Sequence[float | None]) -> Markup:
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    said = f"{label}: {known[-1]:.0f} % now, at most {max(known):.0f} % in the last hour"
    return Markup(
        '<figure class="chart"><svg viewBox="0 0 {w} {h}" role="img" aria-label="{said}" preserveAspectRatio="none">'
        '<polyline points="{points}"/></svg><figcaption>{said}</figcaption></figure>'
    ).format(w=WIDTH, h=HEIGHT, said=said, points=line(values))


async def last_hour(roci: Roci, host_id: str) -> str | None:
    """CPU and memory; None for a host that tells neither."""
    until = now()
    found: list[Sample] = await roci.part(Metrics).history(
        host_id, until - datetime.timedelta(hours=1), until, limit=POINTS
    )
    charts = chart("CPU", [each.cpu_percent for each in found]) + chart(
        "Memory", [each.memory_percent for each in found]
    )
    return charts or None


@hookimpl
def register_panels(roci: Roci) -> list[Panel]:
    return [Panel("last hour", "The last hour", "host", last_hour, "metrics.read")]
