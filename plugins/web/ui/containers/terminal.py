"""The tabs with a terminal, on a host and in a container, and the socket that it speaks over.

The socket is for pages of ours only: a browser would open it for any other page too, with its user's cookie. So the
origin must be said, and be ours, whoever asks. What let it in is asked for again as long as it is open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

import msgspec
from quart import Blueprint, make_response, request, websocket

from roci import Forbidden, Malformed, Roci, RociError

from ....agent import terminal_wire, wire
from ....agent.abilities import NOT_BY_DEFAULT
from ....agent.hub import Hub, Live
from ....core.app import PAGE_POLICY
from ....domain import applications
from ....surfaces.http import actor, needs, own_names, server, standing, uuid
from ....surfaces.stream import Doubts
from ....work.operate import Operator
from ....work.terminal import Terminal, Viewer, Wish
from ....work.terminals import RIGHT_ENDED, Terminals
from ... import shell
from .. import shown

routes = Blueprint("terminal", __name__)
# xterm.js writes style elements of its own; nothing else of the page is held less strictly.
POLICY = f"{PAGE_POLICY}; style-src 'self' 'unsafe-inline'"
FIRST_WITHIN = 10.0  # seconds until the first frame
SENDING = 20.0  # seconds that one frame may take
LONGEST = 32 * 1024  # characters of a frame that comes in
REFUSED, RESTART = 1008, 1012  # close codes

Lines = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


# --- what a browser says -----------------------------------------------------


class Frame(msgspec.Struct, tag_field="type", kw_only=True, forbid_unknown_fields=True):
    pass


class Open(Frame, tag="open", kw_only=True):
    """The first frame: a new one, or, with `terminal`, one that is open."""

    terminal: str = ""
    container: str | None = None
    shell: str = ""
    name: str = ""
    rows: Lines = 24
    cols: Lines = 80


class Typed(Frame, tag="input", kw_only=True):
    seq: Count
    data: str


class Resized(Frame, tag="resize", kw_only=True):
    rows: Lines
    cols: Lines


class Shown(Frame, tag="shown", kw_only=True):
    at: Count


class Close(Frame, tag="close", kw_only=True):
    pass


_frames = msgspec.json.Decoder(Open | Typed | Resized | Shown | Close)


async def _hear() -> Open | Typed | Resized | Shown | Close:
    """The next frame. Raises Malformed."""
    frame = await websocket.receive()
    if not isinstance(frame, str) or len(frame) > LONGEST:
        raise Malformed("a frame is text, and short")
    try:
        return cast("Open | Typed | Resized | Shown | Close", _frames.decode(frame))
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(str(error)[:100]) from None


# --- the socket --------------------------------------------------------------


def check_same_origin() -> None:
    """Raises Forbidden for a socket that no page of ours opened."""
    origin = urlsplit(websocket.headers.get("Origin", ""))
    if origin.scheme not in ("http", "https") or origin.netloc not in own_names():
        raise Forbidden("a terminal is opened by a page of this server only")
    if websocket.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Forbidden("a terminal is opened by a page of this server only")


@routes.websocket("/ws/terminal/<id>")
@needs("hosts.terminal", on="host/{id}")
async def speak(id: str) -> None:
    """Open a terminal on a host, or take one up again, and speak for it until either side leaves."""
    check_same_origin()
    holds = standing()
    await websocket.accept()
    try:
        terminal = await _terminal(id)
    except (RociError, TimeoutError) as error:
        words = error.message if isinstance(error, RociError) else "nothing was asked for in time"
        await _send({"type": "refused", "reason": words})
        return await websocket.close(REFUSED, "")
    await _serve(server(), terminal, holds)


async def _terminal(host_id: str) -> Terminal:
    here, who = server(), await actor()
    async with asyncio.timeout(FIRST_WITHIN):
        first = await _hear()
    if not isinstance(first, Open):
        raise Malformed("the first frame says which terminal")
    terminals = here.part(Operator).terminals
    if not first.terminal:
        wish = Wish(first.container, first.shell, first.name, first.rows, first.cols)
        return await terminals.open(host_id, who, wish)
    terminal = terminals.get(first.terminal, who, host_id)
    terminal.resize(first.rows, first.cols)
    return terminal


async def _serve(here: Roci, terminal: Terminal, holds: Any) -> None:
    """Until the viewer leaves, the right to it ends, or ROCI does."""
    terminals = here.part(Operator).terminals
    viewer = terminals.attach(terminal)
    ends = {
        "told": _tell(terminal.frames(viewer)),
        "heard": _listen(terminals, terminal, viewer),
        "lost": here.part(Doubts).until_lost(holds),
        "drained": here.draining.wait(),
    }
    tasks = {name: asyncio.ensure_future(work) for name, work in ends.items()}
    try:
        done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    finally:  # nothing is waited for here: this may be cancelled again
        if tasks["lost"].done():
            terminals.close(terminal, RIGHT_ENDED)
        terminals.detach(terminal, viewer)
        for task in tasks.values():
            task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    await _part(tasks, done)


async def _part(tasks: Mapping[str, asyncio.Future[Any]], done: Iterable[asyncio.Future[Any]]) -> None:
    if tasks["drained"] in done:
        return await websocket.close(RESTART, "the server restarts")
    if tasks["lost"] in done:
        return await websocket.close(REFUSED, RIGHT_ENDED)
    for failed in filter(None, (task.exception() for task in done)):
        if not isinstance(failed, TimeoutError | Malformed):
            raise failed
        return await websocket.close(REFUSED, str(failed)[:100] or "this browser does not read")
    await websocket.close(1000, "")


async def _send(frame: dict[str, Any]) -> None:
    async with asyncio.timeout(SENDING):
        await websocket.send(msgspec.json.encode(frame).decode())


async def _tell(frames: AsyncIterator[dict[str, Any]]) -> None:
    async with contextlib.aclosing(cast(Any, frames)):
        async for frame in frames:
            await _send(frame)


async def _listen(terminals: Terminals, terminal: Terminal, viewer: Viewer) -> None:
    """Take in what is typed. Returns when the terminal is to be closed."""
    while True:
        match await _hear():
            case Typed(seq=seq, data=data) if not viewer.gone:
                terminal.type(seq, data)
            case Resized(rows=rows, cols=cols) if not viewer.gone:
                terminal.resize(rows, cols)
            case Shown(at=at):
                terminal.shown(viewer, at)
            case Close():
                return terminals.close(terminal)
            case Open():
                raise Malformed("this socket has its terminal")


# --- the pages ---------------------------------------------------------------


def _running(live: Live | None, containers: Sequence[wire.Container] | None) -> list[str]:
    """The names of those that run, as far as that is known."""
    known = containers if live and live.is_current else None
    return sorted(each.name for each in known or () if each.status == "running")


def _why_not(live: Live | None) -> str:
    """Why no terminal can be opened there: `away`, `old`, `off`; empty: it can."""
    if live is None or live.link is None or not live.is_approved:
        return "away"
    if terminal_wire.CAPABILITY in live.link.capabilities:
        return ""
    return "off" if any(wire.kind_of(hand) in live.link.capabilities for hand in wire.HANDS) else "old"


def _allow(live: Live | None) -> list[str]:
    """What a host must name to allow terminals beside what it allows now."""
    offered = live.link.capabilities if live and live.link else frozenset()
    return [name for name in NOT_BY_DEFAULT if name in offered or name == terminal_wire.CAPABILITY]


async def _page(subject: shell.Subject, live: Live | None, containers: list[str], on_host: bool) -> Any:
    here, who = server(), await actor()
    host = live.host if live else None
    allowed = host is not None and here.may(who, "hosts.terminal", f"host/{host.id}")
    mine = here.part(Operator).terminals.of(who, host.id) if host and allowed else []
    wanted, why_not = request.args.get("container", ""), _why_not(live)
    is_known = live is not None and live.is_current
    page = await shell.render(
        "containers/terminal.html",
        subject.name,
        ("hosts", "containers", "applications"),
        subject,
        scripts=("terminal.js",),
        styles=("terminal.css",),
        libraries=("xterm.css", "xterm.js", "addon-fit.js"),
        host=host,
        allowed=allowed,
        why_not=why_not,
        allow=_allow(live),
        on_host=on_host,
        containers=containers,
        is_known=is_known,
        wanted=wanted if wanted in containers else "",
        missing=wanted if on_host and is_known and wanted not in containers else "",
        mine=[each for each in mine if on_host or each.wish.container in containers],
        shells=terminal_wire.SHELLS,
        keep=int(terminal_wire.KEEP),
    )
    response = await make_response(page)
    response.headers["Content-Security-Policy"] = POLICY
    return response


@routes.get("/hosts/<id>/terminal")
@needs("hosts.terminal", on="host/{id}")
async def on_host(id: str) -> Any:
    """Terminals on a host and in its containers. `?container=` opens one there at once."""
    live = shown.live(server(), uuid(id))
    subject = shell.Subject("host", live.host.id, live.host.hostname)
    return await _page(subject, live, _running(live, live.containers), on_host=True)


@routes.get("/applications/<id>/terminal")
@needs("hosts.terminal", on="application/{id}")
async def on_application(id: str) -> Any:
    """Terminals in an application's containers. The permission is asked for on the host where they are, too."""
    here = server()
    app = await here.read(applications.get, id)
    live = here.part(Hub).roster.get(app.deployed_host_id or app.host_id or "")
    mine = live.containers_of(applications.project_key(app.name)) if live else None
    return await _page(shell.Subject("application", id, app.name), live, _running(live, mine), on_host=False)
