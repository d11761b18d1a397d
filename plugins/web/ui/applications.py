"""/applications: all; one with services, file and history; create, edit, deploy, stop, start, restart, delete."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect, request

from roci import NotFound, Sensitive

from ...agent.hub import Hub
from ...domain import applications, operations
from ...domain.applications import Application, Revision
from ...surfaces.http import actor, needs, roci, server
from ...work import deploy, execute
from .. import shell
from ..forms import sent
from . import shown

routes = Blueprint("applications", __name__, url_prefix="/applications")
LATEST = 20


def _hosts() -> list[shown.HostRow]:
    return [row for row in shown.host_rows(server()) if row.state in ("online", "offline")]


@routes.get("")
@needs("applications.read")
async def index() -> Any:
    """All applications, what failed first."""
    order = {"failed": 0, "deploying": 1, "running": 2, "stopped": 3}
    rows = sorted(await roci.read(applications.all_), key=lambda row: (order[row.status], row.key))
    names = {row.id: row.name for row in shown.host_rows(server())}
    return await shell.render(
        "applications.html", "Applications", ("applications",), rows=rows, names=names, tone=shown.tone
    )


@routes.get("/<id>")
@needs("applications.read", on="application/{id}")
async def show(id: str) -> Any:
    """One application: its containers, its file, its secrets' names, what was done to it."""
    here = server()
    app, text, revisions = await here.read(_told, id)
    live = here.part(Hub).roster.get(app.deployed_host_id or app.host_id or "")
    latest, _ = await here.read(operations.list_, LATEST, application_id=id)
    return await shell.render(
        "application.html",
        app.name,
        ("applications", "operations", "hosts", "containers"),
        shell.Subject("application", id, app.name),
        app=app,
        text=text,
        revisions=revisions,
        host=live.host if live else None,
        containers=live.containers_of(applications.project_key(app.name)) if live else None,
        latest=latest,
        hosts=_hosts(),
        panels=await here.part(shell.Shell).panels_of(here, "application", id, await actor()),
        tone=shown.tone,
    )


def _told(id: str) -> tuple[Application, str, list[Revision]]:
    app = applications.get(id)
    return app, applications.text(app), applications.revisions(id)


@routes.post("/<id>/deploy")
@needs("applications.deploy", on="application/{id}")
async def begin(id: str) -> Any:
    """Deploy it, with secrets for this one time as lines NAME=value, and lead to the output."""
    form = await sent()
    lines = [line.partition("=") for line in form.get("secrets", "").splitlines() if line.strip()]
    secrets = {name.strip(): Sensitive(value) for name, _, value in lines}
    operation = await deploy.deploy(server(), id, form.get("host_id") or None, secrets)
    return redirect(f"/operations/{operation.id}", 303)


@routes.post("/<id>/<action>")
@needs("applications.deploy", on="application/{id}")
async def act(id: str, action: str) -> Any:
    """Stop, start or restart it."""
    await sent()
    if action == "restart":
        operation_id = (await execute.restart(server(), id)).operation.id
    elif action in ("stop", "start"):
        operation_id = (await (deploy.stop if action == "stop" else deploy.start)(server(), id)).id
    else:
        raise NotFound(f"there is nothing at {request.path}")
    return redirect(f"/operations/{operation_id}", 303)


@routes.post("/<id>/delete")
@needs("applications.remove", on="application/{id}")
async def delete(id: str) -> Any:
    """Take it down and forget it, once its name was typed. Volumes and data folders stay."""
    form = await sent()
    operation = await deploy.delete(server(), id, form.get("confirm"), form.get("force") == "yes")
    return redirect(f"/operations/{operation.id}" if operation else "/applications", 303)
