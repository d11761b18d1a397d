"""/api/v1/bindings: who has which role, everywhere or in one space."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from roci import NotFound

from ...domain import access, roles
from ..http import accepts, needs, paging, raises, require, returns, roci, signed_in
from . import people_shapes as shapes
from .shapes import Done, done, page

routes = Blueprint("bindings", __name__, url_prefix="/bindings")


def _resource(space: str | None) -> str:
    return f"space/{space}" if space else ""


@routes.get("")
@needs("bindings.list")
@returns(shapes.Bindings, paged=True, query={"subject": "string", "role": "string"})
async def index() -> Any:
    """List bindings, newest first; `subject` (a name) and `role` narrow it."""
    limit, offset = paging()
    role = request.args.get("role")
    rows = [row for row in await roci.read(roles.bindings, request.args.get("subject")) if role in (None, row.role)]
    return {"bindings": [shapes.binding(row) for row in page(rows, limit, offset)], "total": len(rows)}


@routes.post("")
@signed_in
@accepts(shapes.NewBinding)
@returns(shapes.BindingOut, status=201)
@raises(NotFound)
async def add(new: shapes.NewBinding) -> Any:
    """Give somebody a role that one holds oneself, with bindings.create there. They need not exist yet."""
    await require("bindings.create", _resource(new.space))
    return shapes.binding(await roci.write(access.bind, new.subject, new.role, new.space)), 201


@routes.get("/<binding>")
@needs("bindings.get")
@returns(shapes.BindingOut)
async def show(binding: str) -> Any:
    """Get one binding."""
    return shapes.binding(await roci.read(roles.binding, binding))


@routes.delete("/<binding>")
@signed_in
@returns(Done)
async def remove(binding: str) -> Any:
    """Take a role back, with bindings.delete where it is bound."""
    try:
        space = (await roci.read(roles.binding, binding)).space
    except NotFound:
        space = None
    await require("bindings.delete", _resource(space))
    await roci.write(access.unbind, binding)
    return done("Binding deleted")
