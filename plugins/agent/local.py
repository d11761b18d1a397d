"""The server's own machine as a host: the same worker at one end, the hub at the other, queues in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import msgspec

from roci import HealthCheck, Roci, hookimpl

from . import wire
from .engine import engine
from .host import make_worker
from .hub import Hub
from .worker import AgentSettings, Worker

log = logging.getLogger("roci.agent")
CLOSED = None  # what a queue holds at its end
FRAMES = 256  # in flight in each direction


class Pipe:
    """One end of a link inside the process; `other` is its peer."""

    peer = "127.0.0.1"
    forwarded_for: str | None = None

    def __init__(self) -> None:
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = asyncio.Event()  # something was read, or nothing will be any more
        self.other: Pipe
        self.code: int | None = None

    async def receive(self) -> str:
        text = await self._inbox.get()
        self._room.set()
        if text is CLOSED:
            self._inbox.put_nowait(CLOSED)
            raise wire.Closed(self.code)
        return text

    async def send(self, text: str) -> None:
        """Waits while too much lies unread at the other end."""
        while self.code is None and self.other._inbox.qsize() >= FRAMES:
            self.other._room.clear()
            await self.other._room.wait()
        if self.code is not None:
            raise wire.Closed(self.code)
        self.other._inbox.put_nowait(text)

    async def close(self, code: int, reason: str) -> None:
        """Both ends hear of it, after what was sent before. The first code counts."""
        for end in (self, self.other):
            if end.code is None:
                end.code = code
                end._inbox.put_nowait(CLOSED)
                end._room.set()


def pipe() -> tuple[Pipe, Pipe]:
    """Two ends of one link."""
    here, there = Pipe(), Pipe()
    here.other, there.other = there, here
    return here, there


async def keep_connected(worker: Worker, hub: Hub) -> None:
    """Serve this machine until its host is removed; the next start enrols it anew."""
    code = None
    while code not in (wire.DELETED, wire.GOING_AWAY):
        here, there = pipe()
        served = asyncio.create_task(_serve(hub, there))
        try:
            await worker.converse(here)
        except wire.Closed as closed:
            code = closed.code
        except Exception:
            log.exception("this machine's own link is taken up again")
        finally:
            await here.close(wire.GOING_AWAY, "")
            served.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await served
        if code not in (wire.DELETED, wire.GOING_AWAY):
            await asyncio.sleep(1)


async def _serve(hub: Hub, end: Pipe) -> None:
    """The hub's side. However it ends, the worker's side must hear of it."""
    try:
        await hub.serve(end, local=True)
    except Exception:
        log.exception("this machine's own link failed")
    finally:
        await end.close(wire.TRY_LATER, "")


@hookimpl
def register_settings() -> type[AgentSettings]:
    return AgentSettings


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    worker = None
    if roci.settings.local_agent:
        mine = roci.section(AgentSettings)
        mine = msgspec.structs.replace(mine, state_dir=str(roci.settings.data / "local-agent"))
        worker = await asyncio.to_thread(make_worker, mine, roci.backends, roci.pm)
        roci.spawn(keep_connected(worker, roci.part(Hub)), "serve this machine")
    yield
    if worker:
        await worker.stop()


@hookimpl
def register_health_checks(roci: Roci) -> list[HealthCheck]:
    return [HealthCheck("docker", engine(roci.section(AgentSettings).engine).ping)]
