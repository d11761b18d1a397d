"""What changed, told to open pages by one stream each: names of topics, once a second. They ask for the rest.

Topics: `hosts` (they came, went, were decided on), `beats` (how any of them is doing, and what the clock alone changes:
told every fifteen seconds at least), `containers` (others than before), `containers/ID` (which there are on one host,
not how they are), `host/ID` (all of one host), `applications`, `application/ID` (all that is recorded of one, its
secrets too), `operations`, `operations/ID` (those on one host), `alerts`, `policies`, `any` (whatever is kept in the
audit), and else the noun of an event: `channel`, `role`, `token`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, cast

from quart import Blueprint, g, jsonify, request

from roci import Event, Roci, __version__, hookimpl

from ..agent import wire
from ..agent.hub import Hub, Live
from ..domain.applications import ApplicationRemoved
from ..domain.events import filing
from ..domain.hosts import HostRemoved
from ..surfaces.http import returns, roci, server, signed_in
from ..surfaces.stream import ServerSent, stream
from .forms import form_token

routes = Blueprint("live", __name__)
PAUSE = 1.0  # seconds between two notices to one page
ALIVE = 15.0  # seconds without a notice after which pages are told that there was none
BEATS = 5.0  # seconds between two of `beats`
MOST = 20  # topics of one page
TOPICS = {
    "host": "hosts",
    "policy": "policies",
    "application": "applications",
    "deployment": "applications",
    "operation": "operations",
    "alert": "alerts",
    "threshold": "alerts",
    "host_card": "hosts",
    "delivery_given": "alerts",  # DeliveryGivenUp
    "identity": "principal",
}


class Changes:
    """Who waits for what. Also a watcher of the hub, since how hosts are is no event."""

    def __init__(self) -> None:
        self._readers: set[Reader] = set()
        self._process = secrets.token_hex(4)  # moments of others mean nothing to this one
        self._last: dict[str, int] = {}  # when each topic changed, in nanoseconds
        self._ills: dict[str, tuple[str | None, bool]] = {}  # what ails each engine, and whether it is known what runs
        self._names: dict[str, int] = {}  # a hash of the ids and names of the containers of each host
        self._beats_told = 0.0

    def note(self, *topics: str) -> None:
        self._last.update(dict.fromkeys(topics, time.monotonic_ns()))
        for reader in self._readers:
            reader.note(topics)

    def joined(self, live: Live) -> None:
        self.note("hosts", f"host/{live.host.id}")

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        id = live.host.id
        self.note(f"host/{id}", *(["containers"] if containers is not None else []))
        names = hash(frozenset((each.id, each.name) for each in containers or ()))
        if containers is not None and self._names.get(id) != names:
            self._names[id] = names
            self.note(f"containers/{id}")
        if self._ills.get(id) != (how := (live.engine_error, live.is_current)):
            self._ills[id] = how
            self.note("hosts", "containers", f"containers/{id}")
        if (at := time.monotonic()) >= self._beats_told + BEATS:
            self._beats_told = at
            self.note("beats")

    def left(self, live: Live) -> None:
        self._ills.pop(live.host.id, None)
        self.note("hosts", f"host/{live.host.id}")

    def forget(self, noun: str, id: str) -> None:
        """A host or an application that is no more."""
        self._ills.pop(id, None)
        self._names.pop(id, None)
        for about in (noun, "containers", "operations"):
            self._last.pop(f"{about}/{id}", None)

    def moment(self, at: int) -> str:
        """How a page says which moment of this process it shows."""
        return f"{self._process}-{at}"

    def _changed_since(self, moment: str, topics: set[str]) -> set[str]:
        """Those of these topics that may have changed since then: all, where the moment is another process's."""
        process, _, at = moment.partition("-")
        if process != self._process or not re.fullmatch("[0-9]{1,19}", at):
            return topics
        return {topic for topic in topics if self._last.get(topic, 0) >= int(at)}

    async def follow(self, topics: set[str], since: str | None = None) -> AsyncIterator[ServerSent]:
        """Each of these topics when something of it changed, but not in every moment.

        `since`: the moment that the page shows, see `moment`; what changed between then and now is told at once.
        """
        reader = Reader(topics)
        if since is not None:
            reader.note(self._changed_since(since, topics))
        self._readers.add(reader)
        try:
            yield ServerSent("ready", __version__)
            beats_at = time.monotonic()
            while True:
                try:
                    async with asyncio.timeout(ALIVE):
                        changed = await reader.take()
                except TimeoutError:
                    changed = {"alive"}
                if "alive" in changed or time.monotonic() >= beats_at + ALIVE:
                    changed |= topics & {"beats"}
                if "beats" in changed:
                    beats_at = time.monotonic()
                for topic in sorted(changed):
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

    def note(self, topics: Iterable[str]) -> None:
        if wanted := self._topics.intersection(topics):
            self._changed |= wanted
            self._any.set()

    async def take(self) -> set[str]:
        await self._any.wait()
        self._any.clear()
        changed, self._changed = self._changed, set()
        return changed


@routes.get("/live")
@signed_in
@returns(str, media="text/event-stream")
async def show() -> Any:
    """Follow what changes: `?topics=hosts,operations`, and `&since=` the moment that the page shows."""
    wanted = set(request.args.get("topics", "").split(",")[:MOST])
    return stream(roci, server().part(Changes).follow(wanted, request.args.get("since")))


@routes.before_app_request
async def _note_moment() -> None:
    g.asked_at = time.monotonic_ns()


def moment() -> str:
    """When the present request began: what it answers is not older.

    A page says it to its stream, and so misses nothing that changes while it is on its way to the browser, or while it
    waits there to be shown again.
    """
    return server().part(Changes).moment(g.asked_at)


@routes.get("/token")
@signed_in
@returns(dict[str, str])
async def token() -> Any:
    """The token of forms: for a page that was open while its reader signed in anew."""
    response = jsonify(token=form_token())
    response.headers["Cache-Control"] = "no-store"
    return response


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
    if changes is None:
        return
    noun = filing(cast(Any, type(event))).noun
    changes.note(TOPICS.get(noun, noun), "any", *_about(event, noun))
    if isinstance(event, HostRemoved):
        changes.forget("host", event.host_id)
    if isinstance(event, ApplicationRemoved):
        changes.forget("application", event.application_id)


def _about(event: Event, noun: str) -> Iterator[str]:
    """The topics of the one host and the one application that it is about."""
    if host := getattr(event, "host_id", None):
        yield f"host/{host}"
        if noun == "operation":
            yield f"operations/{host}"
    if application := getattr(event, "application_id", None):
        yield f"application/{application}"
    if (scope := str(getattr(event, "scope", ""))).startswith("application/"):
        yield scope
