"""/people: people and services, with their roles, tokens, stays and second factors. One's own are at /account."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from collections.abc import Awaitable, Sequence
from typing import Any

from quart import Blueprint, request

from roci import Conflict, Forbidden, Invalid, NotFound, RociError, Sensitive, now

from ....auth.passwords import Passwords
from ....core.app import refused
from ....domain import access, credentials, factors, people, principals, providers, roles
from ....domain.credentials import Login, Token
from ....domain.factors import Held
from ....domain.principals import NewPrincipal, Principal
from ....domain.providers import Identity
from ....domain.roles import Binding
from ....surfaces.http import actor, needs, require, server, signed_in
from ... import shell
from ...account import expiry, unrevoked
from ...forms import done, sent
from ...language import _
from .. import lists
from ..wrong import beside
from . import reasons, relying
from . import roles as role_pages

routes = Blueprint("people", __name__, url_prefix="/people")
for each in (role_pages.routes, reasons.routes, relying.routes):
    routes.register_blueprint(each)

TOPICS = ("principal", "binding", "role", "login", "factor", "factors", "passkey", "token", "password", "beats")
FIELDS = ("name", "kind", "email", "display_name", "description", "role", "password", "how")
SHOWN = ("name", "email", "display_name", "description", "password")  # beside these a reason can stand
CHANGED = ("email", "display_name", "description")


@dataclasses.dataclass(frozen=True)
class Row:
    """Somebody as the list shows them. `has_factor` None: services have none."""

    person: Principal
    bindings: Sequence[Binding]
    has_factor: bool | None
    seen: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a person's own page, or one part of it, shows, read at one moment. None: that part has nothing of it."""

    person: Principal
    bindings: Sequence[Binding] | None
    held: Held | None
    tokens: Sequence[Token] | None
    logins: Sequence[Login] | None
    seen: datetime.datetime | None
    providers: Sequence[str] | None
    roles: Sequence[str] | None


def _rows() -> list[Row]:
    bound: dict[str, list[Binding]] = {}
    for each in roles.bindings():
        bound.setdefault(each.subject.lower(), []).append(each)
    seen, without = people.last_seen(), set(factors.without_factor())
    return [
        Row(
            row,
            bound.get(row.name.lower(), []),
            row.id not in without if row.kind == "person" else None,
            seen.get(row.id),
        )
        for row in principals.all_()
    ]


def _shown(id: str, part: str | None) -> Shown:
    person = principals.get(id)
    return Shown(
        person,
        roles.bindings(person.name) if part in (None, "roles") else None,
        factors.held(id) if part in (None, "state", "danger") else None,
        unrevoked(id) if part in (None, "tokens") else None,
        credentials.logins(id) if part in (None, "stays") else None,
        people.last_seen().get(id) if part in (None, "state") else None,
        _linked(id) if part in (None, "state") else None,
        sorted(row.name for row in roles.all_()) if part in (None, "roles") else None,
    )


def _linked(id: str) -> list[str]:
    """The providers that somebody signs in with."""
    linked = Identity.select(Identity, providers.Provider).join(providers.Provider).where(Identity.principal == id)
    return [each.provider.display_name or each.provider.name for each in linked]


# --- all of them ---------------------------------------------------------------


@routes.get("")
@needs("principals.list")
async def index() -> Any:
    """People and services; `?text=` narrows them."""
    text = lists.asked("text")
    rows = await server().read(_rows)
    return await shell.render(
        "people/people.html",
        _("People and access"),
        TOPICS,
        styles=("admin.css",),
        rows=[row for row in rows if _fits(row, text)],
        count=len(rows),
        text=text,
    )


def _fits(row: Row, text: str) -> bool:
    person = row.person
    return lists.holds(text, person.name, person.display_name, person.email, *(each.role for each in row.bindings))


@routes.get("/new")
@needs("principals.create")
async def new() -> Any:
    """The form for somebody new."""
    return await _new_page({"kind": request.args.get("kind", "person")}, None)


async def _new_page(given: dict[str, str], error: RociError | None) -> Any:
    here = server()
    if error is not None:
        await refused(here, error)
    page = await shell.render(
        "people/person_new.html",
        _("Add a person or a service"),
        styles=("admin.css",),
        given=given,
        wrong=beside(error, SHOWN),
        roles=sorted(row.name for row in await here.read(roles.all_)),
    )
    return page, error.status if error else 200


@routes.post("/new")
@needs("principals.create")
async def add() -> Any:
    """Add them. A person gets the password that was typed, or one that is made here and shown this once, or none."""
    form, here = await sent(), server()
    given = {name: form.get(name, "").strip() for name in FIELDS if name != "password"}
    try:
        if given["role"]:
            await require("bindings.create")
        password = _first_password(given, form.get("password", ""))
        hashed = None if password is None else await here.part(Passwords).make(password)
        made = NewPrincipal(
            given["name"], given["kind"], given["email"], given["display_name"], hashed, given["description"] or None
        )
        row = await here.write(people.add, made, given["role"] or None)
    except RociError as error:
        return await _new_page(given, error)
    if given["how"] == "made":
        return await _person(row.id, issued=password)
    return done(f"/people/{row.id}", _("%(name)s was added", name=row.name))


def _first_password(given: dict[str, str], typed: str) -> Sensitive | None:
    if given["kind"] not in ("person", "service"):
        raise Invalid("kind: person or service")
    if given["kind"] == "service":
        given["how"] = "none"
    if given["how"] == "made":
        return _random()
    return Sensitive(typed) if given["how"] == "typed" else None


def _random() -> Sensitive:
    return Sensitive(secrets.token_urlsafe(12))


# --- one of them ---------------------------------------------------------------


