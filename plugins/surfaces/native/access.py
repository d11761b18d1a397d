"""/api/v1/access: the words of the rights there are, and why somebody may or may not do something."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from roci import Actor, Invalid, NotFound

from ...auth.reasons import reasons
from ...domain import access, principals
from ...domain.principals import Principal
from ..http import actor, paging, raises, require, returns, roci, server, signed_in
from . import people_shapes as shapes
from .shapes import page

routes = Blueprint("access", __name__, url_prefix="/access")
LONGEST = 300  # characters of a name, an action, a resource


@routes.get("/permissions")
@signed_in
@returns(shapes.Permissions, paged=True)
async def permissions() -> Any:
    """List every permission there is, with what it is for."""
    limit, offset = paging()
    found = sorted(roci.permissions.values(), key=lambda each: each.name)
    rows = [{"name": each.name, "meaning": each.meaning} for each in page(found, limit, offset)]
    return {"permissions": rows, "total": len(found)}


@routes.get("/explain")
@signed_in
@returns(shapes.ExplanationOut, query={"subject": "string", "action": "string", "resource": "string"})
@raises(NotFound)
async def explain() -> Any:
    """Why `subject` (a name; else I) may or may not do `action` on `resource` (else the whole of ROCI)."""
    who = await actor()
    asked = {name: request.args.get(name, "") for name in ("subject", "action", "resource")}
    if not asked["action"] or max(map(len, asked.values())) > LONGEST:
        raise Invalid(f"action: is required; {LONGEST} characters are enough for each")
    subject, action, resource = asked["subject"] or who.name, asked["action"], asked["resource"]
    if subject.lower() != who.name.lower():
        await require("access.explain")
        row = await roci.read(principals.by_name, subject)
        return shapes.explanation(row.name, action, resource, await roci.read(access.explain, row, action, resource))
    own = await roci.read(_stored, who)
    return shapes.explanation(who.name, action, resource, await reasons(server(), who, own, action, resource))


def _stored(who: Actor) -> Principal | None:
    row: Principal | None = Principal.get_or_none(Principal.id == who.id)
    return row
