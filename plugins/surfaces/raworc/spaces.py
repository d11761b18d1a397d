"""/api/v0/spaces"""

from __future__ import annotations

from typing import Any

from quart import request

from roci import Invalid, Malformed

from ...domain import spaces
from ..http import accepts, needs, returns, roci, signed_in
from . import results, shapes
from .tolerant import Tolerant

routes = Tolerant("spaces", __name__, url_prefix="/spaces")
ACTIVE = {"true": True, "false": False, "all": None}


@routes.get("")
@needs("spaces.list")
@returns(list[results.Space], query={**shapes.PAGE, "active": "string"})
async def index() -> Any:
    """The newest first; those that are active, unless the query says otherwise."""
    wanted = request.args.get("active", "true").lower()
    if wanted not in ACTIVE:
        raise Malformed("active: true, false or all")
    return [shapes.space(row) for row in shapes.page(await roci.read(spaces.all_, ACTIVE[wanted]))]


@routes.post("")
@signed_in
@accepts(shapes.NewSpace, optional=True)
@needs("spaces.create")
@returns(results.Space)
async def add(new: shapes.NewSpace) -> Any:
    """Make a space."""
    return shapes.space(await roci.write(spaces.add, new.name, new.description, new.settings))


@routes.get("/<name>")
@needs("spaces.get", on="space/{name}")
@returns(results.Space)
async def show(name: str) -> Any:
    """One space."""
    return shapes.space(await roci.read(spaces.get, name))


@routes.put("/<name>")
@signed_in
@accepts(shapes.SpaceChanges, optional=True)
@needs("spaces.update", on="space/{name}")
@returns(results.Space)
async def change(body: shapes.SpaceChanges, name: str) -> Any:
    """Its description, its settings as a whole, whether it is active. Its name stays."""
    changes = body.changes()
    if changes.pop("name", name) != name:
        raise Invalid("name: a space cannot be renamed")
    if not changes:
        raise Invalid("No fields to update")
    return shapes.space(await roci.write(spaces.change, name, **changes))


@routes.delete("/<name>")
@needs("spaces.delete", on="space/{name}")
@returns(results.Done)
async def remove(name: str) -> Any:
    """Its secrets and the bindings limited to it go too."""
    await roci.write(spaces.remove, name)
    return shapes.DONE