@routes.get("/<id>")
@needs("principals.get")
async def show(id: str) -> Any:
    """Somebody, with all that lets them in."""
    return await _person(id)


async def _person(
    id: str,
    error: RociError | None = None,
    given: dict[str, str] | None = None,
    issued: Sensitive | None = None,
    token: Sensitive | None = None,
) -> Any:
    """`given`: what was typed and refused. `issued` and `token`: a new password and a new token, shown this once."""
    here = server()
    if error is not None:
        await refused(here, error)
    shown, who = await here.read(_shown, id, request.args.get("part")), await actor()
    person = shown.person
    page = await shell.render(
        "people/person.html",
        person.name,
        TOPICS,
        styles=("admin.css",),
        path=f"/people/{id}",
        shown=shown,
        person=person,
        given=given or {name: getattr(person, name) or "" for name in CHANGED},
        wrong=beside(error, CHANGED),
        issued=issued,
        new_token=token,
        is_me=person.id == who.id,
        now=now(),
    )
    return page, error.status if error else 200, {"Cache-Control": "no-store"}


async def _tried(id: str, work: Awaitable[Any], words: str) -> Any:
    """Their page again: with what was done, or why it was refused."""
    try:
        await work
    except RociError as error:
        return await _person(id, error)
    return done(f"/people/{id}", words)


@routes.post("/<id>")
@needs("principals.update")
async def change(id: str) -> Any:
    """Set the e-mail address, the name to show and what is noted of them."""
    form = await sent()
    given = {name: form.get(name, "").strip() for name in CHANGED}
    try:
        await server().write(people.change, id, **given)
    except RociError as error:
        return await _person(id, error, given)
    return done(f"/people/{id}", _("saved"))


@routes.post("/<id>/disable")
@needs("principals.update")
async def disable(id: str) -> Any:
    """Keep somebody out at once."""
    await sent()
    return await _tried(id, server().write(principals.disable, id), _("disabled: nothing of theirs lets anybody in"))


@routes.post("/<id>/enable")
@needs("principals.update")
async def enable(id: str) -> Any:
    """Let somebody in again."""
    await sent()
    return await _tried(id, server().write(people.enable, id), _("enabled"))


@routes.post("/<id>/password")
@needs("principals.update")
async def password(id: str) -> Any:
    """Set somebody else's password: the one typed, or one that is made here and shown this once. Their stays end."""
    form, here = await sent(), server()
    typed = form.get("password", "")
    secret = Sensitive(typed) if typed else _random()
    try:
        if id == (await actor()).id:
            raise Forbidden("your own password is changed on your account page, which asks for the present one")
        await here.read(lambda: access.require_mastery(principals.get(id)))  # before a hash is made for nothing
        await here.write(people.set_password, id, await here.part(Passwords).make(secret))
    except RociError as error:
        return await _person(id, error)
    return done(f"/people/{id}", _("the password was set")) if typed else await _person(id, issued=secret)


@routes.post("/<id>/factors")
@needs("principals.update")
async def reset_factors(id: str) -> Any:
    """Take somebody's second factors away, for who lost the phone and the recovery codes."""
    await sent()
    return await _tried(id, server().write(factors.reset, id), _("the second factors were removed"))


@routes.post("/<id>/remove")
@needs("principals.delete")
async def remove(id: str) -> Any:
    """Forget somebody, once their name was typed."""
    form, here = await sent(), server()
    name = (await here.read(principals.get, id)).name
    try:
        if form.get("confirm", "").strip() != name:
            raise Conflict("type the name to remove them: nothing was changed")
        await here.write(principals.remove, id)
    except RociError as error:
        return await _person(id, error)
    return done("/people", _("%(name)s was removed", name=name))


# --- what they have ------------------------------------------------------------


@routes.post("/<id>/roles")
@signed_in
async def bind(id: str) -> Any:
    """Give them a role, everywhere or in one space."""
    form, here = await sent(), server()
    role, space = form.get("role", ""), form.get("space", "").strip() or None
    await require("bindings.create", f"space/{space}" if space else "")
    person = await here.read(principals.get, id)
    words = _("%(name)s has the role %(role)s", name=person.name, role=role)
    return await _tried(id, here.write(access.bind, person.name, role, space), words)


@routes.post("/<id>/roles/<binding>/remove")
@signed_in
async def unbind(id: str, binding: str) -> Any:
    """Take a role back."""
    await sent()
    here, row = server(), await role_pages.revocable(binding)
    person = await here.read(principals.get, id)
    if row.subject.lower() != person.name.lower():
        raise NotFound("they have no such role")
    words = _("%(name)s has the role %(role)s no more", name=person.name, role=row.role)
    return await _tried(id, here.write(access.unbind, binding), words)


@routes.post("/<id>/tokens")
@needs("tokens.create")
async def make_token(id: str) -> Any:
    """A token of theirs, shown this once. It does no more than they may, and less with scopes."""
    form, here = await sent(), server()
    try:
        scopes = form.get("scopes", "").replace(",", " ").split() or None
        until = expiry(form.get("days", "").strip())
        _row, secret = await here.write(people.issue_token, id, form.get("name", "").strip(), scopes, until)
    except RociError as error:
        return await _person(id, error)
    return await _person(id, token=secret)


@routes.post("/<id>/tokens/<token>/revoke")
@needs("tokens.revoke")
async def revoke_token(id: str, token: str) -> Any:
    """Whatever uses it is out at once."""
    await sent()
    return await _tried(id, server().write(people.revoke_token, id, token), _("the token was revoked"))


@routes.post("/<id>/logins/<login>/end")
@needs("principals.update")
async def end_login(id: str, login: str) -> Any:
    """End one of their stays."""
    await sent()
    return await _tried(id, server().write(people.end_login, id, login), _("that stay was ended"))
