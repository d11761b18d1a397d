"""/api/v1/applications/{id}/…: what is done to all containers of an application at once, and what they say."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from ...domain import applications
from ...work import execute
from ..http import accepts, needs, returns, roci
from . import hand_shapes as shapes
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
