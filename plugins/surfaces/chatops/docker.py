"""/api/v1/docker: the containers of a server, starting and stopping them, and what they print."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint

from roci import Conflict, NotFound, NotReady, TimedOut, TooMany, Unavailable

from ...agent import wire
from ...agent.hub import Hub
from ...domain import hostcards
from ...work import execute
from ...work import logs as host_logs
from ..http import needs, raises, returns, roci
from . import docker_shapes as shapes
from .query import asked, id_is, parameters
from .runs import Failed, connected, ended, printed
from .servers import live_of

routes = Blueprint("docker", __name__, url_prefix="/docker")
DONE = {"start": "started", "stop": "stopped", "restart": "restarted"}
START_WITHIN = 60.0  # seconds
REFUSALS = (Conflict, Failed, Unavailable, TimedOut)


@routes.get("/<server_id>/containers")
@id_is("server_id")
@needs("hosts.read", on="host/{id}")
@returns(list[shapes.ContainerOut])
async def index(id: str) -> Any:
    """Its containers, running or not, as it last reported them."""
    found = await roci.read(hostcards.get, id)
    live = live_of(id)
    known = live.containers if live else None
    if known is None:  # as kept from an earlier life
        known = msgspec.convert(found.host.containers or [], list[wire.Container])
    return [shapes.container(each) for each in known]


@routes.post("/<server_id>/containers/<container_id>/start")
@id_is("server_id")
@needs("containers.control", on="host/{id}")
@returns(shapes.Done)
@raises(*REFUSALS)
async def start(id: str, container_id: str) -> Any:
    """Start it. Its id, the beginning of that, or its name."""
    return await _control(id, container_id, "start", None)


@routes.post("/<server_id>/containers/<container_id>/stop")
@id_is("server_id")
@needs("containers.control", on="host/{id}")
@returns(shapes.Done, query=parameters(shapes.Grace))
@raises(*REFUSALS)
async def stop(id: str, container_id: str) -> Any:
    """Stop it; it has `timeout` seconds until it is killed."""
    return await _control(id, container_id, "stop", asked(shapes.Grace).timeout)


@routes.post("/<server_id>/containers/<container_id>/restart")
@id_is("server_id")
@needs("containers.control", on="host/{id}")
@returns(shapes.Done, query=parameters(shapes.Grace))
@raises(*REFUSALS)
async def restart(id: str, container_id: str) -> Any:
    """Stop it, with `timeout` seconds until it is killed, and start it."""
    return await _control(id, container_id, "restart", asked(shapes.Grace).timeout)


async def _control(id: str, container: str, action: str, grace: int | None) -> Any:
    await connected(id)
    run = await execute.control(roci, id, action, container, grace)
    operation = await ended(run, START_WITHIN if grace is None else grace)
    said = printed(operation)
    if operation.status == "failed" and execute.is_missing(roci.part(Hub), id, container, said.stderr):
        raise _unknown(container)
    if operation.status != "succeeded":
        raise Failed((said.stderr or said.stdout or operation.reason or operation.status).strip()[-2000:])
    return {"status": "success", "message": f"Container {container} {DONE[action]}"}


def _unknown(container: str) -> NotFound:
    return NotFound(f"Container not found: {container[:100]}")


@routes.get("/<server_id>/containers/<container_id>/logs")
@id_is("server_id")
@needs("containers.logs", on="host/{id}")
@returns(list[str], query=parameters(shapes.Tail))
@raises(*REFUSALS, TooMany)
async def logs(id: str, container_id: str) -> Any:
    """The last lines it printed on either stream, the oldest first.

    `X-Truncated: true`: there were more, or a longer one, than one answer holds."""
    tail = asked(shapes.Tail).tail
    await connected(id)
    try:
        found = await host_logs.last(roci, id, container_id, host_logs.Wanted(tail))
    except NotFound:
        raise _unknown(container_id) from None
    except NotReady:
        raise
    except Unavailable as error:  # the host answered, and said no
        raise Failed(error.message) from None
    return found.lines[-tail:], 200, {"X-Truncated": "true"} if found.truncated else {}
