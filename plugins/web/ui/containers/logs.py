"""/logs: what containers say, of one or many at once; the same as a tab of hosts and applications.

A query names containers in the order of its pairs: each `container` is one of the `host` or `application` before it.
An application without containers stands for all of its own. `since` or `before` after a container is that container's.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from quart import Blueprint, Response, request

from roci import Actor, Invalid, NotFound, Roci, now

from ....agent import naming, wire
from ....agent.hub import Hub, Live
from ....domain import applications
from ....surfaces.http import JSON, actor, moment, needs, require, returns, roci, server, signed_in, uuid
from ....surfaces.stream import ServerSent, stream
from ....work import merged_logs
from ....work.logs import Wanted
from ....work.merged_logs import MOST, Piece, Source
from ... import shell
from ...language import _
from .. import shown

routes = Blueprint("logs", __name__)
TAIL = 500  # lines of each container that a page begins with
OLDER = 1000  # lines that come at once when older ones are asked for
PLAIN = {code: 0x2400 + code for code in range(32) if code != ord("\t")}  # control characters as their pictures
PLAIN |= {0x7F: 0x2421, **dict.fromkeys([*range(0x80, 0xA0), 0x2028, 0x2029], 0xFFFD)}
Pair = tuple[str, str]


@dataclass(frozen=True)
class Chosen:
    """A container that is read: from when on, or until when."""

    source: Source
    host: str
    since: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Choice:
    name: str
    status: str
    app: str
    is_chosen: bool


@dataclass(frozen=True)
class Group:
    """The containers of a host, or of an application, to choose from. None: unknown, its host cannot be asked."""

    kind: str
    id: str
    name: str
    choices: list[Choice] | None


def pairs() -> list[Pair]:
    """The query in its order."""
    return parse_qsl(request.query_string.decode("utf-8", "replace"))


async def chosen(asked: Sequence[Pair]) -> list[Chosen]:
    """What the query names, each once. Raises Forbidden, NotFound, Malformed, and Invalid for too many."""
    found: list[Chosen] = []
    scope: Pair | None = None
    for name, value in asked:
        if name in ("host", "application"):
            found += await _all_of(scope, found) if scope else []
            scope = (name, uuid(value))
            await require("containers.logs", f"{name}/{scope[1]}")
        elif name == "container":
            if scope is None:
                raise Invalid(_("container: say first of which host or application it is"))
            found.append(await _one(scope, value))
        elif name in ("since", "before") and found:
            moment(name, value)
            found[-1] = replace(found[-1], since=value) if name == "since" else replace(found[-1], before=value)
    found += await _all_of(scope, found) if scope else []
    once = {each.source: each for each in found}
    if len(once) > MOST:
        raise Invalid(_("container: at most %(most)s at once", most=MOST))
    return list(once.values())


async def _all_of(scope: Pair, before: Sequence[Chosen]) -> list[Chosen]:
    """All containers of an application of which none was named."""
    if scope[0] == "host":
        return []
    live, listed = await _of_application(scope[1])
    mine = [Chosen(Source(live.host.id, each.name), live.host.hostname) for each in listed or []] if live else []
    is_named = {each.source for each in mine} & {each.source for each in before}
    return [] if is_named else mine[:MOST]


async def _one(scope: Pair, text: str) -> Chosen:
    """A container by its name, its id or the beginning of that. One that a host has not listed is asked for as it is;
    an application's own are known."""
    if scope[0] == "host":
        live = shown.live(server(), scope[1])
        listed = live.containers
    else:
        found, listed = await _of_application(scope[1])
        if found is None or not naming.meant(text, listed or [], naming.reported):
            raise NotFound(_("the application has no container %(name)s now", name=text[:100]))
        live = found
    meant = naming.meant(text, listed or [], naming.reported)
    name = meant[0].name if len(meant) == 1 else text[:256]
    return Chosen(Source(live.host.id, name), live.host.hostname)


async def _of_application(id: str) -> tuple[Live | None, list[wire.Container] | None]:
    """Where it lies, and its containers there; None: unknown."""
    row = await roci.read(applications.get, id)
    live = server().part(Hub).roster.get(row.deployed_host_id or "")
    return live, live.containers_of(applications.project_key(row.name)) if live else None


# --- the pages ---


@routes.get("/logs")
@signed_in
async def index() -> Any:
    """What the chosen containers say; all that may be chosen."""
    here, who = server(), await actor()
    mine = [live for live in here.part(Hub).roster.values() if live.is_approved and _may(here, who, live)]
    if not mine and not pairs():
        await require("containers.logs")
    return await _page(pairs(), lambda asked: _groups(mine, asked), None)


def _may(here: Roci, who: Actor, live: Live) -> bool:
    return here.may(who, "containers.logs", f"host/{live.host.id}")


def _groups(mine: Sequence[Live], asked: Sequence[Chosen]) -> list[Group]:
    taken = {each.source for each in asked}
    names = sorted(mine, key=lambda live: live.host.hostname.lower())
    return [_group("host", live, live.containers if live.is_current else None, taken) for live in names]


def _group(kind: str, live: Live, listed: list[wire.Container] | None, taken: set[Source]) -> Group:
    if listed is None:
        return Group(kind, live.host.id, live.host.hostname, None)
    choices = [
        Choice(each.name, each.status, each.app or "", Source(live.host.id, each.name) in taken)
        for each in sorted(listed, key=lambda each: (each.app or "", each.name))
    ]
    return Group(kind, live.host.id, live.host.hostname, choices)


