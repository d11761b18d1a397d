"""Lines of any containers, of one host or of many, read together. What fails for one of them is said of that one."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import heapq
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from roci import Roci, RociError

from ..agent import wire
from . import logs
from .logs import Wanted

MOST = 20  # containers that are read at once: a host reads 32 logs at a time for all who ask
WINDOWS = (600.0, 6 * 3600.0, 7 * 86400.0, None)  # seconds before a moment in which older lines are looked for
ENOUGH = 100  # lines for which no wider window is looked through
TOO_MUCH = "there is more than can be shown at once: download it from the host"


@dataclass(frozen=True)
class Source:
    host_id: str
    container: str


@dataclass(frozen=True)
class Piece:
    """What came of one: lines as they are, or the `reason` why there will be no more; empty: it has ended."""

    source: int
    lines: list[str]
    reason: str | None = None


def moment_of(line: str) -> str:
    """The time that a line begins with; nothing where it has none, as a line about skipped ones."""
    found = line.removeprefix(wire.MARK).partition(" ")[0]
    return found if found[:2].isdigit() and found.endswith("Z") else ""


async def follow(roci: Roci, asked: Sequence[tuple[Source, Wanted]]) -> AsyncGenerator[Piece, None]:
    """As they come, until the last of them has ended. Each waits until its lines are taken. Raises nothing."""
    ready: asyncio.Queue[Piece] = asyncio.Queue(1)

    async def read(number: int, source: Source, wanted: Wanted) -> None:
        reason = ""
        try:
            lines = await logs.follow(roci, source.host_id, source.container, wanted)
            async with contextlib.aclosing(lines):
                async for some in lines:
                    await ready.put(Piece(number, some))
        except RociError as error:
            reason = error.message
        await ready.put(Piece(number, [], reason))

    readers = [asyncio.create_task(read(number, *each)) for number, each in enumerate(asked)]
    left = len(readers)
    try:
        while left:
            piece = await ready.get()
            left -= piece.reason is not None
            yield piece
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def last(roci: Roci, asked: Sequence[tuple[Source, Wanted]]) -> list[Piece]:
    """What there is of each, the oldest first."""

    return await asyncio.gather(*(_last(roci, number, *each) for number, each in enumerate(asked)))


async def _last(roci: Roci, number: int, source: Source, wanted: Wanted) -> Piece:
    """With a reason where not all came."""
    try:
        found = await logs.last(roci, source.host_id, source.container, wanted)
    except RociError as error:
        return Piece(number, [], error.message)
    return Piece(number, found.lines, TOO_MUCH if found.truncated else None)


async def before(roci: Roci, asked: Sequence[tuple[Source, datetime.datetime]], count: int) -> list[Piece]:
    """Up to so many lines of each before a moment: near ones first, since an engine looks through all it has kept."""

    async def read(number: int, source: Source, moment: datetime.datetime) -> Piece:
        piece = Piece(number, [])
        for window in WINDOWS:
            since = None if window is None else (moment - datetime.timedelta(seconds=window)).isoformat()
            until = moment + datetime.timedelta(microseconds=1)  # engines tell finer times than can be asked for
            wanted = Wanted(None, since, until.isoformat(), timestamps=True, marked=True)
            piece = await _last(roci, number, source, wanted)
            if len(piece.lines) >= min(count, ENOUGH) or piece.reason is not None:
                break
        return replace(piece, lines=piece.lines[-count:], reason=None if len(piece.lines) > count else piece.reason)

    return await asyncio.gather(*(read(number, *each) for number, each in enumerate(asked)))


async def whole(roci: Roci, asked: Sequence[tuple[Source, Wanted]]) -> AsyncGenerator[tuple[int, str], None]:
    """Every line there is, merged by time, with the number of its source. Reads no faster than it is read."""
    async with contextlib.AsyncExitStack() as streams:
        readers = [await streams.enter_async_context(contextlib.aclosing(_lines(roci, *each))) for each in asked]
        heads: list[tuple[str, int, str]] = []
        await asyncio.gather(*(_push(heads, reader, number, "") for number, reader in enumerate(readers)))
        while heads:
            at, number, line = heapq.heappop(heads)
            yield number, line
            await _push(heads, readers[number], number, at)


async def _push(heads: list[tuple[str, int, str]], reader: AsyncGenerator[str, None], number: int, at: str) -> None:
    """A line without a time stays behind the one before it."""
    with contextlib.suppress(StopAsyncIteration):
        line = await anext(reader)
        heapq.heappush(heads, (moment_of(line) or at, number, line))


async def _lines(roci: Roci, source: Source, wanted: Wanted) -> AsyncGenerator[str, None]:
    """One after the other; where they cannot be read to the end, the last one says so."""
    try:
        async with contextlib.aclosing(await logs.read(roci, source.host_id, source.container, wanted)) as lines:
            async for some in lines:
                for line in some:
                    yield line
    except RociError as error:
        yield f"… {source.container}: {error.message} …"
