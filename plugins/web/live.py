"""What changed, told to open pages by one stream each: names of topics, once a second. They ask for the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

from quart import Blueprint, request

from roci import Event, Roci, hookimpl

from ..agent import wire
from ..agent.hub import Hub, Live
from ..domain.events import filing
from ..surfaces.http import returns, roci, signed_in
from ..surfaces.stream import ServerSent, stream
from .forms import server

routes = Blueprint("live", __name__)
PAUSE = 1.0  # seconds between two notices to one page
TOPICS = {
    "host": "hosts",
    "policy": "hosts",
    "application": "applications",
    "deployment": "applications",
    "operation": "operations",
    "alert": "alerts",
    "threshold": "alerts",
}


class Changes:
    """Who waits for what. Also a watcher of the hub, since how hosts are is no event."""

    def __init__(self) -> None:
        self._readers: set[Reader] = set()

    def note(self, topic: str) -> None:
        for reader in self._readers:
            reader.note(topic)

    def joined(self, live: Live) -> None:
        self.note("hosts")

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        self.note("hosts")

    def left(self, live: Live) -> None:
        self.note("hosts")

    async def follow(self, topics: set[str]) -> AsyncIterator[ServerSent]:
        """Each of these topics when something of it changed, but not in every moment."""
        reader = Reader(topics)
        self._readers.add(reader)
        try:
            yield ServerSent("ready", "")
            while True:
                for topic in await reader.take():
                    yield ServerSent(topic, "")
                await asyncio.sleep(PAUSE)
        finally:
            self._readers.discard(reader)


class Reader:
    """One page's stream: the topics that changed since it was told last."""

    def __init__(self, topics: set[str]) -> None:
        self._topics = topics
        self._changed: set[str] = set()
        self._any = asyncio.Event()

    def note(self, topic: str) -> None:
        if topic in self._topics:
            self._changed.add(topic)
            self._any.set()

    async def take(self) -> list[str]:
        await self._any.wait()
        self._any.clear()
        changed, self._changed = self._changed, set()
        return sorted(changed)


@routes.get("/live")
@signed_in
@returns(str, media="text/event-stream")
async def show() -> Any:
    """Follow what changes: `?topics=hosts,operations`."""
    wanted = set(request.args.get("topics", "").split(",")) & set(TOPICS.values())
    return stream(roci, server().part(Changes).follow(wanted))


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    changes = Changes()
    roci.provide(changes)
    roci.part(Hub).watchers.append(changes)
    yield


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    changes = roci.find(Changes)
    if changes and (topic := TOPICS.get(filing(cast(Any, type(event))).noun)):
        changes.note(topic)
