"""/exec, /deploy, /restart, /reboot"""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import NotFound, current_actor

from ...domain import automation as domain
from ...domain.applications import Application
from ...domain.operations import Operation
from ...work import automation, execute
from ...work.automation import Automation
from ...work.operate import HAND_SLACK, Operator
from ...work.run import Run
from ..http import require, returns, roci
from . import shapes
from .gate import automates, check_server, permit

routes = Blueprint("commands", __name__)


async def waited(run: Run, seconds: float) -> Operation | None:
    """How a run ended, if it did before the client would give up waiting. What ran out of time takes a while to end."""
    return await run.finished(min(seconds + HAND_SLACK + 1, roci.section(Automation).wait))


def printed(operation: Operation) -> Any:
    """What it printed, with nothing hidden for a while where the caller gave the values."""
    return roci.part(Operator).result(operation, current_actor.get())


async def _enveloped(run: Run, seconds: float) -> Any:
    ended = await waited(run, seconds)
    return shapes.envelope(ended, printed(ended)) if ended else shapes.started(run.operation)


@routes.post("/exec")
@automates("exec", shapes.Exec)
@returns(shapes.Envelope)
async def exec_(body: shapes.Exec) -> Any:
    """Run a shell line on a server. What takes longer than clients wait is answered as running: ask for it then."""
    await permit("exec", body.server_id)
    run = await execute.execute(
        roci, body.server_id, body.command, body.working_directory, body.env or {}, body.seconds
    )
    return await _enveloped(run, body.seconds)


@routes.post("/restart")
@automates("restart", shapes.Restart)
@returns(shapes.Envelope)
async def restart(body: shapes.Restart) -> Any:
    """Restart a container. One that does not exist is a command that ended badly."""
    await permit("restart", body.server_id)
    run = await execute.control(roci, body.server_id, "restart", body.container_name, body.grace)
    return await _enveloped(run, run.operation.timeout)


@routes.post("/reboot")
@automates("reboot", shapes.Reboot)
@returns(shapes.Started, status=202)
async def reboot(body: shapes.Reboot) -> Any:
    """Reboot a server. It has ended once the server is back."""
    await permit("reboot", body.server_id)
    run = await execute.reboot(roci, body.server_id)
    return shapes.started(run.operation), 202


@routes.post("/deploy")
@automates("deploy", shapes.Deploy)
@returns(shapes.Deploying, status=202)
async def deploy(body: shapes.Deploy) -> Any:
    """Deploy an application on its server. `env_overrides` go along with this deploy and are stored nowhere."""
    row = await roci.read(_application, body.application_id)
    check_server(row.host_id if row else None)
    await require(domain.RIGHTS["deploy"], f"application/{body.application_id}")
    if row is None:
        raise NotFound("Application not found")
    operation = await automation.deploy(roci, row, body.env_overrides or {}, body.commit_ref)
    deployment_id = await roci.read(domain.deployment_id, operation)
    return {**shapes.started(operation), "deployment_id": deployment_id}, 202


def _application(id: str) -> Application | None:
    row: Application | None = Application.get_or_none(Application.id == id)
    return row
