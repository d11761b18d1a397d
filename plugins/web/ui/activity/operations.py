"""/operations: what was and is done to hosts; one with its output as it comes; a tray of what is under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from quart import Blueprint, Response, redirect, request

from roci import NotFound

from ....agent.hub import Hub
from ....domain import applications, operations
from ....domain.applications import Application
from ....domain.operations import KEPT, Operation
from ....surfaces.http import actor, needs, returns, roci, server, signed_in
from ....surfaces.stream import ServerSent, stream
from ....work.operate import Operator
from ....work.run import MARK, Run
from ... import shell
from ...forms import sent
from ...language import _
from .. import lists, shown
from ..applications.places import Place, places
from . import doings

routes = Blueprint("operations", __name__, url_prefix="/operations")
routes.app_template_global("title_of")(doings.title)
PER_PAGE = 50
IN_TRAY = 8
FILTERS = {
    "status": "status",
    "kind": "kind",
    "host": "host_id",
    "application": "application_name",
    "who": "actor_name",
    "of": "application_id",
}


@routes.get("")
@needs("operations.read")
async def index() -> Any:
    """The newest first; those of a status, kind, host, application or somebody where asked."""
    given = {name: request.args.get(name, "").strip() for name in FILTERS}
    wanted = {FILTERS[name]: value for name, value in given.items() if value}
    leaf = await lists.leaf_of(lambda limit, offset: roci.read(operations.list_, limit, offset, **wanted), PER_PAGE)
    who, is_whole = await actor(), "part" not in request.args
    apps = shown.readable(server(), who, await roci.read(applications.all_)) if is_whole else []
    return await shell.render(
        "activity/operations.html",
        _("Operations"),
        ("operations",),
        scripts=("filters.js",),
        styles=("output.css",),
        **vars(leaf),
        given=given,
        statuses=("running", *sorted(operations.ENDS)),
        kinds={name: doings.kind(name) for name in sorted(roci.operations)},
        hosts=shown.choosable(server(), who) if is_whole else [],
        names=[app.name for app in apps],
        doings=doings,
        tone=shown.tone,
    )


@routes.get("/running")
@signed_in
async def running() -> Any:
    """What is under way, for the head of each page, which asks for the part `tray`."""
    here = server()
    may_see = here.may(await actor(), "operations.read")
    rows, total = await here.read(operations.list_, IN_TRAY, status="running") if may_see else ([], 0)
    return await shell.render(
        "activity/running.html",
        _("Operations"),
        ("operations",),
        styles=("output.css",),
        rows=rows,
        total=total,
        may_see=may_see,
        doings=doings,
        tone=shown.tone,
    )


@routes.get("/<id>")
@needs("operations.read")
async def show(id: str) -> Any:
    """One operation. While it runs, its output comes in by itself."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    row, app = await roci.read(_told, id)
    output = run.so_far if run and row.status == "running" else row.output
    plain = "" if request.args.get("part") else doings.plain(output)
    leads_on = app is not None and row.kind == "deploy" and row.status == "succeeded"
    return await shell.render(
        "activity/operation.html",
        doings.title(row),
        ("operations", "hosts", "applications", "containers"),
        scripts=("output.js",),
        styles=("output.css",),
        row=row,
        app=app,
        leads_on=leads_on,
        places=_places(app) if app and leads_on else [],
        plain=plain,
        is_raw=plain != output,
        is_cut=len(output) >= KEPT,
        can_cancel=run is not None and _can_cancel(row),
        reloads=row.status == "running",
        doings=doings,
        tone=shown.tone,
    )


def _told(id: str) -> tuple[Operation, Application | None]:
    row = operations.get(id)
    try:
        return row, applications.get(row.application_id or "")
    except NotFound:
        return row, None


def _can_cancel(row: Operation) -> bool:
    live = server().part(Hub).roster.get(row.host_id)
    return bool(live and live.link and "cancel" in live.link.capabilities)


def _places(app: Application) -> list[Place]:
    """Where a browser finds what an application publishes."""
    live = server().part(Hub).roster.get(app.deployed_host_id or "")
    found = live.containers_of(applications.project_key(app.name)) if live and live.is_current else None
    every = [place for each in found or () for place in places(each, live.host) if place.url] if live else []
    return list(dict.fromkeys(every))


@routes.get("/<id>/output.txt")
@needs("operations.read")
@returns(str, media="text/plain")
async def output(id: str) -> Any:
    """All of the output that is kept, or was said so far, as it was said."""
    run = roci.part(Operator).run(id)
    row = await roci.read(operations.get, id)
    text = run.so_far if run and row.status == "running" else row.output
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'inline; filename="{row.kind}-{row.id[:8]}.txt"'}
    return Response(text, content_type="text/plain; charset=utf-8", headers=headers)


@routes.get("/<id>/live")
@needs("operations.read")
@returns(str, media="text/event-stream")
async def follow(id: str) -> Any:
    """Output as it comes, in numbered pieces. Who had some already says up to where, and of which process that was."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    row = await roci.read(operations.get, id)
    after = lists.number("after") or 0 if request.args.get("mark") == MARK else -1
    return stream(roci, _live(run, after) if run else _past(row))


async def _past(row: Operation) -> AsyncIterator[ServerSent]:
    yield ServerSent("end", {"status": row.status, "missed": True})


async def _live(run: Run, after: int) -> AsyncIterator[ServerSent]:
    async for number, text in run.follow(after):
        yield ServerSent("output", {"number": number, "text": text, "mark": MARK})
    yield ServerSent("end", {"status": run.ended and run.ended.status, "missed": False})


@routes.post("/<id>/cancel")
@needs("operations.cancel")
async def cancel(id: str) -> Any:
    """Ask the agent to stop it."""
    await sent()
    here = server()
    await here.part(Operator).cancel(id)
    return redirect(f"/operations/{id}", 303)
