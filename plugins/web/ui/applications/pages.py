"""/applications: all; one with its services and its file; deploy, stop, start, restart; its containers one by one."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Blueprint, request

from roci import NotFound, Sensitive

from ....agent.hub import Hub
from ....domain import applications, operations
from ....domain.applications import Application
from ....domain.operations import Operation
from ....surfaces.http import actor, needs, require, roci, server, signed_in
from ....work import deploy, execute
from ... import shell
from ...forms import done, local_path, sent
from ...language import N_, _
from .. import diffs, lists, shown
from ..activity import doings
from . import manage, services
from . import rows as approws

routes = Blueprint("applications", __name__, url_prefix="/applications")
routes.register_blueprint(manage.routes)
PER_PAGE = 100
WAIT = 20.0  # seconds a form waits for what it asked of a container
BEGUN = {
    "deploy": N_("%(name)s is being deployed"),
    "restart": N_("%(name)s is being restarted"),
    "stop": N_("%(name)s is being stopped"),
    "start": N_("%(name)s is being started"),
}
DONE = {
    "restart": N_("%(name)s was restarted"),
    "stop": N_("%(name)s was stopped"),
    "start": N_("%(name)s was started"),
}


@routes.get("")
@needs("applications.read")
async def index() -> Any:
    """All applications, what failed first; those asked for."""
    here = server()
    given = {name: request.args.get(name, "").strip() for name in ("q", "host", "status")}
    found = approws.matching(await here.read(approws.all_, here), given["q"], given["host"])
    wanted = [row for row in found if given["status"] in ("", row.app.status)]
    leaf = lists.leaf(wanted, PER_PAGE)
    return await shell.render(
        "applications/applications.html",
        _("Applications"),
        ("applications", "hosts", "containers"),
        scripts=("filters.js",),
        styles=("applications.css",),
        **vars(leaf),
        counts=approws.counts(found),
        all=len(found),
        given=given,
        hosts=[] if "part" in request.args else shown.choosable(here, await actor()),
        tone=shown.tone,
    )


@routes.get("/<id>")
@needs("applications.read", on="application/{id}")
async def show(id: str) -> Any:
    """One application: what runs of each of its services, and what can be done."""
    here, part = server(), request.args.get("part")
    app, text, doing = await here.read(_told, id)
    live = here.part(Hub).roster.get(app.deployed_host_id or "")
    assigned = here.part(Hub).roster.get(app.host_id or "")
    found = services.of(app, await services.named(text), live)
    return await shell.render(
        "applications/application.html",
        app.name,
        ("applications", "operations", "hosts", "containers"),
        shell.Subject("application", id, app.name),
        styles=("applications.css",),
        app=app,
        row=approws.rows(here, [app])[0],
        doing=doing,
        services=found,
        named=await services.named(text) if found is None else {},
        host=live.host if live else assigned.host if assigned else None,
        is_connected=live.is_connected if live else None,
        has_terminal=bool(live and live.link and "terminal" in live.link.capabilities),
        hosts=[] if part not in (None, "deploy") else shown.choosable(here, await actor(), app.host_id),
        panels=[] if part else await here.part(shell.Shell).panels_of(here, "application", id, await actor()),
        doings=doings,
        tone=shown.tone,
    )


def _told(id: str) -> tuple[Application, str, Operation | None]:
    """With what is being done to it now."""
    app = applications.get(id)
    under_way, _total = operations.list_(1, application_id=id, status="running")
    return app, applications.text(app), under_way[0] if under_way else None


@routes.get("/<id>/compose")
@needs("applications.read", on="application/{id}")
async def compose(id: str) -> Any:
    """Its file, and what became of it since it was deployed."""

    def read() -> tuple[Application, str, str | None]:
        app = applications.get(id)
        ran = app.running_revision or app.deployed_revision
        return app, applications.text(app), applications.text(app, ran) if ran and ran != app.revision else None

    app, text, before = await server().read(read)
    changed = await asyncio.to_thread(diffs.lines, before, text) if before is not None else None
    return await shell.render(
        "applications/compose.html",
        _("Compose"),
        ("applications",),
        shell.Subject("application", id, app.name),
        styles=("applications.css", "diff.css"),
        app=app,
        lines=text.splitlines(),
        ran=app.running_revision or app.deployed_revision,
        changed=changed,
    )


@routes.post("/<id>/deploy")
@needs("applications.deploy")
async def begin(id: str) -> Any:
    """Deploy it, with secrets for this one time as lines NAME=value, and newer images, and lead to the output."""
    form = await sent()
    lines = [line.partition("=") for line in form.get("secrets", "").splitlines() if line.strip()]
    secrets = {name.strip(): Sensitive(value) for name, _equals, value in lines}
    terms = deploy.Terms(pull=form.get("pull") == "yes")
    operation = await deploy.deploy(server(), id, form.get("host_id") or None, secrets, terms)
    return done(*await doings.lead(operation, f"/applications/{id}"))


@routes.post("/<id>/<action>")
@needs("applications.deploy")
async def act(id: str, action: str) -> Any:
    """Stop, start or restart it, and lead back to where that was asked."""
    form, here = await sent(), server()
    if action == "restart":
        operation = (await execute.restart(here, id)).operation
    elif action in ("stop", "start"):
        operation = await (deploy.stop if action == "stop" else deploy.start)(here, id)
    else:
        raise NotFound(_("there is nothing at %(path)s", path=request.path))
    back = form.get("back", "")
    return done(local_path(back) if back else f"/applications/{id}", _(BEGUN[action], name=operation.application_name))


@routes.post("/<id>/containers/<container>/<action>")
@signed_in
async def control(id: str, container: str, action: str) -> Any:
    """Start, stop or restart one of its containers. What takes long, or fails, leads to the operation."""
    await require("applications.read", f"application/{id}")
    app = await roci.read(applications.get, id)
    host_id = app.deployed_host_id or ""
    await require("containers.control", f"host/{host_id}")
    await sent()
    live = server().part(Hub).roster.get(host_id)
    mine = live.containers_of(applications.project_key(app.name)) if live else None
    if action not in DONE or not any(each.name == container for each in mine or ()):
        raise NotFound(_("there is nothing at %(path)s", path=request.path))
    run = await execute.control(server(), host_id, action, container)
    ended = await run.finished(WAIT)
    if ended is not None and ended.status == "succeeded":
        return done(f"/applications/{id}", _(DONE[action], name=container))
    return done(*await doings.lead(ended or run.operation, f"/applications/{id}"))
