"""One agent's connection, as the server holds it. Sending never waits for the other end.

What is to be sent goes into a short queue, which a task empties that lives only while there is something in it: of
thousands of links most are silent. A peer that does not read is cut off: it can neither hold up who sends, nor fill
the memory.
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
        self._outbox: list[str | Farewell] = []
        self._writer: asyncio.Task[None] | None = None  # while there is something to be sent

    @property
    def waiting(self) -> int:
        """Frames that are not sent yet."""
        return len(self._outbox)

    def send(self, message: msgspec.Struct) -> None:
        """Raises NotReady when the agent is gone, or does not read."""
        if self.closing:
            raise NotReady("the agent is not connected")
        self._put(wire.encode(message))

    def _put(self, item: str | Farewell) -> None:
        if len(self._outbox) == WAITING:
            self.cut()
            raise NotReady("the agent does not read what it is sent")
        self._outbox.append(item)
        self._writer = self._writer or asyncio.create_task(self._write(), name="link")

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
        if self._writer:
            self._writer.cancel()
        if self._session and self._session is not asyncio.current_task():
            self._session.cancel()

    async def end(self) -> None:
        """The task that serves the connection ends: what it still said goes out, within the time."""
        self._session = None
        if writer := self._writer:
            if not self.closing:
                writer.cancel()
            await asyncio.wait({writer}, timeout=PARTING)
            writer.cancel()
        self.closing = True

    async def _write(self) -> None:
        """Send what waits. The session ends with the farewell, and where something cannot be sent."""
        goes_on = False
        try:
            while self._outbox:
                item = self._outbox.pop(0)
                async with asyncio.timeout(SENDING):
                    if isinstance(item, Farewell):
                        return await self._channel.close(item.code, item.reason)
                    await self._channel.send(item)
            goes_on = True
        except (TimeoutError, wire.Closed):
            pass  # the session is ended with the link, below
        finally:
            self._writer = None
            self.closing = self.closing or not goes_on
            if self._session and not goes_on:
                self._session.cancel()
