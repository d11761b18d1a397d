"""/api/v1/applications/{id}/…: what is done to all containers of an application at once, and what they say."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from quart import Blueprint

from roci import TimedOut, TooMany, Unavailable

from ...domain import applications
from ...work import application_logs, execute
from ..http import accepts, needs, raises, returns, roci
from ..stream import stream
from . import hand_shapes as shapes
from .containers import LOGS, events, lines_out, wanted_lines, wants_events
from .hands import begun
from .operation_shapes import Begun

routes = Blueprint("application_hands", __name__, url_prefix="/applications")


async def _known(id: str) -> None:
    await roci.read(applications.get, id)


@routes.post("/<id>/restart")
@needs("applications.deploy")
@accepts(shapes.ControlBody, optional=True, of=_known)
@returns(Begun, status=202, also=(200,))
async def restart(body: shapes.ControlBody, id: str) -> Any:
    """Restart an application: all its containers, one after another."""
    return await begun(await execute.restart(roci, id, body.timeout_seconds), body.wait, "Restart sent")


@routes.get("/<id>/logs")
@needs("containers.logs", on="application/{id}")
@returns(shapes.MergedLines, query=LOGS)
@raises(Unavailable, TimedOut, TooMany)
async def logs(id: str) -> Any:
    """Read the last lines of all containers of an application, merged by their time.

    With `follow`, or `Accept: text/event-stream`, as events: `lines` ({"container", "lines"}) as they come, at last
    `end` ({"reason"}).
    """
    wanted = wanted_lines()
    if wants_events():
        return stream(roci, events(_named(await application_logs.follow(roci, id, wanted))))
    return lines_out(await application_logs.last(roci, id, wanted))


async def _named(said: AsyncGenerator[tuple[str, list[str]], None]) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(said):
        async for container, lines in said:
            yield {"container": container, "lines": lines}
