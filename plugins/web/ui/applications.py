"""/applications: all; one with services, file and history; create, edit, deploy, stop, start, restart, delete."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect, request

from roci import Conflict, NotFound, RociError, Sensitive, Spec

from ...agent.hub import Hub
from ...domain import applications, operations
from ...domain.applications import Application, Revision
from ...surfaces.http import actor, needs, roci, server
from ...work import deploy, execute
from .. import shell
from ..forms import sent
from . import shown

routes = Blueprint("applications", __name__, url_prefix="/applications")
EXAMPLE = "services:\n  web:\n    image: nginx:alpine\n    ports:\n      - 8081:80\n"
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


@routes.get("/new")
@needs("applications.write")
async def new() -> Any:
    """The form for a new one: a name, a Compose file, a host."""
    return await _editor(None, {"name": "", "compose": EXAMPLE, "host_id": "", "backend": "compose"}, None)


async def _editor(app: Application | None, given: dict[str, str], wrong: RociError | None) -> Any:
    page = await shell.render(
        "editor.html",
        f"Edit {app.name}" if app else "New application",
        scripts=("editor.js",),
        app=app,
        given=given,
        wrong=wrong.message if wrong else None,
        hosts=_hosts(),
        backends=list(server().backends),
    )
    return page, wrong.status if wrong else 200


@routes.post("/new")
@needs("applications.write")
async def add() -> Any:
    """Create it; and deploy it, where that button was pressed. What was typed stays when it is refused."""
    form, here = await sent(), server()
    given = {name: form.get(name, "") for name in ("name", "compose", "host_id", "backend")}
    try:
        deploy.backend_of(here, given["backend"]).validate(Spec(given["name"], given["compose"]))
        app = await here.write(
            applications.add,
            given["name"],
            given["compose"],
            host_id=given["host_id"] or None,
            backend=given["backend"],
        )
    except RociError as error:
        return await _editor(None, given, error)
    return await _deployed(app) if form.get("then") == "deploy" else redirect(f"/applications/{app.id}", 303)


async def _deployed(app: Application) -> Any:
    operation = await deploy.deploy(server(), app.id, None, {})
    return redirect(f"/operations/{operation.id}", 303)


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


@routes.get("/<id>/edit")
@needs("applications.write", on="application/{id}")
async def edit(id: str) -> Any:
    """The form with its file as it is, or as it was at `?revision=`."""
    app = await roci.read(applications.get, id)
    text = request.args.get("revision", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None
    compose = await roci.read(applications.text, app, number)
    return await _editor(app, {"name": app.name, "compose": compose, "seen": str(app.revision)}, None)


@routes.post("/<id>/edit")
@needs("applications.write", on="application/{id}")
async def save(id: str) -> Any:
    """Keep a new revision. Where somebody else did so meanwhile, nothing is lost: both are shown."""
    form, here = await sent(), server()
    app = await here.read(applications.get, id)
    given = {"name": app.name, "compose": form.get("compose", ""), "seen": form.get("seen", "")}
    try:
        if given["seen"] != str(app.revision):
            given["theirs"] = await here.read(applications.text, app)
            given["seen"] = str(app.revision)
            raise Conflict(
                f"somebody saved revision {app.revision} meanwhile: it stands below yours; save again to replace it"
            )
        deploy.backend_of(here, app.backend).validate(Spec(app.name, given["compose"]))
        app = await here.write(applications.change, id, compose=given["compose"])
    except RociError as error:
        return await _editor(app, given, error)
    return await _deployed(app) if form.get("then") == "deploy" else redirect(f"/applications/{id}", 303)


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
