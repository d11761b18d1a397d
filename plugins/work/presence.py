"""Writes down who comes and goes, once a second. A Watcher of the hub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from roci import Roci, Task, hookimpl

from ..agent import wire
from ..agent.hub import Hub, Live
from ..domain import presence
from ..domain.presence import HostConnected, HostDisconnected, Passages

EVERY = 1.0  # seconds
LOST, LOST_CODE = "the connection was lost", 1006
LONGEST = 200  # characters of a reason


class Presence:
    """Reached as `roci.part(Presence)`."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._passages = Passages()
        self._here: set[str] = set()
        self._writing = asyncio.Lock()

    def joined(self, live: Live) -> None:
        self._here.add(live.host.id)
        host = live.host
        self._passages.note(HostConnected(host.id, host.hostname, host.effective_ip), _clock())

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        """It was here before."""

    def left(self, live: Live) -> None:
        """Those that leave because this process ends are told of by its own end."""
        host = live.host
        if host.id not in self._here:
            return
        self._here.discard(host.id)
        if not self._roci.draining.is_set():
            code, reason = (live.farewell.code, live.farewell.reason) if live.farewell else (LOST_CODE, "")
            gone = HostDisconnected(host.id, host.hostname, reason[:LONGEST] or LOST, code)
            self._passages.note(gone, _clock())

    async def flush(self, everything: bool = False) -> None:
        """Write what was noted. What cannot be written now is kept for later."""
        async with self._writing:  # or what is kept would come after what is newer
            if not (taken := self._passages.take(_clock(), everything)):
                return
            try:
                await self._roci.write(presence.record, taken)
            except Exception:
                self._passages.put_back(taken)
                raise


def _clock() -> float:
    return asyncio.get_running_loop().time()


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    found = Presence(roci)
    roci.provide(found)
    roci.part(Hub).watchers.append(found)
    yield
    await found.flush(everything=True)


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [Task("write who came and went", EVERY, lambda: roci.part(Presence).flush())]
