"""What a rule would have raised in the last day, by the metrics that are kept: for who is about to set one."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from roci import Roci, now

from ...agent.sample import Sample
from ...domain.alerts import Threshold
from ..metrics import Metrics
from .rules import Rule, value_of

LOOKED_AT = datetime.timedelta(days=1)
POINTS = 2000  # of a day: one for each 43 seconds, at most


@dataclass
class Episode:
    """One alert as it would have been. `end` None: it would still be open."""

    begin: datetime.datetime
    severity: str
    worst: float
    end: datetime.datetime | None = None


async def last_day(roci: Roci, row: Threshold) -> list[Episode] | None:
    """Oldest first; what was shorter than a point of the history is not seen. None: nothing is known of that metric.

    The row need not be stored.
    """
    until = now()
    samples = await roci.part(Metrics).history(row.host_id, until - LOOKED_AT, until, limit=POINTS)
    return episodes(row, samples)


def episodes(row: Threshold, samples: Iterable[Sample]) -> list[Episode] | None:
    """What a rule makes of samples, as it would have live. Pure."""
    rule, found, before, is_known = Rule(row), list[Episode](), None, False
    for sample in samples:
        value, before = value_of(rule.metric, sample, before), sample
        if value is None:
            continue
        is_known = True
        at = datetime.datetime.fromisoformat(sample.timestamp)
        _judge(rule, found, at, value)
    return found if is_known else None


def _judge(rule: Rule, found: list[Episode], at: datetime.datetime, value: float) -> None:
    latest = found[-1] if found and found[-1].end is None else None
    if not rule.is_violated(value, latest is not None):
        rule.since = None
        if latest:
            latest.end = at
    elif latest:
        latest.worst = (max if rule.above else min)(latest.worst, value)
        latest.severity = rule.severity(latest.worst)
    else:
        rule.since = at.timestamp() if rule.since is None else rule.since
        if at.timestamp() - rule.since >= rule.for_seconds:
            found.append(Episode(at, rule.severity(value), value))
