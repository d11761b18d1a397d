"""/api/v0/role-bindings"""

from __future__ import annotations

from typing import Any

from roci import NotFound

from ...domain import access, roles, spaces
from ..http import accepts, needs, raises, require, returns, roci, signed_in
from . import results, shapes
from .tolerant import Tolerant

routes = Tolerant("bindings", __name__, url_prefix="/role-bindings")


@routes.get("")
@needs("bindings.list")
@returns(list[results.Binding], query=shapes.PAGE)
async def index() -> Any:
    """The newest first."""
    return [shapes.binding(row) for row in shapes.page(await roci.read(roles.bindings))]


@routes.post("")
@signed_in
@accepts(shapes.NewBinding, optional=True)
@returns(results.Binding)
@raises(NotFound)
async def add(new: shapes.NewBinding) -> Any:
    """Give a subject, which need not exist yet, a role: everywhere, or in one space."""
    await require("bindings.create", spaces.resource(new.space) if new.space else "")
    return shapes.binding(await roci.write(access.bind, new.subject, new.role_ref, new.space, new.id))


@routes.get("/<binding>")
@needs("bindings.get")
@returns(results.Binding)
async def show(binding: str) -> Any:
    """Who has which role where."""
    return shapes.binding(await roci.read(roles.binding, binding))


@routes.delete("/<binding>")
@signed_in
@returns(results.Done)
async def remove(binding: str) -> Any:
    """Take a role back."""
    await require("bindings.delete", await _resource(binding))
    await roci.write(access.unbind, binding)
    return shapes.DONE


async def _resource(binding: str) -> str:
    """Where the right to remove it is asked; one that does not exist is asked for like one that holds everywhere."""
    try:
        space = (await roci.read(roles.binding, binding)).space
    except NotFound:
        return ""
    return spaces.resource(space) if space else ""
