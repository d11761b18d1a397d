"""Alerts: what is judged (`live`), by which rules (`rules`, `containers`, `forecast`), and the doors for surfaces.

Judging costs no database: it reads memory and notes what it found on the `board`, which is written in batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator
from typing import Any

from roci import Event, Roci, Task, hookimpl, now

from ...agent.hub import Hub
from ...domain import alerts
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
from ...domain.operations import OperationFinished, OperationStarted
from ..metrics import Metrics
from .live import Judge
from .mutes import MUTING
from .settings import AlertSettings

SWEEP = 5.0  # seconds


async def resolve(roci: Roci, alert_id: str) -> Alert:
    """End an alert by hand. A threshold that is still violated opens a new one with the next sample.

    What a built-in condition found stays quiet until it has been well for once.
    """
    return await roci.write(alerts.resolve, alert_id)


async def add_threshold(roci: Roci, new: NewThreshold) -> Threshold:
    return await roci.write(alerts.add_threshold, new)


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
        case OperationStarted() if event.kind in MUTING:
            await judge.begun(event.operation_id)
        case OperationFinished():
            judge.ended(event.host_id, event.operation_id)
        case HostRemoved():
            judge.forget(event.host_id)
