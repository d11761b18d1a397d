"""/api/v1/permissions: what somebody may do, in keys of this dialect."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Actor

from ...domain import principals, roles
from ...domain.principals import Principal
from ...domain.rules import ANY, Rule
from ..http import actor, require, returns, roci, signed_in
from . import results, shapes
from .permissions import available, key_of, keys_of, narrowed
from .users import person

routes = Blueprint("permissions", __name__, url_prefix="/permissions")


@routes.get("")
@signed_in
@returns(results.Effective)
async def own() -> Any:
    """What I may do, with the credential I used."""
    return await roci.read(_of_actor, await actor())


@routes.get("/available")
@signed_in
@returns(list[results.PermissionKey])
async def known() -> Any:
    """Every permission key there is."""
    return available(roci.permissions.values())


@routes.get("/<id>")
@signed_in
@returns(results.Effective)
async def show(id: str) -> Any:
    """What somebody may do. Everybody may ask about themselves."""
    if id != (await actor()).id:
        await require("access.explain")
    return await roci.read(lambda: _effective(person(id)))


def _of_actor(who: Actor) -> dict[str, Any]:
    row = principals.Principal.get_or_none(principals.Principal.id == who.id)
    if row is None:  # nobody stored: what it may do, it carries
        names = [roles.ADMIN] if ANY in who.rights else []
        return shapes.effective(names, narrowed((key_of(Rule(right)) for right in who.rights), who.scopes))
    return _effective(row, who.scopes)


def _effective(who: Principal, scopes: frozenset[str] | None = None) -> dict[str, Any]:
    """Roles that hold everywhere, inherited ones too: this dialect knows no spaces."""
    known = {row.name: row for row in roles.all_()}
    bound = [] if who.space else [row.role for row in roles.bindings(who.name) if row.space is None]
    names = roles.lineage(bound, {name: row.inherits for name, row in known.items()})
    held = [key for name in names for key in keys_of(known[name].dialect, known[name].text, known[name].grants)]
    return shapes.effective(names, narrowed(held, scopes))
