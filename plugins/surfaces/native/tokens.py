"""/api/v1/tokens: API tokens, shown once."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from roci import Actor, Forbidden, Malformed, NotFound, Sensitive, now

from ...domain import access, credentials, principals, rules
from ...domain.credentials import Token
from ...domain.principals import Principal
from ..http import accepts, actor, paging, raises, require, require_of_narrow, returns, roci, signed_in
from . import people_shapes as shapes
from .shapes import Done, done, page

routes = Blueprint("tokens", __name__, url_prefix="/tokens")


@routes.get("")
@signed_in
@returns(shapes.Tokens, paged=True, query={"user": "string", "all": "boolean"})
@raises(NotFound)
async def index() -> Any:
    """List my tokens, newest first; `user` (a name) or `all=true` lists others', with tokens.list."""
    limit, offset = paging()
    who = await actor()
    whose, everybody = request.args.get("user", who.name), _flag("all")
    if everybody or whose.lower() != who.name.lower():
        await require("tokens.list")
    await require_of_narrow("tokens.list")
    rows = await roci.read(_tokens, None if everybody else whose, who)
    moment = now()
    return {"tokens": [shapes.token(row, moment) for row in page(rows, limit, offset)], "total": len(rows)}


def _flag(name: str) -> bool:
    given = request.args.get(name, "false")
    if given not in ("true", "false"):
        raise Malformed(f"{name}: true or false")
    return given == "true"


def _tokens(whose: str | None, who: Actor) -> list[Token]:
    if whose is None:
        return credentials.tokens()
    return credentials.tokens(who.id if whose.lower() == who.name.lower() else principals.by_name(whose).id)


@routes.post("")
@signed_in
@accepts(shapes.NewToken)
@returns(shapes.IssuedToken, status=201)
@raises(NotFound)
async def add(new: shapes.NewToken) -> Any:
    """Make a token for myself; for `user` with tokens.create, if they may do nothing that I may not."""
    who = await actor()
    is_own = new.user is None or new.user.lower() == who.name.lower()
    if not is_own:
        await require("tokens.create")
    if is_own:
        _require_no_wider(who, new.scopes)

    def write() -> tuple[Token, Sensitive]:
        row = principals.get(who.id) if is_own else _coverable(new.user or "")
        return credentials.issue(row.id, new.name, new.scopes, new.expires_at)

    row, secret = await roci.write(write)
    return {**shapes.token(row, now()), "token": str(secret)}, 201


def _require_no_wider(who: Actor, scopes: list[str] | None) -> None:
    """A credential that is for some things only makes none that is for more, and none at all unless it is for that."""
    if who.scopes is None:
        return
    _require_scope(who, "tokens.create")
    if scopes is None or not all(any(rules.includes(mine, scope) for mine in who.scopes) for scope in scopes):
        raise Forbidden(f"this credential is for {', '.join(sorted(who.scopes))} only: give the token scopes within")


def _require_scope(who: Actor, action: str) -> None:
    if who.scopes is not None and not rules.covers(who.scopes, action):
        raise Forbidden(f"this credential is for {', '.join(sorted(who.scopes))} only, not for {action}")


def _coverable(name: str) -> Principal:
    row = principals.by_name(name)
    access.require_covers(row)
    return row


@routes.delete("/<id>")
@signed_in
@returns(Done)
async def revoke(id: str) -> Any:
    """Revoke a token: my own, or with tokens.revoke another's. It stops working at once."""
    who = await actor()
    if not any(row.id == id for row in await roci.read(credentials.tokens, who.id)):
        await require("tokens.revoke")
    if id != who.credential:
        _require_scope(who, "tokens.revoke")
    await roci.write(credentials.revoke, id)
    return done("Token revoked")
