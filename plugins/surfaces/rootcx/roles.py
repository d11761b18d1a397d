"""/api/v1/roles: roles, and who has them. Those written in other dialects are seen as this one would say them."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Invalid, NotFound

from ...domain import access, principals, roles
from ...domain.roles import Binding
from ..http import accepts, actor, needs, raises, require_of_narrow, returns, roci, signed_in
from . import results, shapes
from .permissions import rules_of_all
from .users import knows_others, person

routes = Blueprint("roles", __name__, url_prefix="/roles")


@routes.get("")
@signed_in
@returns(list[results.Role])
async def index() -> Any:
    """All roles, by name; only one's own for who is given nothing by them."""
    await require_of_narrow("roles.list")
    found = await roci.read(roles.all_)
    if not await knows_others():
        own = {row.role for row in await roci.read(roles.bindings, (await actor()).name)}
        found = [row for row in found if row.name in own]
    return [shapes.role(row) for row in sorted(found, key=lambda row: row.name)]


@routes.post("")
@needs("roles.create")
@accepts(shapes.NewRole)
@returns(results.Message)
async def add(new: shapes.NewRole) -> Any:
    """Make a role, of what one holds oneself."""
    rules, text = rules_of_all(new.permissions), {"permissions": new.permissions}
    role = roles.NewRole(new.name, rules, new.description, "rootcx", text, new.inherits)
    await roci.write(access.add_role, role)
    return shapes.message(f"role '{new.name}' created")


@routes.patch("/<name>")
@needs("roles.update")
@accepts(shapes.RoleChanges)
@returns(results.Message)
async def change(body: shapes.RoleChanges, name: str) -> Any:
    """Change a role; lists are replaced whole."""
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    changes = {field: value for field, value in changes.items() if value is not None or field == "description"}
    if not changes:
        raise Invalid("nothing to change: send description, inherits or permissions")
    if (keys := changes.pop("permissions", None)) is not None:
        changes |= {"rules": rules_of_all(keys), "text": {"permissions": keys}, "dialect": "rootcx"}
    await roci.write(access.change_role, name, **changes)
    return shapes.message(f"role '{name}' updated")


@routes.delete("/<name>")
@needs("roles.delete")
@returns(results.Message)
async def remove(name: str) -> Any:
    """Remove a role. Nobody has it any more."""
    await roci.write(access.remove_role, name)
    return shapes.message(f"role '{name}' deleted")


@routes.get("/assignments")
@needs("bindings.list")
@returns(list[results.Assigned])
async def assignments() -> Any:
    """Which people have which roles everywhere, the newest first."""
    return [shapes.assignment(binding, user_id) for binding, user_id in await roci.read(_assignments)]


@routes.post("/assign")
@needs("bindings.create")
@accepts(shapes.Assignment)
@returns(results.Message)
@raises(NotFound)
async def assign(body: shapes.Assignment) -> Any:
    """Give somebody a role. Twice is the same as once."""
    await roci.write(_assign, body.user_id, body.role)
    return shapes.message(f"role '{body.role}' assigned")


@routes.post("/revoke")
@needs("bindings.delete")
@accepts(shapes.Assignment)
@returns(results.Message)
@raises(NotFound)
async def revoke(body: shapes.Assignment) -> Any:
    """Take a role back. The last administrator stays one."""
    await roci.write(_revoke, body.user_id, body.role)
    return shapes.message(f"role '{body.role}' revoked")


def _assignments() -> list[tuple[Binding, str]]:
    ids = {row.name.lower(): row.id for row in principals.all_() if row.kind == "person"}
    bound = [row for row in roles.bindings() if row.space is None and row.subject.lower() in ids]
    return [(row, ids[row.subject.lower()]) for row in bound]


def _assign(user_id: str, role: str) -> None:
    who = person(user_id)
    if role not in {row.name for row in roles.all_()}:
        raise Invalid(f"role '{role}' is not defined")
    if roles.find_binding(who.name, role, None) is None:
        access.bind(who.name, role)


def _revoke(user_id: str, role: str) -> None:
    who = person(user_id)
    found = roles.find_binding(who.name, role, None)
    if found is None:
        raise NotFound(f"{who.name} has no role '{role}'")
    access.unbind(found.id)
