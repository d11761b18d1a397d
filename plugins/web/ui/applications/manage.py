"""The tab of an application where it is described, given to another host, and deleted with a list of what goes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, request

from roci import Invalid, NotFound, RociError

from ....agent import wire
from ....agent.hub import Hub
from ....domain import applications, hosts
from ....domain import secrets as stored
from ....domain.applications import Application
from ....surfaces.http import actor, needs, server
from ....work import ask, deploy
from ... import shell
from ...forms import done, sent
from ...language import _
from .. import shown
from ..activity import doings

routes = Blueprint("manage", __name__)
WAIT = 4.0  # seconds for a host to say what it has


@dataclass(frozen=True)
class Belongings:
    """What a deletion takes and leaves. None: nobody knows."""

    containers: list[wire.Container] | None
    networks: list[str] | None
    volumes: list[str] | None
    secrets: list[str]
    revisions: int


@routes.get("/<id>/manage")
@needs("applications.read", on="application/{id}")
async def manage(id: str) -> Any:
    """What it is called and where it belongs; what its end would take."""
    return await _page(await server().read(applications.get, id))


async def _page(app: Application, typed: dict[str, str] | None = None, wrong: RociError | None = None) -> Any:
    here, part = server(), request.args.get("part")
    host = here.part(Hub).roster.get(app.deployed_host_id or "")
    page = await shell.render(
        "applications/application_manage.html",
        _("Manage"),
        ("applications", f"application/{app.id}", "hosts"),
        shell.Subject("application", app.id, app.name),
        styles=("applications.css",),
        tab="manage",
        path=f"/applications/{app.id}/manage",
        app=app,
        typed=typed or {},
        longest=applications.LONGEST_DESCRIPTION,
        wrong=wrong.message if wrong else "",
        wrong_form=(typed or {}).get("form", ""),
        host=host.host if host else None,
        is_connected=bool(host and host.is_connected),
        hosts=shown.choosable(here, await actor(), app.host_id),
        belongings=await _belongings(app) if part in (None, "ending") else None,
    )
    return page, wrong.status if wrong else 200


async def _belongings(app: Application) -> Belongings:
    here, project = server(), applications.project_key(app.name)

    def read() -> tuple[list[str], int]:
        return [each.name for each in stored.list_(f"application/{app.id}")], len(applications.history(app.id))

    names, revisions = await here.read(read)
    live = here.part(Hub).roster.get(app.deployed_host_id or "")
    if app.deployed_host_id is None:
        return Belongings([], [], [], names, revisions)
    found = live.containers_of(project) if live and live.is_current else None
    networks, volumes = await asyncio.gather(
        *(_of(app.deployed_host_id, kind, project) for kind in ("networks", "volumes"))
    )
    return Belongings(found, networks, volumes, names, revisions)


async def _of(host_id: str, kind: str, project: str) -> list[str] | None:
    """The names of a project's networks or volumes on a host."""
    with contextlib.suppress(RociError, TimeoutError):
        async with asyncio.timeout(WAIT):
            stock = await ask.inventory(server(), host_id, kind)
        return sorted(each.name for each in stock.things if each.project == project)
    return None


@routes.post("/<id>/manage")
@needs("applications.write")
async def change(id: str) -> Any:
    """Describe it anew, or give it to another host: the next deploy goes there."""
    form, here = await sent(), server()
    typed = {"form": "change", "description": form.get("description", "").strip(), "host_id": form.get("host_id", "")}

    def write() -> None:
        changes: dict[str, Any] = {"description": typed["description"]}
        if "host_id" in form:
            changes["host_id"] = hosts.get(typed["host_id"]).id if typed["host_id"] else None
        applications.change(id, **changes)

    try:
        await here.write(write)
    except NotFound:
        app = await here.read(applications.get, id)
        return await _page(app, typed, Invalid("host_id: there is no such host"))
    except RociError as error:
        return await _page(await here.read(applications.get, id), typed, error)
    return done(f"/applications/{id}/manage", _("Kept"))


@routes.post("/<id>/delete")
@needs("applications.remove")
async def delete(id: str) -> Any:
    """Take it down and forget it, once its name was typed; with those of its volumes that were ticked."""
    form, here = await sent(), server()
    app = await here.read(applications.get, id)
    typed = {"form": "delete", "confirm": form.get("confirm", "")}
    volumes = form.getlist("volume")
    try:
        operation = await deploy.delete(here, id, typed["confirm"], form.get("force") == "yes", volumes)
    except RociError as error:
        return await _page(app, typed, error)
    if operation is None:
        return done("/applications", _("%(name)s was deleted", name=app.name))
    return done(*await doings.lead(operation, "/applications"))
