"""Writes refused attempts: those of somebody who is known before they are answered, all others within a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from roci import Roci, RociError, Task, hookimpl

from ..domain import refusals
from ..domain.refusals import Attempt, AttemptRefused, Refusals

EVERY = 1.0  # seconds
LONGEST_TRIED = 100  # characters of a name


async def note(roci: Roci, attempt: Attempt) -> None:
    """Write an attempt down, now or soon."""
    kept, at = roci.part(Refusals), asyncio.get_running_loop().time()
    if kept.is_urgent(attempt, at):
        await _write(roci, [attempt])
    else:
        kept.note(attempt, at)


async def note_agent(roci: Roci, error: RociError, address: str, tried: str, path: str = "/ws/agent") -> None:
    """An agent could not prove which host it is of. `tried` is what it said."""
    host_id = str(error.details.get("host_id", ""))
    event = AttemptRefused(
        "", "", "WEBSOCKET", path, error.message, error.status, tried[:LONGEST_TRIED], host_id=host_id
    )
    await note(roci, Attempt(refusals.nobody(address), error.code, event))


async def flush(roci: Roci, everything: bool = False) -> None:
    """Write what was collected."""
    if taken := roci.part(Refusals).take(asyncio.get_running_loop().time(), everything):
        await _write(roci, taken)


async def _write(roci: Roci, attempts: list[Attempt]) -> None:
    """What cannot be written now is kept for later."""
    try:
        await roci.write(refusals.record, attempts)
    except Exception:
        for attempt in attempts:
            roci.part(Refusals).note(attempt, asyncio.get_running_loop().time())
        raise


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Refusals())
    yield
    await flush(roci, everything=True)


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    async def run() -> None:
        await flush(roci)

    return [Task("write refused attempts", EVERY, run)]
