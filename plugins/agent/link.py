"""One agent's connection, as the server holds it. Sending never waits for the other end.

What is to be sent goes into a short queue that a task of its own empties. A peer that does not read is cut off:
it can neither hold up who sends, nor fill the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Protocol

import msgspec

from roci import NotReady

from . import wire

WAITING = 256  # frames that wait to be sent
SENDING = 10.0  # seconds that one frame may take
PARTING = 5.0  # seconds from the decision to close to the end, whatever the other end does


class Channel(Protocol):
    """Text frames in both directions: a websocket, or queues inside the process."""

    peer: str
    forwarded_for: str | None

    async def receive(self) -> str | bytes:
        """The next frame. Raises wire.Closed."""

    async def send(self, text: str) -> None:
        """Raises wire.Closed."""

    async def close(self, code: int, reason: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class Farewell:
    code: int
    reason: str


class Link:
    """One agent's connection, from its registration on. Made in the task that serves it, which ends with it."""

    def __init__(self, channel: Channel, register: wire.Register) -> None:
        self.protocol = register.protocol
        self.capabilities = frozenset(register.capabilities)
        self.boot_id = register.boot_id and register.boot_id[:64]
        self.closing = False
        self.farewell: Farewell | None = None  # what was said first at the end, by either side
        self.key_id: str | None = None  # the host's key that its agent came in by
        self._channel = channel
        self._session = asyncio.current_task()
        self._outbox: asyncio.Queue[str | Farewell] = asyncio.Queue(WAITING)
        self._writer = asyncio.create_task(self._write(), name="link")

    @property
    def waiting(self) -> int:
        """Frames that are not sent yet."""
        return self._outbox.qsize()

    def send(self, message: msgspec.Struct) -> None:
        """Raises NotReady when the agent is gone, or does not read."""
        if self.closing:
            raise NotReady("the agent is not connected")
        self._put(wire.encode(message))

    def _put(self, item: str | Farewell) -> None:
        try:
            self._outbox.put_nowait(item)
        except asyncio.QueueFull:
            self.cut()
            raise NotReady("the agent does not read what it is sent") from None

    def close(self, code: int, reason: str) -> None:
        """Say why, after what is still to be said, and end the connection. Does not wait for it."""
        if self.closing:
            return
        self.closing = True
        self.farewell = Farewell(code, reason[:100])
        with contextlib.suppress(NotReady):
            self._put(self.farewell)
        asyncio.get_running_loop().call_later(PARTING, self.cut)

    def cut(self) -> None:
        """End the connection now."""
        self.closing = True
        self._writer.cancel()
        if self._session and self._session is not asyncio.current_task():
            self._session.cancel()

    async def end(self) -> None:
        """The task that serves the connection ends: what it still said goes out, within the time."""
        self._session = None
        if not self.closing:
            self._writer.cancel()
        await asyncio.wait({self._writer}, timeout=PARTING)
        self._writer.cancel()

    async def _write(self) -> None:
        try:
            while True:
                item = await self._outbox.get()
                async with asyncio.timeout(SENDING):
                    if isinstance(item, Farewell):
                        return await self._channel.close(item.code, item.reason)
                    await self._channel.send(item)
        except (TimeoutError, wire.Closed):
            pass  # the session is ended with the link, below
        finally:
            self.closing = True
            if self._session:
                self._session.cancel()
