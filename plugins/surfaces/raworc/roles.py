"""/api/v0/roles"""

from __future__ import annotations

from typing import Any

from ...domain import access, roles
from ...domain.roles import NewRole, Role
from ...domain.rules import Rule
from ..http import accepts, needs, returns, roci, signed_in
from . import factory, grammar, results, shapes
from .tolerant import Tolerant

routes = Tolerant("roles", __name__, url_prefix="/roles")


@routes.get("")
@needs("roles.list")
@returns(list[results.Role], query=shapes.PAGE)
async def index() -> Any:
    """In the order in which they were made."""
    return [shapes.role(*each) for each in shapes.page(await roci.read(_all))]


def _all() -> list[tuple[Role, list[Rule]]]:
    return [_with_rules(row) for row in roles.all_() if factory.is_shown(row)]


def _with_rules(row: Role) -> tuple[Role, list[Rule]]:
    """A role and what it grants; other dialects know of inheriting."""
    return row, access.effective_rules([row.name]) if row.inherits else row.grants


@routes.post("")
@signed_in
@accepts(shapes.NewRole, optional=True)
@needs("roles.create")
@returns(results.Role)
async def add(new: shapes.NewRole) -> Any:
    """A role of what the caller holds. One that this dialect came with may be written once, and keeps its bindings."""
    row = await roci.write(_add, new)
    return shapes.role(row, row.grants)


def _add(new: shapes.NewRole) -> Role:
    written = new.written()
    made = NewRole(new.id, grammar.rules(written), new.description, "raworc", {"rules": written})
    known = next((row for row in roles.all_() if row.name == new.id), None)
    if known is None or not factory.is_replaceable(known):
        return access.add_role(made)
    changes = {"description": made.description, "text": made.text, "rules": made.rules, "built_in": False}
    return access.change_role(new.id, **changes)


@routes.get("/<role>")
@needs("roles.get")
@returns(results.Role)
async def show(role: str) -> Any:
    """As it was written."""
    return shapes.role(*await roci.read(lambda: _with_rules(roles.get(role))))


@routes.delete("/<role>")
@needs("roles.delete")
@returns(results.Done)
async def remove(role: str) -> Any:
    """Its bindings go too."""
    await roci.write(access.remove_role, role)
    return shapes.DONE
