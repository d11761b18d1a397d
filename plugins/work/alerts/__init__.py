"""Alerts: what is judged (`live`), by which rules (`rules`, `containers`, `forecast`), and the doors for surfaces.

Judging costs no database: it reads memory and notes what it found on the `board`, which is written in batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
from collections.abc import AsyncIterator, Iterable
from typing import Any

from roci import Event, Roci, Task, hookimpl, now

from ...agent.hub import Hub
from ...domain import alerts, hosts, notices
from ...domain.alerts import (
    Alert,
    AlertResolved,
    NewThreshold,
    Threshold,
    ThresholdAdded,
    ThresholdChanged,
    ThresholdRemoved,
)
from ...domain.hosts import HostRemoved
from ...domain.operations import OperationFinished
from ..metrics import Metrics
from ..notify import Courier
from ..operate import Operator
from .live import Judge
from .rules import Rule
from .settings import AlertSettings

SWEEP = 5.0  # seconds
JUDGES = ("metric_type", "threshold_value", "comparison", "enabled", "for_seconds", "hysteresis")


async def resolve(roci: Roci, alert_id: str) -> Alert:
    """End an alert by hand. A threshold that is still violated opens a new one with the next sample.

    What a built-in condition found stays quiet until it has been well for once.
    """
    return await roci.write(alerts.resolve, alert_id)


async def add_threshold(roci: Roci, new: NewThreshold) -> Threshold:
    return await roci.write(alerts.add_threshold, new)


async def add_thresholds(roci: Roci, new: NewThreshold, host_ids: Iterable[str]) -> int:
    """The same for several hosts: all of them or none. How many there are now."""

    def write() -> int:
        return len([alerts.add_threshold(dataclasses.replace(new, host_id=host_id)) for host_id in host_ids])

    return await roci.write(write)


async def copy_thresholds(roci: Roci, ids: Iterable[str], host_ids: Iterable[str]) -> int:
    """Give hosts these rules too. What a host has just so already it does not get again; how many were added."""

    def write() -> int:
        there = {(row.host_id, *_judges(row)) for row in alerts.thresholds()}
        wanted = {(host_id, *_judges(alerts.threshold(id))): None for host_id in host_ids for id in ids}
        missing = [each for each in wanted if each not in there]
        for host_id, *values in missing:
            alerts.add_threshold(NewThreshold(host_id, **dict(zip(JUDGES, values, strict=True))))
        return len(missing)

    ids = list(ids)
    return await roci.write(write)


def _judges(row: Threshold) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in JUDGES)


async def rehearse(roci: Roci, threshold_id: str) -> list[str]:
    """Send a notice as the rule would, marked as a test, to whom it would go. The names of these channels."""

    def write() -> list[str]:
        row = alerts.threshold(threshold_id)
        host = hosts.get(row.host_id)
        message = Rule(row).message(host.hostname, row.threshold_value)
        notice = notices.Notice(
            kind=notices.TEST,
            title=f"Test: {host.hostname}: {row.metric_type}",
            body=f"This is a test of a rule; nothing is wrong. It would say: {message}",
            severity="warning",
            host_id=host.id,
            hostname=host.hostname,
        )
        return [each.channel.name for each in notices.enqueue(notice)]

    names = await roci.write(write)
    roci.part(Courier).wake()
    return names


async def change_threshold(roci: Roci, threshold_id: str, **changes: Any) -> Threshold:
    return await roci.write(alerts.change_threshold, threshold_id, **changes)


async def remove_threshold(roci: Roci, threshold_id: str) -> None:
    await roci.write(alerts.remove_threshold, threshold_id)


@hookimpl
def register_settings() -> type[AlertSettings]:
    return AlertSettings


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    judge = Judge(roci, asyncio.get_running_loop().time)
    await judge.load()
    roci.provide(judge)
    roci.part(Hub).watchers.append(judge)
    roci.part(Metrics).listeners.append(judge.heard)
    roci.part(Operator).listeners.append(judge.begun)
    yield
    await judge.board.flush()


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    async def sweep() -> None:
        roci.part(Judge).sweep()

    async def prune() -> None:
        if days := roci.section(AlertSettings).keep_days:
            await roci.write(alerts.prune, now() - datetime.timedelta(days=days))

    return [
        Task("write alerts", 0.25, lambda: roci.part(Judge).board.flush()),
        Task("look for absent hosts", SWEEP, sweep),
        Task("forget old alerts", 3600, prune),
    ]


@hookimpl
async def on_event(roci: Roci, event: Event) -> None:
    """What anybody changed holds from now on, whichever way it was changed."""
    judge = roci.find(Judge)
    match event:
        case _ if judge is None:
            return  # not begun yet: what holds is read then
        case AlertResolved():
            judge.board.resolved(event.alert_id)
        case ThresholdAdded() | ThresholdChanged() | ThresholdRemoved():
            await judge.refresh(event.host_id, event.threshold_id)
        case OperationFinished():
            judge.ended(event.host_id, event.operation_id)
        case HostRemoved():
            judge.forget(event.host_id)
