"""What all containers of an application print, merged: the last lines by their time, or what comes as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

from roci import Conflict, Invalid, Roci

from ..agent.hub import Hub
from ..domain import applications
from . import logs
from .logs import Wanted

MOST = 50  # containers that are read at once
Lines = AsyncGenerator[list[str], None]


@dataclass(frozen=True)
class Said:
    container: str
    line: str


@dataclass(frozen=True)
class Merged:
    lines: list[Said]
    truncated: bool


async def last(roci: Roci, application_id: str, wanted: Wanted) -> Merged:
    """The last lines of all, the oldest first. Raises as `logs.last` does, Conflict where it lies on no host."""
    host_id, names = await _where(roci, application_id)
    dated = dataclasses.replace(wanted, timestamps=True)
    answers = await asyncio.gather(*(logs.last(roci, host_id, name, dated) for name in names))
    said = [(line, name) for name, found in zip(names, answers, strict=True) for line in found.lines]
    said.sort(key=lambda each: each[0].partition(" ")[0])
    shown = [Said(name, line if wanted.timestamps else line.partition(" ")[2]) for line, name in said]
    return Merged(shown[-(wanted.tail or 0) :], any(found.truncated for found in answers))


async def follow(roci: Roci, application_id: str, wanted: Wanted) -> AsyncGenerator[tuple[str, list[str]], None]:
    """The same as they come, each with its container's name, until the last of those that run now has ended."""
    host_id, names = await _where(roci, application_id)
    return _merged({name: await logs.follow(roci, host_id, name, wanted) for name in names})


async def _where(roci: Roci, application_id: str) -> tuple[str, list[str]]:
    """The host that an application lies on, and its containers there, as the host told last."""
    row = await roci.read(applications.get, application_id)
    if row.deployed_host_id is None:
        raise Conflict("the application lies on no host: deploy it first")
    hub, project = roci.part(Hub), applications.project_key(row.name)
    hub.able(row.deployed_host_id, "logs")
    names = [each.name for each in hub.roster[row.deployed_host_id].containers_of(project) or ()]
    if len(names) > MOST:
        raise Invalid(f"the application has more than {MOST} containers: read them one by one")
    return row.deployed_host_id, names


async def _merged(streams: Mapping[str, Lines]) -> AsyncGenerator[tuple[str, list[str]], None]:
    """Each stream waits until its lines are taken. The first that fails ends them all."""
    ready: asyncio.Queue[tuple[str, list[str]]] = asyncio.Queue(1)

    async def read(name: str, lines: Lines) -> None:
        async with contextlib.aclosing(lines):
            async for some in lines:
                await ready.put((name, some))

    readers = {asyncio.create_task(read(name, lines)) for name, lines in streams.items()}
    coming = asyncio.ensure_future(ready.get())
    try:
        while readers or coming.done() or not ready.empty():
            done, _ = await asyncio.wait({coming, *readers}, return_when=asyncio.FIRST_COMPLETED)
            if coming in done:
                said, coming = coming.result(), asyncio.ensure_future(ready.get())
                yield said
                continue
            for reader in done:
                reader.result()
            readers -= done
            await asyncio.sleep(0)  # what the last of them put is taken first
    finally:
        for task in (coming, *readers):
            task.cancel()
        await asyncio.gather(coming, *readers, return_exceptions=True)
