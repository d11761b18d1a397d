"""/people/access: why somebody may or may not do something, and what would let them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from quart import Blueprint, request

from roci import Invalid, RociError

from ....auth.reasons import reasons
from ....domain import access, applications, principals, spaces
from ....domain.access import Explanation
from ....domain.principals import Principal
from ....surfaces.http import actor, require, server, signed_in
from ... import shell
from ...language import _
from .. import shown
from ..wrong import beside

routes = Blueprint("access", __name__, url_prefix="/access")
FIELDS = ("subject", "action", "resource")
LONGEST = 300  # characters of each


@dataclasses.dataclass(frozen=True)
class Answer:
    """`givers`: the roles that would let them, where nothing does."""

    subject: str
    action: str
    resource: str
    found: Explanation
    givers: Sequence[str] = ()


@routes.get("")
@signed_in
async def show() -> Any:
    """`?subject=ann&action=hosts.decide&resource=host/…`: everybody about themselves, about others with the right."""
    here, who = server(), await actor()
    given = {name: request.args.get(name, "").strip() for name in FIELDS}
    given["subject"] = given["subject"] or who.name
    answer, error = None, None
    try:
        answer = await _answer(given) if given["action"] else None
    except RociError as refusal:
        error = refusal
    may_ask = here.may(who, "access.explain")
    page = await shell.render(
        "people/access.html",
        _("Why may they?"),
        styles=("admin.css",),
        given=given,
        answer=answer,
        wrong=beside(error, FIELDS),
        may_ask=may_ask,
        names=[row.name for row in await here.read(principals.all_)] if may_ask else [who.name],
        actions=sorted(here.permissions.values(), key=lambda each: each.name),
        resources=await _resources() if may_ask else [],
    )
    return page, error.status if error else 200


async def _answer(given: dict[str, str]) -> Answer:
    if max(map(len, given.values())) > LONGEST:
        raise Invalid(f"action: {LONGEST} characters are enough for each")
    here, who = server(), await actor()
    if "*" not in given["action"] and given["action"] not in here.permissions:
        raise Invalid(f"action: there is no permission {given['action']}")
    if given["subject"].lower() == who.name.lower():
        row: Principal | None = await here.read(principals.find, who.name)
        name = who.name
        found = await reasons(here, who, row, given["action"], given["resource"])
    else:
        await require("access.explain")
        row = await here.read(principals.by_name, given["subject"])
        name = row.name
        found = await here.read(access.explain, row, given["action"], given["resource"])
    givers = [] if found.allowed else await here.read(access.givers, given["action"], given["resource"])
    return Answer(name, given["action"], given["resource"], found, givers)


async def _resources() -> list[tuple[str, str]]:
    """What one may ask about, with its name."""
    here, who = server(), await actor()
    apps, rooms = await here.read(lambda: (applications.all_(), spaces.all_()))
    return [
        *((f"host/{id}", name) for id, name in shown.names(shown.hosts(here, who)).items()),
        *((f"application/{app.id}", app.name) for app in shown.readable(here, who, apps)),
        *((f"space/{row.name}", row.name) for row in rooms),
    ]
