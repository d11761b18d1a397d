"""/api/v1/agents/{id}/…: what is done to a host itself. Each is an operation: /api/v1/operations tells how it goes."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from roci import TimedOut, TooMany, Unavailable

from ...work import ask, automation, execute
from ...work.run import Run
from ..http import accepts, needs, raises, returns, roci
from . import hand_shapes as shapes
from .operation_shapes import Begun
from .operations import reader
from .shapes import started

routes = Blueprint("hands", __name__, url_prefix="/agents")
PREVIEW = {"what": "string", "unused_images": "boolean"}


async def known(id: str, **_: str) -> None:
    await roci.read(execute.host, id)


async def begun(run: Run, wait: int, message: str) -> tuple[Begun, int]:
    """The operation, if it ends within so many seconds (200), else its id (202)."""
    ended = await run.finished(wait) if wait else run.ended
    operation = (await reader())(ended) if ended else None
    return {**started(message, run.operation), "operation": operation}, 200 if ended else 202


@routes.post("/<id>/exec")
@needs("hosts.exec", on="host/{id}")
@accepts(shapes.ExecBody, of=known)
@returns(Begun, status=202, also=(200,))
async def exec_(body: shapes.ExecBody, id: str) -> Any:
    """Run a command on an agent's host, by `sh -c`."""
    run = await execute.execute(roci, id, body.command, body.working_directory, body.env, body.timeout_seconds)
    return await begun(run, body.wait, "Command sent")


@routes.post("/<id>/images/pull")
@needs("images.pull", on="host/{id}")
@accepts(shapes.PullBody, of=known)
@returns(Begun, status=202, also=(200,))
async def pull(body: shapes.PullBody, id: str) -> Any:
    """Have an agent's engine pull an image."""
    return await begun(await execute.pull(roci, id, body.image, body.timeout_seconds), body.wait, "Pull sent")


@routes.get("/<id>/prune")
@needs("hosts.prune", on="host/{id}")
@returns(shapes.Prunable, query=PREVIEW)
@raises(Unavailable, TimedOut, TooMany)
async def preview(id: str) -> Any:
    """See what a prune would remove. `what`: some of containers, images, networks, volumes, build_cache."""
    await known(id)
    what = [name for text in request.args.getlist("what") for name in text.split(",") if name]
    return {"preview": await ask.preview(roci, id, what, request.args.get("unused_images") == "true")}


@routes.post("/<id>/prune")
@needs("hosts.prune", on="host/{id}")
@accepts(shapes.PruneBody, of=known)
@returns(Begun, status=202, also=(200,))
async def prune(body: shapes.PruneBody, id: str) -> Any:
    """Remove from an agent's engine what nothing uses. What an application owns, and what is not named, stays."""
    return await begun(await execute.prune(roci, id, body.what, body.unused_images), body.wait, "Prune sent")


@routes.post("/<id>/reboot")
@needs("hosts.reboot", on="host/{id}")
@accepts(shapes.HandBody, optional=True, of=known)
@returns(Begun, status=202, also=(200,))
async def reboot(body: shapes.HandBody, id: str) -> Any:
    """Reboot an agent's host. The operation ends when the agent is back."""
    return await begun(await execute.reboot(roci, id), body.wait, "Reboot sent")


@routes.post("/<id>/registries/login")
@needs("registries.login", on="host/{id}")
@accepts(shapes.LoginBody, of=known)
@returns(Begun, status=202, also=(200,))
async def log_in(body: shapes.LoginBody, id: str) -> Any:
    """Log an agent's engine in at a registry, with a stored credential."""
    run, _ = await automation.log_in(roci, id, body.credential_id)
    return await begun(run, body.wait, "Login sent")


@routes.post("/<id>/registries/logout")
@needs("registries.login", on="host/{id}")
@accepts(shapes.LogoutBody, of=known)
@returns(Begun, status=202, also=(200,))
async def log_out(body: shapes.LogoutBody, id: str) -> Any:
    """Log an agent's engine out of a registry."""
    return await begun(await execute.log_out(roci, id, body.registry_url), body.wait, "Logout sent")
