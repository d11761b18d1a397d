"""Figures that ROCI tells of itself and its hosts, and the hook that brings more. `GET /metrics` shows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from roci import Roci, hookimpl, hookspec


@dataclass(frozen=True)
class Point:
    """One value, told apart from its kin by labels. Of a summary: the sum; `count` is of how many."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    count: int = 0


Points = Iterable[Point]


@dataclass(frozen=True)
class Metric:
    """A figure, named as Prometheus names them: `roci_backup_age_seconds`; a counter's name ends in `_total`.

    `read` is asked at every scrape, on the event loop: it answers from memory, or is a coroutine function and awaits.
    All of its points have the same labels, and no two the same values in them.
    """

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    read: Callable[[], Points | Awaitable[Points]]


class TelemetryHooks(Protocol):
    """What this layer adds to the hooks of the spine."""

    @hookspec
    def register_metrics(self, roci: Roci) -> Iterable[Metric]:
        """Return figures for `GET /metrics`. Asked once, at start."""


@hookimpl
def register_hookspecs() -> type[TelemetryHooks]:
    return TelemetryHooks
