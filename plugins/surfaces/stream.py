"""Server-sent events: any stream of them, kept alive while silent and ended when the process is to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from quart import Response

from roci import Roci

ALIVE = 15.0  # seconds of silence after which a comment is sent, so that proxies keep the connection


@dataclass(frozen=True)
class ServerSent:
    """One event. `id` comes back as Last-Event-ID when the reader reconnects."""

    event: str
    data: Any
    id: int | None = None

    def encode(self) -> bytes:
        number = b"" if self.id is None else b"id: %d\n" % self.id
        return b"%bevent: %b\ndata: %b\n\n" % (number, self.event.encode(), msgspec.json.encode(self.data))


def stream(roci: Roci, events: AsyncIterator[ServerSent]) -> Response:
    """An answer that sends events as they come."""
    response = Response(_encoded(roci._get_current_object(), events), content_type="text/event-stream")  # type: ignore[attr-defined]
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None
    return response


async def _next(events: AsyncIterator[ServerSent]) -> ServerSent:
    return await anext(events)


async def _encoded(roci: Roci, events: AsyncIterator[ServerSent]) -> AsyncGenerator[bytes, None]:
    draining = asyncio.ensure_future(roci.draining.wait())
    coming: asyncio.Future[ServerSent] | None = None
    try:
        while not draining.done():
            coming = coming or asyncio.ensure_future(_next(events))
            both: set[asyncio.Future[Any]] = {coming, draining}
            done, _ = await asyncio.wait(both, timeout=ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if coming in done:
                try:
                    yield coming.result().encode()
                except StopAsyncIteration:
                    return
                coming = None
            elif not done:
                yield b": still here\n\n"
    finally:
        draining.cancel()
        if coming:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming
