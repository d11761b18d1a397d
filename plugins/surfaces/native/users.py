"""/api/v1/users and /api/v1/me: people and services, and whoever asks."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from quart import Blueprint, request

from roci import Actor, Forbidden, Invalid, Sensitive, Unauthenticated

from ...auth.factors import Factors
from ...auth.passwords import Passwords
from ...auth.rbac import Rbac
from ...domain import access, factors, people, principals
from ...domain.principals import KINDS, NewPrincipal, Principal
from ..http import accepts, actor, needs, paging, require, require_of_narrow, returns, roci, signed_in
from . import people_shapes as shapes
from .shapes import Done, done, page

routes = Blueprint("users", __name__, url_prefix="/users")
own_routes = Blueprint("me", __name__, url_prefix="/me")


async def _known(id: str) -> None:
    await roci.read(principals.get, id)


async def _hashed(password: SecretStr | None) -> Sensitive | None:
    return None if password is None else await roci.part(Passwords).make(password.get_secret_value())


@routes.get("")
@needs("principals.list")
@returns(shapes.Users, paged=True, query={"kind": "string"})
async def index() -> Any:
    """List people and services by name; `kind` narrows it."""
    limit, offset = paging()
    kind = request.args.get("kind")
    if kind is not None and kind not in KINDS:
        raise Invalid(f"kind: one of {', '.join(KINDS)}")
    rows = [row for row in await roci.read(principals.all_) if kind in (None, row.kind)]
    return {"users": [shapes.user(row) for row in page(rows, limit, offset)], "total": len(rows)}


@routes.post("")
@needs("principals.create")
@accepts(shapes.NewUser)
@returns(shapes.UserOut, status=201)
async def add(new: shapes.NewUser) -> Any:
    """Add a person or a service. It may do nothing until a role is bound to its name."""
    hashed = await _hashed(new.password)

    made = NewPrincipal(new.name, new.kind, new.email, new.display_name, hashed, new.description)
    return shapes.user(await roci.write(people.add, made)), 201


@routes.get("/<id>")
@needs("principals.get")
@returns(shapes.UserOut)
async def show(id: str) -> Any:
    """Get one person or service."""
    return shapes.user(await roci.read(principals.get, id))


@routes.patch("/<id>")
@needs("principals.update")
@accepts(shapes.UserChanges, of=_known)
@returns(shapes.UserOut)
async def change(body: shapes.UserChanges, id: str) -> Any:
    """Change e-mail address, display name or description. Null leaves a field as it is."""
    changes = body.model_dump(exclude_none=True)
    return shapes.user(await roci.write(people.change, id, **changes))


@routes.post("/<id>/enable")
@needs("principals.update")
@returns(Done)
async def enable(id: str) -> Any:
    """Let somebody in again."""
    await roci.write(people.enable, id)
    return done("User enabled")


@routes.post("/<id>/disable")
@needs("principals.update")
@returns(Done)
async def disable(id: str) -> Any:
    """Keep somebody out at once, with every token and login of theirs."""
    await roci.write(principals.disable, id)
    return done("User disabled")


@routes.delete("/<id>/factors")
@needs("principals.update")
@returns(Done)
async def reset_factors(id: str) -> Any:
    """Take somebody's second factors away, for who lost the phone and the recovery codes. It ends their logins."""
    await roci.write(factors.reset, id)
    return done("Second factors removed")


@routes.delete("/<id>")
@needs("principals.delete")
@returns(Done)
async def remove(id: str) -> Any:
    """Remove somebody, with their tokens, logins and bindings. What they did stays recorded."""
    await roci.write(principals.remove, id)
    return done("User deleted")


# --- passwords ---------------------------------------------------------------


@routes.put("/<id>/password")
@signed_in
@accepts(shapes.NewPassword)
@returns(Done)
async def password(new: shapes.NewPassword, id: str) -> Any:
    """Set a password: one's own with `current_password`, another's with principals.update. Other logins end."""
    who = await actor()
    if who.id != id:
        await require("principals.update")
    await require_of_narrow("principals.update")
    row = await roci.read(principals.get, id)
    if who.id == id:
        await _check_current(who, row, new.current_password)
    else:
        await roci.read(access.require_mastery, row)  # before a hash is made for nothing
    hashed = await _hashed(new.password)
    await roci.write(people.set_password, id, hashed or Sensitive(), who.credential if who.id == id else None)
    return done("Password set")


async def _check_current(who: Actor, row: Principal, current: SecretStr | None) -> None:
    """A session that was left open must not be enough to lock its owner out."""
    if row.password_hash is None:
        if who.via != "cookie" and not row.administrator:  # a token that leaked must not become a password
            raise Forbidden("sign in with a browser to set your first password, or ask an administrator")
        if who.via == "cookie":
            shown = current.get_secret_value() if current else ""
            await roci.part(Factors).prove_again(row, shown, who.address, who.credential)
        return
    if current is None:
        raise Invalid("current_password: is required, to change your own password")
    try:
        await roci.part(Passwords).check_again(row, current.get_secret_value(), who.address)
    except Unauthenticated:
        raise Forbidden("the current password is wrong") from None


# --- whoever asks ------------------------------------------------------------


@own_routes.get("")
@signed_in
@returns(shapes.Me)
async def me() -> Any:
    """Who I am, and what I may do with the credential I used."""
    return await _me()


@own_routes.patch("")
@signed_in
@accepts(shapes.OwnChanges)
@returns(shapes.Me)
async def change_me(body: shapes.OwnChanges) -> Any:
    """Change my own e-mail address or display name."""
    await require_of_narrow("principals.update")
    await roci.write(people.change, (await actor()).id, vouched=False, **body.model_dump(exclude_none=True))
    return await _me()


async def _me() -> dict[str, Any]:
    who = await actor()
    row = await roci.read(lambda: Principal.get_or_none(Principal.id == who.id))
    held = [name for name in roci.permissions if roci.may(who, name)]
    return shapes.me(who, row, held, roci.part(Rbac).grants(who))
