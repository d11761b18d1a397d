"""/api/v1/agents/{id}/containers/{container}/…: a container, by its name, its id or the beginning of that."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from roci import Malformed, RociError, TimedOut, TooMany, Unavailable

from ...work import execute, logs
from ..http import JSON, accepts, needs, raises, returns, roci
from ..stream import ServerSent, stream
from . import hand_shapes as shapes
from .hands import begun, known
from .operation_shapes import Begun

routes = Blueprint("containers", __name__, url_prefix="/agents")
EVENTS = "text/event-stream"
LOGS = {"tail": "integer", "since": "string", "until": "string", "timestamps": "boolean", "follow": "boolean"}
MEANINGS = {
    "start": "Start a container of an agent.",
    "stop": "Stop a container of an agent.",
    "restart": "Restart a container of an agent.",
    "pause": "Pause a container of an agent.",
    "unpause": "Let a paused container of an agent go on.",
}


def _offer(action: str, meaning: str) -> None:
    @needs("containers.control", on="host/{id}")
    @accepts(shapes.ControlBody, optional=True, of=known)
    @returns(Begun, status=202, also=(200,))
    async def view(body: shapes.ControlBody, id: str, container: str) -> Any:
        run = await execute.control(roci, id, action, container, body.timeout_seconds)
        return await begun(run, body.wait, f"{action.capitalize()} sent")

    view.__doc__ = meaning
    routes.add_url_rule(f"/<id>/containers/<container>/{action}", action, view, methods=["POST"])


for _action, _meaning in MEANINGS.items():
    _offer(_action, _meaning)


@routes.delete("/<id>/containers/<container>")
@needs("containers.remove", on="host/{id}")
@accepts(shapes.HandBody, optional=True, of=known)
@returns(Begun, status=202, also=(200,), query={"force": "boolean"})
async def remove(body: shapes.HandBody, id: str, container: str) -> Any:
    """Remove a container of an agent; with `force` even while it runs."""
    force = request.args.get("force") == "true"
    return await begun(await execute.control(roci, id, "remove", container, force=force), body.wait, "Removal sent")


@routes.get("/<id>/containers/<container>/logs")
@needs("containers.logs", on="host/{id}")
@returns(shapes.LogLines, query=LOGS)
@raises(Unavailable, TimedOut, TooMany)
async def container_logs(id: str, container: str) -> Any:
    """Read a container's last lines, both streams, the oldest first. With `follow`, or `Accept: text/event-stream`,
    as events: `lines` ({"lines"}) as they come, at last `end` ({"reason"})."""
    wanted = wanted_lines()
    if wants_events():
        return stream(roci, events(_named(await logs.follow(roci, id, container, wanted))))
    return lines_out(await logs.last(roci, id, container, wanted))


def wants_events() -> bool:
    return request.args.get("follow") == "true" or EVENTS in request.headers.get("Accept", "")


def wanted_lines() -> logs.Wanted:
    """What the query asks for. Raises Malformed."""
    tail = request.args.get("tail", "100")
    if not (tail.isascii() and tail.isdecimal()) or len(tail) > 9:
        raise Malformed("tail: a whole number")
    since, until = request.args.get("since"), request.args.get("until")
    return logs.Wanted(int(tail), since, until, request.args.get("timestamps") == "true")


def lines_out(found: object) -> Response:
    """As JSON, by the quick encoder: they may be megabytes."""
    return Response(msgspec.json.encode(found), content_type=JSON)


async def _named(lines: AsyncGenerator[list[str], None]) -> AsyncGenerator[dict[str, Any], None]:
    async with contextlib.aclosing(lines):
        async for some in lines:
            yield {"lines": some}


async def events(lines: AsyncGenerator[dict[str, Any], None]) -> AsyncIterator[ServerSent]:
    """A stream that says how it ended, since its status has been sent long before."""
    reason = ""
    async with contextlib.aclosing(lines):
        try:
            async for some in lines:
                yield ServerSent("lines", some)
        except RociError as error:
            reason = error.message
    yield ServerSent("end", {"reason": reason})
