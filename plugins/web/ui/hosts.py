"""/hosts: all machines, those that wait among them; one with its containers; approve, reject, remove."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect

from roci import Conflict, NotFound

from ...agent.hub import Hub, Live
from ...domain import alerts, operations
from ...surfaces.http import actor, base_url, needs, server, uuid
from ...work import deploy, enrol, execute
from .. import shell
from ..forms import done, sent
from ..install import install_line
from . import shown

routes = Blueprint("hosts", __name__, url_prefix="/hosts")
ACTIONS = {"start": "started", "stop": "stopped", "restart": "restarted"}
WAIT = 20.0  # seconds a form waits for what it asked for


def _live(host_id: str) -> Live:
    live = server().part(Hub).roster.get(uuid(host_id))
    if live is None:
        raise NotFound("there is no such host")
    return live


@routes.get("")
@needs("hosts.read")
async def index() -> Any:
    """All hosts, what needs somebody first."""
    rows = shown.host_rows(server())
    return await shell.render("hosts.html", "Hosts", ("hosts", "beats"), hosts=rows, line=install_line(base_url()))


@routes.get("/<id>")
@needs("hosts.read", on="host/{id}")
async def show(id: str) -> Any:
    """One host: who it is, what runs there, what was done to it."""
    live, here = _live(id), server()
    latest, _ = await here.read(operations.list_, 10, host_id=id)
    wrong, _ = await here.read(alerts.list_, "active", id, 20)
    return await shell.render(
        "host.html",
        live.host.hostname,
        (f"host/{id}", "hosts", "operations", "alerts"),
        shell.Subject("host", id, live.host.hostname),
        host=live.host,
        row=shown.host_row(here, live),
        containers=live.containers if live.is_connected else None,
        was=live.containers if not live.is_connected else None,
        latest=latest,
        alerts=wrong,
        panels=await here.part(shell.Shell).panels_of(here, "host", id, await actor()),
        tone=shown.tone,
    )


@routes.post("/<id>/decide")
@needs("hosts.decide", on="host/{id}")
async def decide(id: str) -> Any:
    """Approve or reject a host that waits."""
    form = await sent()
    if form.get("answer") == "approve":
        await enrol.approve(server(), id)
    else:
        await enrol.reject(server(), id, form.get("reason") or None)
    return redirect(f"/hosts/{id}", 303)


@routes.post("/<id>/remove")
@needs("hosts.remove", on="host/{id}")
async def remove(id: str) -> Any:
    """Forget a host, once its name was typed."""
    form = await sent()
    if form.get("confirm") != _live(id).host.hostname:
        raise Conflict("type the host's name to remove it: nothing was changed")
    await deploy.remove_host(server(), id)
    return done("/hosts", f"{form.get('confirm')} was removed")


@routes.post("/<id>/containers/<container>/<action>")
@needs("containers.control", on="host/{id}")
async def control(id: str, container: str, action: str) -> Any:
    """Start, stop or restart a container, and lead to the operation."""
    await sent()
    if action not in ACTIONS:
        raise NotFound(f"containers cannot be {action[:20]}ed here")
    run = await execute.control(server(), id, action, container)
    ended = await run.finished(WAIT)
    if ended is not None and ended.status == "succeeded":
        return done(f"/hosts/{id}", f"{container} was {ACTIONS[action]}")
    return redirect(f"/operations/{run.operation.id}", 303)
