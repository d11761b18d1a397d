"""/api/v0/service-accounts: whoever can sign in by password, people among them."""

from __future__ import annotations

from typing import Any

from roci import Invalid, NotFound, Sensitive, TooMany, current_actor

from ...auth.passwords import SHORTEST, Passwords
from ...domain import access, credentials, principals
from ...domain.principals import NewPrincipal, Principal
from ..http import accepts, client_address, needs, raises, require, require_of_narrow, returns, roci, signed_in
from . import results, shapes
from .system import KINDS
from .tolerant import Tolerant

routes = Tolerant("accounts", __name__, url_prefix="/service-accounts")


def _all() -> list[Principal]:
    rows = [row for row in principals.all_() if row.kind in KINDS]
    return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)


def _find(account: str) -> Principal:
    """By id or by name."""
    row = _meant(account)
    if row is None or row.kind not in KINDS:
        raise NotFound("Service account not found")
    return row


def _meant(account: str) -> Principal | None:
    """An id comes first: somebody's name may look like one."""
    return principals.Principal.get_or_none(principals.Principal.id == account.lower()) or principals.find(account)


@routes.get("")
@needs("principals.list")
@returns(list[results.Account], query=shapes.PAGE)
async def index() -> Any:
    """The newest first."""
    return [shapes.account(row) for row in shapes.page(await roci.read(_all))]


@routes.post("")
@signed_in
@accepts(shapes.NewAccount, optional=True)
@needs("principals.create")
@returns(results.Account)
async def add(new: shapes.NewAccount) -> Any:
    """An account for a program. What is bound to its name already must be the caller's to give."""
    made = await roci.part(Passwords).make(new.password, shortest=1)
    return shapes.account(await roci.write(_add, new, made))


def _add(new: shapes.NewAccount, password_hash: Sensitive) -> Principal:
    fresh = NewPrincipal(new.user, "service", password_hash=password_hash, description=new.description, space=new.space)
    row = principals.add(fresh)
    access.require_covers(row)
    return row


@routes.get("/<account>")
@signed_in
@returns(results.Account)
async def show(account: str) -> Any:
    """One's own, or, with the right, anybody's."""
    if not await _is_own(account):
        await require("principals.get")
    return shapes.account(await roci.read(_find, account))


async def _is_own(account: str) -> bool:
    row = await roci.read(_meant, account)
    return row is not None and row.id == current_actor.get().id


@routes.put("/<account>")
@signed_in
@accepts(shapes.AccountChanges, optional=True)
@needs("principals.update")
@returns(results.Account)
async def change(body: shapes.AccountChanges, account: str) -> Any:
    """Its space, its description, and whether it may sign in."""
    return shapes.account(await roci.write(_change, account, body.changes()))


def _change(account: str, changes: dict[str, Any]) -> Principal:
    row = _find(account)
    if "description" in changes:
        principals.change(row.id, description=changes["description"])
    if "space" in changes and changes["space"] != row.space:
        access.confine(row.id, changes["space"])
        access.require_covers(principals.get(row.id))
    if changes.get("active") is True:
        access.require_covers(row)
        principals.enable(row.id)
    elif "active" in changes:
        principals.disable(row.id)
    return principals.get(row.id)


@routes.delete("/<account>")
@needs("principals.delete")
@returns(results.Done)
async def remove(account: str) -> Any:
    """Its bindings and all it could sign in with go too."""
    await roci.write(lambda: principals.remove(_find(account).id))
    return shapes.DONE


@routes.put("/<account>/password")
@signed_in
@accepts(shapes.PasswordChange, optional=True)
@returns(results.Done)
@raises(TooMany)
async def password(body: shapes.PasswordChange, account: str) -> Any:
    """One's own with the present one; another's with the right to. The sign-in that changes it stays, others end."""
    own = await _is_own(account)
    if not own:
        await require("principals.update")
    await require_of_narrow("principals.update")
    row = await roci.read(_find, account)
    if own and body.current_password is None:
        raise Invalid("current_password: is required")
    passwords = roci.part(Passwords)
    if body.current_password is not None:
        await passwords.check_again(row, body.current_password, client_address())
    await roci.read(access.require_covers, row)  # before a hash is made for nothing
    made = await passwords.make(body.new_password, shortest=1 if row.kind == "service" else SHORTEST)
    await roci.write(_set_password, row.id, made)
    return shapes.DONE


def _set_password(id: str, password_hash: Sensitive) -> None:
    access.require_covers(principals.get(id))
    credentials.set_password(id, password_hash, but=current_actor.get().credential or None)
