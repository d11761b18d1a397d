"""What a threshold makes of a value. Pure: nothing here knows who asks."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from ...agent.sample import Sample
from ...domain.alerts import Threshold

SHORTEST = 0.1  # seconds between two samples that say something of a speed
CRITICAL = {"gt": 1.5, "lt": 0.5}  # of the limit: what lies beyond is critical


class Key(NamedTuple):
    """What there is one open alert of, at most."""

    host_id: str
    type: str
    subject: str = ""
    threshold_id: str | None = None


class Rule:
    """An enabled threshold, ready to be asked with every sample; and since when it has been violated."""

    __slots__ = ("above", "as_of", "for_seconds", "hysteresis", "id", "key", "limit", "metric", "since")

    def __init__(self, row: Threshold) -> None:
        self.id, self.metric, self.limit = row.id, row.metric_type, row.threshold_value
        self.above = row.comparison == "gt"
        self.for_seconds, self.hysteresis, self.as_of = row.for_seconds, row.hysteresis, row.updated_at
        self.key = Key(row.host_id, row.metric_type, "", row.id)
        self.since: float | None = None

    def is_violated(self, value: float, is_open: bool) -> bool:
        """An alert that is open ends only when the value is back by the hysteresis."""
        slack = self.hysteresis if is_open else 0.0
        return value > self.limit - slack if self.above else value < self.limit + slack

    def severity(self, value: float) -> str:
        beyond = value > CRITICAL["gt"] * self.limit if self.above else value < CRITICAL["lt"] * self.limit
        return "critical" if beyond else "warning"

    def message(self, hostname: str, value: float) -> str:
        if self.metric == "service":
            return f"{hostname} is {'offline' if value else 'online'} (service {value:.1f} {self._limit})"
        return f"{self.metric} on {hostname} is {value:.1f} (threshold: {self._limit})"

    @property
    def _limit(self) -> str:
        number = f"{self.limit:.4f}".rstrip("0").rstrip(".")
        return f"{'gt' if self.above else 'lt'} {number}"


def value_of(metric: str, sample: Sample, before: Sample | None) -> float | None:
    """What a sample says of a metric. None: nothing."""
    match metric:
        case "cpu":
            return sample.cpu_percent
        case "memory":
            return sample.memory_percent
        case "disk":
            return max((disk.percent for disk in sample.disk_usage if disk.percent is not None), default=None)
        case "network":
            return throughput(sample, before) if before else None
    return None


def throughput(sample: Sample, before: Sample) -> float | None:
    """Bytes a second, in and out, of the interfaces that both samples have. None: a counter began anew."""
    seconds = (_time(sample) - _time(before)).total_seconds()
    earlier = {nic.interface: nic for nic in before.network}
    moved, known = 0, False
    for nic in sample.network:
        if then := earlier.get(nic.interface):
            received, sent = nic.bytes_recv - then.bytes_recv, nic.bytes_sent - then.bytes_sent
            if received < 0 or sent < 0:
                return None
            moved, known = moved + received + sent, True
    return moved / seconds if known and seconds >= SHORTEST else None


def _time(sample: Sample) -> datetime.datetime:
    return datetime.datetime.fromisoformat(sample.timestamp)
