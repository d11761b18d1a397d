"""Figures of the process, and of operations since it began."""

from __future__ import annotations

import contextlib
import platform
from collections import Counter
from collections.abc import AsyncIterator, Callable
from time import monotonic

from roci import Event, Roci, __version__, hookimpl

from ..domain import operations
from ..domain.operations import OperationFinished, OperationStarted
from . import usage
from .lag import Lag
from .telemetry import Metric, Point, Points


class Vitals:
    """Operations as they were begun and ended since the process started. Reached as `roci.part(Vitals)`."""

    def __init__(self) -> None:
        self.started: Counter[str] = Counter()  # by kind
        self.ended: Counter[tuple[str, str]] = Counter()  # by kind and status
        self.took: dict[str, tuple[int, float]] = {}  # by kind: how many, and their seconds in all
        self._running: dict[str, tuple[str, float | None]] = {}  # by id: kind, and when it began; None: before us

    def resume(self, kinds: dict[str, str]) -> None:
        """These run already, by id."""
        self._running |= {id: (kind, None) for id, kind in kinds.items()}

    def begin(self, event: OperationStarted) -> None:
        self.started[event.kind] += 1
        self._running[event.operation_id] = event.kind, monotonic()

    def end(self, event: OperationFinished) -> None:
        self.ended[event.kind, event.status] += 1
        _, began = self._running.pop(event.operation_id, (event.kind, None))
        if began is not None:
            count, seconds = self.took.get(event.kind, (0, 0.0))
            self.took[event.kind] = count + 1, seconds + monotonic() - began

    @property
    def running(self) -> Counter[str]:
        return Counter(kind for kind, _ in self._running.values())

    def metrics(self) -> list[Metric]:
        return [
            Metric(
                "roci_operations_started_total", "counter", "Operations begun, by kind.", self._of(lambda: self.started)
            ),
            Metric(
                "roci_operations_running", "gauge", "Operations under way, by kind.", self._of(lambda: self.running)
            ),
            Metric("roci_operations_finished_total", "counter", "Operations that ended.", self._finished),
            Metric("roci_operation_duration_seconds", "summary", "How long operations took.", self._durations),
        ]

    @staticmethod
    def _of(counts: Callable[[], Counter[str]]) -> Callable[[], Points]:
        return lambda: [Point(count, {"kind": kind}) for kind, count in counts().items()]

    def _finished(self) -> Points:
        return [Point(count, {"kind": kind, "status": status}) for (kind, status), count in self.ended.items()]

    def _durations(self) -> Points:
        return [Point(seconds, {"kind": kind}, count) for kind, (count, seconds) in self.took.items()]


def _process(roci: Roci) -> list[Metric]:
    labels = {"version": __version__, "python": platform.python_version()}
    started = roci.started_at.timestamp()
    return [
        Metric("roci_build_info", "gauge", "Which ROCI this is.", lambda: [Point(1, labels)]),
        Metric("process_start_time_seconds", "gauge", "When it started.", lambda: [Point(started)]),
        Metric("process_resident_memory_bytes", "gauge", "Memory in use.", lambda: [Point(usage.memory())]),
        Metric(
            "roci_store_writes_waiting",
            "gauge",
            "Writes that the database has not begun with.",
            lambda: [Point(roci.store.waiting)],
        ),
        Metric(
            "roci_event_loop_lag_seconds",
            "gauge",
            "How late the event loop was in the last minute.",
            lambda: _lag(roci.part(Lag)),
        ),
    ]


def _lag(lag: Lag) -> Points:
    return [Point(value, {"of": name}) for name, value in (("p50", lag.p50), ("p99", lag.p99), ("worst", lag.worst))]


@hookimpl
def register_metrics(roci: Roci) -> list[Metric]:
    return [*_process(roci), *roci.part(Vitals).metrics()]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    vitals = Vitals()
    vitals.resume({row.id: row.kind for row in await roci.read(operations.unfinished)})
    roci.provide(vitals)
    yield


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    vitals = roci.find(Vitals)
    if vitals and isinstance(event, OperationStarted):
        vitals.begin(event)
    elif vitals and isinstance(event, OperationFinished):
        vitals.end(event)
