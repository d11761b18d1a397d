"""/applications/new and /applications/…/edit: the Compose file, checked as one types."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect, request

from roci import Conflict, RociError, Spec

from ...domain import applications
from ...domain.applications import Application
from ...surfaces.http import needs, roci, server
from ...work import deploy
from .. import shell
from ..forms import sent
from . import shown

routes = Blueprint("editor", __name__, url_prefix="/applications")
EXAMPLE = "services:\n  web:\n    image: nginx:alpine\n    ports:\n      - 8081:80\n"


def _hosts() -> list[shown.HostRow]:
    return [row for row in shown.host_rows(server()) if row.state in ("online", "offline")]


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
