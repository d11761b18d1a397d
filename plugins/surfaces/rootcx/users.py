"""/api/v1/users: people, as this dialect knows them. Services and assistants are none."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import NotFound

from ...auth.rbac import Rbac
from ...domain import principals
from ...domain.principals import Principal
from ..http import actor, needs, require_of_narrow, returns, roci, signed_in
from . import results, shapes

routes = Blueprint("users", __name__, url_prefix="/users")


def person(id: str) -> Principal:
    """Raises NotFound."""
    row = principals.get(id)
    if row.kind != "person":
        raise NotFound("there is no such user")
    return row


def people() -> list[Principal]:
    """By e-mail address."""
    return sorted((row for row in principals.all_() if row.kind == "person"), key=lambda row: (row.email, row.name))


def _remove(id: str) -> None:
    principals.remove(person(id).id)


async def knows_others() -> bool:
    """Whether who asks was given something here. Whoever made their own account is told of themselves only."""
    who = await actor()
    return bool(who.rights or roci.part(Rbac).grants(who))


@routes.get("")
@signed_in
@returns(list[results.User])
async def index() -> Any:
    """Everybody, by e-mail address; only oneself for who has no role yet."""
    await require_of_narrow("principals.list")
    own = None if await knows_others() else (await actor()).id
    return [shapes.user(row) for row in await roci.read(people) if own in (None, row.id)]


@routes.delete("/<id>")
@needs("principals.delete")
@returns(results.Message)
async def remove(id: str) -> Any:
    """Remove somebody, with all that proves who they are. The last administrator stays."""
    await roci.write(_remove, id)
    return shapes.message("user deleted")