@routes.get("/hosts/<id>/logs")
@needs("containers.logs", on="host/{id}")
async def of_host(id: str) -> Any:
    """The same of one host."""
    live = shown.live(server(), id)
    subject = shell.Subject("host", id, live.host.hostname)
    return await _page([("host", id), *pairs()], lambda asked: _groups([live], asked), subject)


@routes.get("/applications/<id>/logs")
@needs("containers.logs", on="application/{id}")
async def of_application(id: str) -> Any:
    """The same of one application: all its containers, unless some are chosen."""
    row = await roci.read(applications.get, id)
    live, listed = await _of_application(id)

    def groups(asked: Sequence[Chosen]) -> list[Group]:
        taken = {each.source for each in asked}
        known = listed if live and live.is_current else None
        return [replace(_group("application", live, known, taken), id=id, name=row.name)] if live else []

    subject = shell.Subject("application", id, row.name)
    return await _page([("application", id), *pairs()], groups, subject)


async def _page(asked: Sequence[Pair], groups: Any, subject: shell.Subject | None) -> Any:
    found = await chosen(asked)
    is_plain = request.args.get("plain") == "1"
    wanted = Wanted(TAIL, timestamps=True, marked=True)
    lines = await merged_logs.last(server(), [(each.source, wanted) for each in found]) if is_plain else []
    return await shell.render(
        "containers/logs.html",
        _("Logs"),
        ("containers", "hosts"),
        subject,
        scripts=("logs.js", "logs_list.js", "logs_feed.js", "logs_page.js", "logs_pick.js"),
        styles=("logs.css",),
        chosen=found,
        picks=groups(found) if is_plain or request.args.get("part") == "pick" or not found else None,
        scope=next((pair for pair in asked if pair[0] in ("host", "application")), None) if subject else None,
        rows=_rows(found, lines),
        problems=[(found[each.source].source.container, each.reason) for each in lines if each.reason],
        is_plain=is_plain,
        most=MOST,
        query=request.args,
    )


def _rows(found: Sequence[Chosen], pieces: Sequence[Piece]) -> list[tuple[str, str, str, bool]]:
    """The last lines of all by their time: time, container, text, whether it is of standard error."""
    dated = []
    for piece in pieces:
        at = ""
        for line in piece.lines:
            moment_of = merged_logs.moment_of(line)
            at = moment_of or at
            is_error, line = line.startswith(wire.MARK), line.removeprefix(wire.MARK)
            text = line.partition(" ")[2] if moment_of else line
            dated.append((at, found[piece.source].source.container, text[:2000], is_error))
    return sorted(dated, key=lambda row: row[0])[-TAIL:]


# --- what the pages ask for ---


@routes.get("/logs/stream")
@signed_in
@returns(str, media="text/event-stream", query={"host": "string", "container": "string", "since": "string"})
async def follow() -> Any:
    """Follow containers: events `lines` ({"c", "lines"}; `c` counts them from 0) and `end` ({"c", "reason"}), at last
    `over`. `tail` is for those without `since`."""
    asked = await chosen(pairs())
    tail = _count("tail", TAIL)
    each = [(one.source, Wanted(None if one.since else tail, one.since, None, True, True)) for one in asked]
    return stream(roci, _events(merged_logs.follow(server(), each)))


async def _events(pieces: AsyncGenerator[Piece, None]) -> AsyncIterator[ServerSent]:
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            if piece.reason is None:
                yield ServerSent("lines", {"c": piece.source, "lines": piece.lines})
            else:
                yield ServerSent("end", {"c": piece.source, "reason": piece.reason})
    yield ServerSent("over", {})


def _count(name: str, usual: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 6 else usual


@routes.get("/logs/older")
@signed_in
@returns(list[Any], query={"host": "string", "container": "string", "before": "string"})
async def older() -> Any:
    """Lines before a moment, of each container: a list of {"source", "lines", "reason"}."""
    asked = await chosen(pairs())
    until = [(one.source, moment("before", one.before) if one.before else now()) for one in asked]
    found = await merged_logs.before(server(), until, OLDER)
    return Response(msgspec.json.encode(found), content_type=JSON)


@routes.get("/logs/download")
@signed_in
@returns(str, media="text/plain", query={"host": "string", "container": "string", "from": "string", "to": "string"})
async def download() -> Any:
    """All lines there are, or those between two moments, as a file: of one container as they are, of several with
    their names, and without control characters, so that none can write a line in the name of another."""
    asked = await chosen(pairs())
    if not asked:
        raise Invalid(_("container: choose at least one"))
    times = {name: request.args.get(name) or None for name in ("from", "to")}
    since, until = (text and moment(name, text).isoformat() for name, text in times.items())
    each = [(one.source, Wanted(None, since, until, True)) for one in asked]
    names = [one.source.container for one in asked] if len(asked) > 1 else None
    response = Response(_text(merged_logs.whole(server(), each), names), content_type="text/plain; charset=utf-8")
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in asked[0].source.container)
    at = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    response.headers["Content-Disposition"] = f'attachment; filename="{name if not names else "logs"}-{at}.log"'
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None
    return response


async def _text(lines: AsyncGenerator[tuple[int, str], None], names: list[str] | None) -> AsyncGenerator[bytes, None]:
    """In pieces of many lines. `names`: of several containers, each line with its own."""
    waiting: list[str] = []
    size = 0
    async with contextlib.aclosing(lines):
        async for number, line in lines:
            waiting.append(f"{line if names is None else _plain(f'{names[number]} {line}')}\n")
            size += len(line)
            if size > 64 * 1024:
                yield "".join(waiting).encode()
                waiting, size = [], 0
    yield "".join(waiting).encode()


def _plain(line: str) -> str:
    return line if line.isprintable() else line.translate(PLAIN)
