"""Figures of hosts and of what runs on them, as their agents tell it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic
from weakref import WeakKeyDictionary

from roci import Roci, hookimpl, now

from ..agent.hub import Hub, Live
from ..agent.sample import Sample
from ..domain import alerts
from .metrics import Metrics
from .telemetry import Metric, Point, Points

SEVERITIES = ("info", "warning", "critical")
FRESH = 120.0  # seconds for which a sample tells how a host is
ONE_SCRAPE = 1.0  # seconds for which samples that were looked up count
Reading = tuple[dict[str, str], Sample]


class Fleet:
    """The hosts of one ROCI, read at every scrape."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._readings: list[Reading] = []
        self._looked = float("-inf")
        self._counted: WeakKeyDictionary[Live, tuple[bytes | None, Counter[str]]] = WeakKeyDictionary()

    @property
    def _approved(self) -> Iterable[tuple[dict[str, str], Live]]:
        for live in self._roci.part(Hub).roster.values():
            if live.host.status == "approved":
                yield {"host": live.host.hostname, "host_id": live.host.id}, live

    @property
    def _samples(self) -> list[Reading]:
        """Looked up once for all the figures of a scrape. What is old is of no use to a graph."""
        if monotonic() - self._looked > ONE_SCRAPE:
            found = [(labels, self._roci.part(Metrics).latest(live.host.id)) for labels, live in self._approved]
            self._readings = [(labels, sample) for labels, sample in found if sample and _is_fresh(sample)]
            self._looked = monotonic()
        return self._readings

    def metrics(self) -> list[Metric]:
        return [*self._of_hosts(), *self._of_samples()]

    def _of_hosts(self) -> list[Metric]:
        return [
            Metric("roci_hosts", "gauge", "Hosts, by what was decided about them.", self._hosts),
            Metric("roci_host_up", "gauge", "Whether the host's agent is connected.", self._up),
            Metric("roci_host_heartbeat_age_seconds", "gauge", "Since the host was last heard of.", self._ages),
            Metric("roci_containers", "gauge", "Containers of hosts that are connected, by state.", self._containers),
            Metric("roci_alerts_open", "gauge", "Alerts that are not resolved.", self._alerts),
        ]

    def _hosts(self) -> Points:
        found = Counter(live.host.status for live in self._roci.part(Hub).roster.values())
        return [Point(found[status], {"status": status}) for status in ("approved", "pending", "rejected")]

    def _up(self) -> Points:
        return [Point(live.is_connected, labels) for labels, live in self._approved]

    def _ages(self) -> Points:
        for labels, live in self._approved:
            if live.last_seen is not None:
                yield Point(max(0.0, (now() - live.last_seen).total_seconds()), labels)

    def _containers(self) -> Points:
        for labels, live in self._approved:
            if live.is_connected:
                for state, count in self._states(live).items():
                    yield Point(count, {**labels, "state": state})

    def _states(self, live: Live) -> Counter[str]:
        """Counted once for each change of what the host reported."""
        reported, counts = self._counted.get(live, (None, Counter()))
        if reported is not live.reported:
            counts = Counter(state_of(container.status) for container in live.containers or ())
            self._counted[live] = live.reported, counts
        return counts

    async def _alerts(self) -> Points:
        counts = await self._roci.read(alerts.count_open)
        return [Point(counts.get(severity, 0), {"severity": severity}) for severity in SEVERITIES]

    def _of_samples(self) -> list[Metric]:
        def gauge(name: str, help: str, read: Callable[[Sample], float | None]) -> Metric:
            return Metric(f"roci_host_{name}", "gauge", help, lambda: self._values(read))

        return [
            gauge("cpu_ratio", "How busy the processors are, 0 to 1.", _busy),
            gauge("memory_used_bytes", "Memory in use.", lambda sample: sample.memory.used if sample.memory else None),
            gauge(
                "memory_size_bytes", "Memory there is.", lambda sample: sample.memory.total if sample.memory else None
            ),
            gauge("load1", "Load of the last minute.", lambda sample: sample.load[0] if sample.load else None),
            Metric("roci_host_disk_used_bytes", "gauge", "Space in use.", lambda: self._disks("used")),
            Metric("roci_host_disk_size_bytes", "gauge", "Space there is.", lambda: self._disks("total")),
            Metric("roci_host_network_receive_bytes_total", "counter", "Received.", lambda: self._nics("bytes_recv")),
            Metric("roci_host_network_transmit_bytes_total", "counter", "Sent.", lambda: self._nics("bytes_sent")),
        ]

    def _values(self, read: Callable[[Sample], float | None]) -> Points:
        for labels, sample in self._samples:
            if (value := read(sample)) is not None:
                yield Point(value, labels)

    def _disks(self, field: str) -> Points:
        for labels, sample in self._samples:
            for disk in {disk.path: disk for disk in sample.disk_usage}.values():
                yield Point(getattr(disk, field), {**labels, "path": disk.path})

    def _nics(self, field: str) -> Points:
        for labels, sample in self._samples:
            for nic in {nic.interface: nic for nic in sample.network}.values():
                yield Point(getattr(nic, field), {**labels, "interface": nic.interface})


def _busy(sample: Sample) -> float | None:
    return None if sample.cpu_percent is None else sample.cpu_percent / 100


def _is_fresh(sample: Sample) -> bool:
    return (now() - datetime.datetime.fromisoformat(sample.timestamp)).total_seconds() < FRESH


def state_of(status: str) -> str:
    """A word for a container's state; some agents send the engine's text for people."""
    if status.startswith("Up"):
        return "running"
    return status.split(" ")[0].lower() or "unknown"


@hookimpl
def register_metrics(roci: Roci) -> list[Metric]:
    return Fleet(roci).metrics()
