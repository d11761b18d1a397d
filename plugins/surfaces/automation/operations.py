"""/operations: how what the caller began has gone on."""

from __future__ import annotations

import uuid
from typing import Any

from quart import Blueprint

from roci import Actor, NotFound, current_actor

from ...domain import automation
from ...domain.automation import KeyActor
from ...domain.operations import Operation
from ...domain.rules import covers
from ..http import returns, roci
from . import shapes
from .commands import printed
from .gate import polls

routes = Blueprint("operations", __name__, url_prefix="/operations")


@routes.get("/<operation_id>")
@polls
@returns(shapes.OperationOut)
async def show(operation_id: str) -> Any:
    """Get an operation. A key is told of what was begun with it, a token of what its owner began and it is for.

    With another credential than it was begun with, the values that went along are hidden in what it printed.
    """
    row, deployment_id = await roci.read(_find, operation_id, current_actor.get())
    return shapes.operation(row, printed(row), deployment_id)


def _find(text: str, who: Actor) -> tuple[Operation, str | None]:
    row: Operation | None = Operation.get_or_none(Operation.id == _id(text))
    if row is None or not shapes.is_ours(row) or not _is_of(row, who):
        raise NotFound("Operation not found")
    return row, automation.deployment_id(row) if row.kind == "deploy" else None


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NotFound("Operation not found") from None


def _is_of(row: Operation, who: Actor) -> bool:
    if isinstance(who, KeyActor):
        return (row.via, row.credential) == (who.via, who.credential)
    rights = {"operations.read", automation.RIGHTS[shapes.TYPES[row.kind]]}
    return row.actor_id == who.id and (who.scopes is None or any(covers(who.scopes, right) for right in rights))
