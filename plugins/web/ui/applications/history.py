"""The tab of an application with its revisions, what differs between them, and what was done to it."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Blueprint, request

from roci import Spec

from ....domain import applications, operations
from ....domain.applications import Application, Revision
from ....domain.operations import Operation
from ....surfaces.http import actor, needs, require, server
from ....work import deploy
from ... import shell
from ...forms import done, sent
from ...language import _
from .. import diffs, lists, shown
from ..activity import doings

routes = Blueprint("history", __name__, url_prefix="/applications")
LATEST = 20

_Told = tuple[Application, list[Revision], list[Operation], int, list[str]]


@routes.get("/<id>/history")
@needs("applications.read", on="application/{id}")
async def show(id: str) -> Any:
    """Its revisions, two of them compared where asked (`?from=3&to=5`), and the operations."""
    asked = [lists.number(name) or 0 for name in ("from", "to")]
    part = request.args.get("part")
    sees_operations = server().may(await actor(), "operations.read") and part in (None, "latest")

    def read() -> _Told:
        app = applications.get(id)
        latest, total = operations.list_(LATEST, application_id=id) if sees_operations else ([], 0)
        revisions = applications.history(id) if part in (None, "revisions", "compare") else []
        are_there = not part and set(asked) <= {each.number for each in revisions}
        return app, revisions, latest, total, [applications.text(app, number) for number in asked] if are_there else []

    app, revisions, latest, total, texts = await server().read(read)
    older, newer = asked if texts else (0, 0)
    changed = await asyncio.to_thread(diffs.lines, *texts) if texts else None
    return await shell.render(
        "applications/history.html",
        _("History"),
        ("applications", "operations"),
        shell.Subject("application", id, app.name),
        styles=("applications.css", "output.css", "diff.css"),
        app=app,
        revisions=revisions,
        latest=latest,
        total=total,
        older=older,
        newer=newer,
        changed=changed,
        counts=diffs.counts(changed or []),
        doings=doings,
        tone=shown.tone,
    )


@routes.post("/<id>/revisions/<int(max=99999999):number>/return")
@needs("applications.write")
async def return_to(id: str, number: int) -> Any:
    """A new revision with the text of an earlier one; and deploy it, where that was asked."""
    form, here = await sent(), server()
    app = await here.read(applications.get, id)
    text = await here.read(lambda: applications.text(app, number))
    await asyncio.to_thread(deploy.backend_of(here, app.backend).validate, Spec(app.name, text))
    if form.get("then") == "deploy":
        await require("applications.deploy")
    changed = await here.write(lambda: applications.change(id, for_next_deploy=True, compose=text))
    if form.get("then") == "deploy":
        return done(*await doings.lead(await deploy.deploy(here, id, None, {}), f"/applications/{id}"))
    words = _("Revision %(new)s is as revision %(old)s was. Deploy it to run it.", new=changed.revision, old=number)
    return done(f"/applications/{id}", words)
