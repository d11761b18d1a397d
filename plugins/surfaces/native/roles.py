"""/api/v1/roles: what may be granted together. Roles written in other dialects are listed with their rules."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from ...domain import access, roles
from ...domain.rules import Rule
from ..http import accepts, needs, paging, returns, roci
from . import people_shapes as shapes
from .shapes import Done, done, page

routes = Blueprint("roles", __name__, url_prefix="/roles")


async def _known(name: str) -> None:
    await roci.read(roles.get, name)


def _rules(given: list[shapes.RuleIn]) -> list[Rule]:
    return [Rule(each.action, each.resource) for each in given]


@routes.get("")
@needs("roles.list")
@returns(shapes.Roles, paged=True)
async def index() -> Any:
    """List all roles by name."""
    limit, offset = paging()
    rows = sorted(await roci.read(roles.all_), key=lambda row: row.name)
    return {"roles": [shapes.role(row) for row in page(rows, limit, offset)], "total": len(rows)}


@routes.post("")
@needs("roles.create")
@accepts(shapes.NewRole)
@returns(shapes.RoleOut, status=201)
async def add(new: shapes.NewRole) -> Any:
    """Make a role, of what one holds oneself. A rule is an action on a resource; `*` stands for any text in both."""
    made = roles.NewRole(new.name, _rules(new.rules), new.description, inherits=new.inherits)
    return shapes.role(await roci.write(access.add_role, made)), 201


@routes.get("/<name>")
@needs("roles.get")
@returns(shapes.RoleOut)
async def show(name: str) -> Any:
    """Get one role."""
    return shapes.role(await roci.read(roles.get, name))


@routes.patch("/<name>")
@needs("roles.update")
@accepts(shapes.RoleChanges, of=_known)
@returns(shapes.RoleOut)
async def change(body: shapes.RoleChanges, name: str) -> Any:
    """Change a role; lists are replaced whole, null leaves them. With new rules it becomes a role of this dialect."""
    changes = body.model_dump(include={"description", "inherits"}, exclude_none=True)
    if body.rules is not None:
        changes |= {"rules": _rules(body.rules), "text": None, "dialect": "native"}
    return shapes.role(await roci.write(access.change_role, name, **changes))


@routes.delete("/<name>")
@needs("roles.delete")
@returns(Done)
async def remove(name: str) -> Any:
    """Delete a role, and every binding of it."""
    await roci.write(access.remove_role, name)
    return done("Role deleted")
