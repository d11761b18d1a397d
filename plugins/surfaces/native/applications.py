"""/api/v1/applications"""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Blueprint, request

from roci import Invalid, NotFound, Sensitive, Spec

from ...agent.hub import Hub
from ...domain import applications, hosts
from ...domain.applications import Application
from ...work import deploy as work
from ..http import accepts, needs, paging, returns, roci
from . import shapes

routes = Blueprint("applications", __name__, url_prefix="/applications")


async def _known(id: str) -> None:
    await roci.read(applications.get, id)


async def _validate(backend: str, name: str, text: str) -> None:
    """The backend reads the file before anything is stored; a long one takes most of a second, so in a thread."""
    applications.check_name(name)
    applications.check_text(text)
    await asyncio.to_thread(work.backend_of(roci, backend).validate, Spec(name, text))


def _check_host(host_id: str | None) -> None:
    if host_id:
        try:
            hosts.get(host_id)
        except NotFound:
            raise Invalid(f"agent_id: there is no agent {host_id}") from None


async def _out(id: str) -> dict[str, Any]:
    def read() -> tuple[Application, str]:
        row = applications.get(id)
        return row, applications.text(row)

    row, text = await roci.read(read)
    return shapes.application(row, text, roci.part(Hub).roster.get(row.deployed_host_id or row.host_id or ""))


@routes.get("")
@needs("applications.read")
@returns(shapes.Applications, paged=True)
async def index() -> Any:
    """List all applications."""
    limit, offset = paging()
    rows = await roci.read(applications.all_)
    return {
        "applications": [shapes.application_row(row) for row in shapes.page(rows, limit, offset)],
        "total": len(rows),
    }


@routes.get("/<id>")
@needs("applications.read")
@returns(shapes.ApplicationOut)
async def show(id: str) -> Any:
    """Get a specific application by ID."""
    return await _out(id)


@routes.post("")
@needs("applications.write")
@accepts(shapes.NewApplication)
@returns(shapes.ApplicationOut, status=201)
async def add(new: shapes.NewApplication) -> Any:
    """Create a new application. It is stopped until it is deployed."""
    await _validate(new.backend, new.name, new.compose_yaml)

    def write() -> str:
        _check_host(new.agent_id)
        row = applications.add(new.name, new.compose_yaml, new.description or "", new.agent_id, new.backend)
        return str(row.id)

    return await _out(await roci.write(write)), 201


@routes.route("/<id>", methods=["PUT", "PATCH"])
@needs("applications.write")
@accepts(shapes.ApplicationChanges, of=_known)
@returns(shapes.ApplicationOut)
async def change(body: shapes.ApplicationChanges, id: str) -> Any:
    """Update an application. Its Compose file cannot change while it is running."""
    row = await roci.read(applications.get, id)
    changes = _changes(body)
    if "compose" in changes or "backend" in changes:
        text = body.compose_yaml
        if text is None:
            text = await roci.read(lambda: applications.text(applications.get(row.id)))
        await _validate(changes.get("backend", row.backend), row.name, text)

    def write() -> None:
        _check_host(body.agent_id)
        applications.change(row.id, **changes)

    await roci.write(write)
    return await _out(row.id)


def _changes(body: shapes.ApplicationChanges) -> dict[str, Any]:
    """What a client set, in the words of the domain. Null leaves a field as it is, but unassigns the agent."""
    given: dict[str, Any] = {
        "description": body.description,
        "compose": body.compose_yaml,
        "backend": body.backend,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if "agent_id" in body.model_fields_set:
        changes["host_id"] = body.agent_id
    return changes


@routes.get("/<id>/revisions")
@needs("applications.read")
@returns(shapes.Revisions, paged=True)
async def revisions(id: str) -> Any:
    """List an application's revisions, newest first."""
    limit, offset = paging()
    row = await roci.read(applications.get, id)
    found = await roci.read(applications.revisions, row.id)
    page = [shapes.revision(each, row) for each in shapes.page(found, limit, offset)]
    return {"revisions": page, "total": len(found)}


@routes.post("/<id>/deploy")
@needs("applications.deploy")
@accepts(shapes.Deploy, optional=True, of=_known)
@returns(shapes.Started, status=202)
async def deploy(body: shapes.Deploy, id: str) -> Any:
    """Deploy an application to an agent. Follow the operation to see how it goes."""
    secrets: dict[str, Sensitive] = {}
    for number, secret in enumerate(body.secrets or []):
        if secret.name in secrets:
            raise Invalid(f"secrets.{number}.name: {secret.name} is given twice")
        secrets[secret.name] = Sensitive(secret.value)
    operation = await work.deploy(roci, id, body.agent_id, secrets)
    return shapes.started("Deployment initiated", operation), 202


@routes.post("/<id>/stop")
@needs("applications.deploy")
@returns(shapes.Started)
async def stop(id: str) -> Any:
    """Stop a running application."""
    return shapes.started("Stop command sent", await work.stop(roci, id))


@routes.post("/<id>/start")
@needs("applications.deploy")
@returns(shapes.Started)
async def start(id: str) -> Any:
    """Start a stopped application."""
    return shapes.started("Start command sent", await work.start(roci, id))


@routes.delete("/<id>")
@needs("applications.remove")
@accepts(shapes.Deletion, optional=True, of=_known)
@returns(shapes.Started, query={"confirm_name": "string", "force": "boolean"})
async def remove(body: shapes.Deletion, id: str) -> Any:
    """Delete an application. `confirm_name`, in the body or the query, must be its name."""
    name = body.confirm_name if body.confirm_name is not None else request.args.get("confirm_name")
    operation = await work.delete(roci, id, name, request.args.get("force") == "true")
    return shapes.started("Application deleted", operation)
