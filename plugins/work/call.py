"""Asking a host something that changes nothing: no operation is recorded, and nobody waits for a host that left."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterable

from roci import NotReady, StepFailed, TimedOut, TooMany

from ..agent import wire
from ..agent.hub import Hub, Live
from ..agent.link import Link

MOST = 8 * 1024 * 1024  # characters that wait for whoever asked; the oldest go
MOST_FOLLOWED = 1024 * 1024  # the same of an answer without an end, of which there may be many
OF_HOST = 64  # questions under way at a host: far fewer than the frames that its link holds, which would be cut off
CLOSED = 1000  # questions that nobody waits for any more
SKIPPED = "… {count} characters were skipped: they came faster than they were read …\n"
SLACK = 5.0  # seconds beyond the agent's own limit


class Call:
    """One question under way: pieces of its answer that nobody took yet."""

    def __init__(self, host_id: str, link: Link, most: int) -> None:
        self.host_id, self.link = host_id, link
        self.result: wire.Result | None = None
        self.lost = False
        self.streamed = False
        self._most = most
        self._pieces: deque[str] = deque()
        self._size = self._skipped = 0
        self._more = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Characters that nobody took yet."""
        return self._size

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._size += len(text)
        while self._size > self._most and len(self._pieces) > 1:
            gone = len(self._pieces.popleft())
            self._size, self._skipped = self._size - gone, self._skipped + gone
        self._more.set()

    def end(self, result: wire.Result | None) -> None:
        """The host's own end of it; None: the host is gone. Only the first counts."""
        if self.result is None and not self.lost:
            self.result, self.lost = result, result is None
        self._more.set()

    async def take(self) -> str | None:
        """What came since the last time; None: it has ended."""
        while not self._pieces and self.result is None and not self.lost:
            self._more.clear()
            await self._more.wait()
        if not self._pieces:
            return None
        skipped = SKIPPED.format(count=self._skipped) if self._skipped else ""
        text = skipped + "".join(self._pieces)
        self._pieces.clear()
        self._size = self._skipped = 0
        return text


class Calls:
    """All questions under way."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._calls: dict[str, Call] = {}
        self._closed: deque[str] = deque(maxlen=CLOSED)  # what a host still says of them is nobody's result

    async def ask(self, host_id: str, message: wire.Hand) -> AsyncGenerator[str, None]:
        """Yield the answer as it comes. Closing this ends it on the host.

        Raises NotReady for a host that is not there or does not offer this, TooMany for one that has enough to
        answer, StepFailed with the host's own words, and TimedOut.
        """
        link = self._hub.able(host_id, wire.kind_of(message))
        self._check_room(host_id, link)
        most = MOST if message.limit is not None else MOST_FOLLOWED
        call = self._calls[message.command_id] = Call(host_id, link, most)
        try:
            link.send(message)
            clock = asyncio.get_running_loop().time
            deadline = None if message.limit is None else clock() + message.limit + SLACK
            while (text := await _in_time(call, deadline)) is not None:
                yield text
            if text := _last(call):
                yield text
        except TimeoutError:
            raise TimedOut("the host did not answer in time") from None
        finally:
            del self._calls[message.command_id]
            self._closed.append(message.command_id)
            if call.result is None and not call.lost:
                with contextlib.suppress(NotReady):
                    link.send(wire.Cancel(command_id=message.command_id))

    def _check_room(self, host_id: str, link: Link) -> None:
        """What is asked and given up at once also fills the link: a question and its end for each."""
        under_way = sum(call.host_id == host_id for call in self._calls.values())
        if under_way >= OF_HOST or link.waiting >= OF_HOST:
            raise TooMany("this host is busy; try again in a moment", retry_after=1)

    def heard(self, live: Live, message: wire.FromAgent) -> bool:
        """Take in what a host said, if it is the answer to a question."""
        if not isinstance(message, wire.Output | wire.Result):
            return False
        call = self._calls.get(message.command_id or "")
        if call is None:
            return message.command_id in self._closed
        if call.host_id != live.host.id:
            return True
        if isinstance(message, wire.Output):
            call.streamed = True
            call.add(message.data)
        else:
            call.end(message)
        return True

    def joined(self, live: Live) -> None:
        """A host is here by another connection than before, where nobody knows of these questions."""
        self._lose(call for call in self._calls.values() if call.host_id == live.host.id and call.link is not live.link)

    def left(self, live: Live) -> None:
        self._lose(call for call in self._calls.values() if call.host_id == live.host.id)

    @staticmethod
    def _lose(calls: Iterable[Call]) -> None:
        for call in calls:
            call.end(None)


async def _in_time(call: Call, deadline: float | None) -> str | None:
    async with asyncio.timeout_at(deadline):
        return await call.take()


def _last(call: Call) -> str:
    """What the result says that was not streamed. Raises for a bad end."""
    if call.result is None:
        raise NotReady("the host left before it had answered")
    if not call.result.success:
        words = call.result.stderr or call.result.output or str(call.result.data.get("reason", ""))
        raise StepFailed(words.strip()[-2000:] or "the host could not do it", exit_code=call.result.exit_code)
    return "" if call.streamed else call.result.output
