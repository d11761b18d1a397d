"""What containers print, read from their host and kept nowhere: the last lines, or all that come from now on."""

from __future__ import annotations

import contextlib
import datetime
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec

from roci import Invalid, NotFound, Roci, StepFailed, Unavailable

from ..agent import wire
from ..agent.hub import Hub
from ..domain.model import new_id
from . import execute
from .call import Calls
from .operate import Operator

TAILS = range(1, 10_001)  # lines
LONGEST_LINE = 64 * 1024  # characters of one that are waited for
MOST = 4 * 1024 * 1024  # characters of one answer


@dataclass(frozen=True)
class Wanted:
    """Which lines. Times are ISO 8601, in UTC where they name no zone.

    `tail` None: all there are. `marked`, with timestamps: those of standard error begin with wire.MARK, where the
    host's agent knows of it.
    """

    tail: int | None = 100
    since: str | None = None
    until: str | None = None
    timestamps: bool = False
    marked: bool = False

    def of(self, container: str, follow: bool = False) -> wire.Logs:
        """The question to a host. Raises Invalid."""
        if not container.strip() or len(container) > 256:
            raise Invalid("container: an id or a name")
        if self.tail is not None and self.tail not in TAILS:
            raise Invalid(f"tail: a whole number from {TAILS[0]} to {TAILS[-1]}")
        return wire.Logs(
            command_id=new_id(),
            container=container,
            tail=-1 if self.tail is None else self.tail,
            follow=follow,
            since=_time("since", self.since),
            until=_time("until", self.until),
            timestamps=self.timestamps,
            marked=self.marked or msgspec.UNSET,
        )


def _time(field: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{field}: a time such as 2026-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).isoformat()


@dataclass(frozen=True)
class Lines:
    """What there is, the oldest first; `truncated`: there was more than an answer holds."""

    lines: list[str]
    truncated: bool


async def last(roci: Roci, host_id: str, container: str, wanted: Wanted = Wanted()) -> Lines:
    """The last lines of a container. Raises NotFound for a host or container that is not there, NotReady, TimedOut,
    and Unavailable with the host's words."""
    pieces: deque[str] = deque()
    size, cut = 0, False
    async with contextlib.aclosing(await _ask(roci, host_id, wanted.of(container))) as answer:
        async for text in answer:
            pieces.append(text)
            size += len(text)
            while size - len(pieces[0]) > MOST:
                size, cut = size - len(pieces.popleft()), True
    lines = _split("".join(pieces)[-MOST:])
    cut = cut or size > MOST
    return Lines(lines[1:] if cut and len(lines) > 1 else lines, cut)


async def follow(
    roci: Roci, host_id: str, container: str, wanted: Wanted = Wanted()
) -> AsyncGenerator[list[str], None]:
    """The last lines, then those that come, as they come: an iterator, once the host is known to be there.

    It ends with the container, and raises as `last` does; closing it ends it on the host. Whoever reads slowly skips
    lines, and is told so.
    """
    return _lines(await _ask(roci, host_id, wanted.of(container, follow=True)))


async def read(roci: Roci, host_id: str, container: str, wanted: Wanted) -> AsyncGenerator[list[str], None]:
    """The lines there are, as they come and however many: as `follow`, without those that are still to be printed."""
    return _lines(await _ask(roci, host_id, wanted.of(container)))


async def _ask(roci: Roci, host_id: str, message: wire.Logs) -> AsyncGenerator[str, None]:
    hub, calls = roci.part(Hub), roci.part(Operator).calls  # now: what is read later may be read outside a request
    await roci.read(execute.host, host_id)
    hub.able(host_id, wire.kind_of(message))
    return _answer(hub, calls, host_id, message)


async def _answer(hub: Hub, calls: Calls, host_id: str, message: wire.Logs) -> AsyncGenerator[str, None]:
    """What the host says, its refusals in the words of errors."""
    try:
        async with contextlib.aclosing(calls.ask(host_id, message)) as pieces:
            async for text in pieces:
                yield text
    except StepFailed as error:
        is_missing = execute.is_missing(hub, host_id, message.container, error.message)
        raise (NotFound if is_missing else Unavailable)(error.message) from None


async def _lines(pieces: AsyncGenerator[str, None]) -> AsyncGenerator[list[str], None]:
    """Whole lines, as many as came at once. Of a line without an end, its pieces."""
    held = ""
    async with contextlib.aclosing(pieces):
        async for text in pieces:
            *whole, held = (held + text).split("\n")
            if len(held) > LONGEST_LINE:
                whole, held = [*whole, held], ""
            if whole:
                yield [line.removesuffix("\r") for line in whole]
    if held:
        yield [held.removesuffix("\r")]


def _split(text: str) -> list[str]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
