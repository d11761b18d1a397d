"""Server-sent events: any stream of them, kept alive while silent. It ends when the process is to stop, and as soon
as its reader would not be let in any more. Nobody has more than some at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from quart import Response, g

from roci import Event, Roci, TooMany, hookimpl

from ..domain import access
from ..domain.credentials import LoginRevoked, TokenRevoked
from .http import server, standing

ALIVE = 15.0  # seconds of silence after which a comment is sent, so that proxies keep the connection
OF_ONE = 100  # streams of one principal at a time: many tabs and a script, and not what would fill the memory


@dataclass(frozen=True)
class ServerSent:
    """One event. `id` comes back as Last-Event-ID when the reader reconnects."""

    event: str
    data: Any
    id: str | None = None

    def __post_init__(self) -> None:
        if self.event.splitlines() != [self.event]:
            raise ValueError(f"an event's name is one line, not {self.event!r}")

    def encode(self) -> bytes:
        number = b"" if self.id is None else b"id: %b\n" % self.id.encode()
        return b"%bevent: %b\ndata: %b\n\n" % (number, self.event.encode(), msgspec.json.encode(self.data))


def stream(roci: Roci, events: AsyncIterator[ServerSent]) -> Response:
    """An answer that sends events as they come. Raises TooMany for who has enough of them."""
    encoded = _encoded(server(), events, standing())
    if who := g.get("actor"):
        server().part(Streams).begin(who.id, encoded)
    response = Response(encoded, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None
    return response


def _silence() -> float:
    """Seconds, not the same for all, so that those that began together are not all alive at one moment."""
    return ALIVE * random.uniform(0.7, 1)  # noqa: S311 - no secret


async def _next(events: AsyncIterator[ServerSent]) -> ServerSent:
    return await anext(events)


async def _encoded(
    roci: Roci, events: AsyncIterator[ServerSent], holds: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes, None]:
    reasons = [roci.draining.wait(), roci.part(Doubts).until_lost(holds)]
    leaving: list[asyncio.Future[Any]] = [asyncio.ensure_future(reason) for reason in reasons]
    coming: asyncio.Future[ServerSent] | None = None
    try:
        while not any(reason.done() for reason in leaving):
            coming = coming or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({coming, *leaving}, timeout=_silence(), return_when=asyncio.FIRST_COMPLETED)
            if coming in done:
                try:
                    yield coming.result().encode()
                except StopAsyncIteration:
                    return
                coming = None
            elif not done:
                yield b": still here\n\n"
    finally:
        for reason in leaving:
            reason.cancel()
        if coming:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming


class Streams:
    """Who has how many. One that nobody reads any more, or ever did, is not counted: it is gone."""

    def __init__(self) -> None:
        self._open: dict[str, weakref.WeakSet[AsyncGenerator[bytes, None]]] = {}

    def begin(self, principal: str, stream: AsyncGenerator[bytes, None]) -> None:
        """Raises TooMany."""
        self._open = {id: streams for id, streams in self._open.items() if streams}
        theirs = self._open.setdefault(principal, weakref.WeakSet())
        if len(theirs) >= OF_ONE:
            raise TooMany(f"you have {OF_ONE} pages or streams open: close some", retry_after=60)
        theirs.add(stream)


class Doubts:
    """What open streams wait for: rights or credentials may have changed, so each asks whether its own still hold."""

    def __init__(self) -> None:
        self._open: set[asyncio.Event] = set()

    async def until_lost(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Return once it does not hold. Asked at every doubt, and now and then for what other processes changed."""
        doubt = asyncio.Event()
        self._open.add(doubt)
        try:
            while await holds():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(doubt.wait(), _silence())
                doubt.clear()
        finally:
            self._open.discard(doubt)

    async def raise_(self) -> None:
        for doubt in self._open:
            doubt.set()


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Doubts())
    roci.provide(Streams())
    yield


@hookimpl
def on_event(roci: Roci, event: Event) -> Awaitable[None] | None:
    """Awaited after those who decide have heard of it, since they come earlier in the order of plugins."""
    doubts = roci.find(Doubts)  # None while ROCI begins
    ends_something = access.is_about_rights(event) or isinstance(event, TokenRevoked | LoginRevoked)
    return doubts.raise_() if doubts and ends_something else None
