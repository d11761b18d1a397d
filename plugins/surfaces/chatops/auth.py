"""/api/v1/auth: registering, signing in by a form, tokens, and one's own account."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

import msgspec
from quart import Blueprint, request

from roci import (
    SYSTEM,
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Sensitive,
    TooMany,
    Unauthenticated,
    current_actor,
)

from ...auth import logins
from ...auth.factors import SecondFactorRequired
from ...auth.jwt import Tokens
from ...auth.passwords import Passwords
from ...auth.sign_in import require_factor, require_passwords, with_password
from ...domain import access, credentials, principals, registration, roles
from ...domain.credentials import Login
from ...domain.principals import NewPrincipal, Principal
from ...work.enrol import Pace
from ..http import (
    FORM,
    JSON,
    accepts,
    checked,
    client_address,
    is_near,
    public,
    raises,
    read_json,
    require_of_narrow,
    returns,
    roci,
    signed_in,
    takes,
)
from . import results, shapes
from .errors import WrongCurrentPassword, WrongPassword

routes = Blueprint("auth", __name__, url_prefix="/auth")
ACCESS_LASTS = 1800  # seconds
LOGIN_LASTS = datetime.timedelta(days=7)
MOST_FIELDS = 20
STAYS = ("jwt", "cookie")  # credentials behind which there is a sign-in


class ChatopsSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether people may make their own accounts. config.example.yaml explains it."""

    section = "chatops"

    registration: Literal["first", "open", "closed"] = "first"


class Registrations(Pace):
    """How often an address may register somebody."""

    def __init__(self) -> None:
        super().__init__(whom="new people")


# --- coming in ---


@routes.post("/register")
@public
@accepts(shapes.Registration)
@returns(results.Tokens, status=201)
@raises(Unauthenticated, Forbidden, TooMany)
async def register(new: shapes.Registration) -> Any:
    """Make one's own account. The first person of all administers this ROCI; the others may do nothing yet."""
    rule, address = roci.section(ChatopsSettings).registration, client_address()
    await roci.read(_check_open, rule)  # before a hash is made
    await require_passwords(roci)
    roci.part(Registrations).check(address)
    hashed = await roci.part(Passwords).make(new.password, shortest=shapes.SHORTEST)
    current_actor.set(dataclasses.replace(SYSTEM, via="registration", address=address))
    person = await roci.write(_register, new, hashed, rule, is_near())
    try:
        await require_factor(roci, person)
    except SecondFactorRequired as missing:
        raise SecondFactorRequired(f"Your account is made; {missing.message}", person, missing.missing) from None
    login = await logins.begin(roci, person, "chatops", LOGIN_LASTS, address)
    return _tokens(person, login), 201


def _check_open(rule: str) -> None:
    """Raises Forbidden. With `first`, whoever comes before there is anybody may."""
    if rule == "closed" or (rule == "first" and any(row.kind == "person" for row in principals.all_())):
        raise Forbidden("registration is closed: an administrator can make an account for you")


def _register(new: shapes.Registration, password_hash: Sensitive, rule: str, is_near: bool) -> Principal:
    """In one transaction, so two cannot both be the first. A name that roles wait for is nobody's to take."""
    _check_open(rule)
    if principals.find(new.username) is not None or roles.bindings(new.username):
        raise Conflict("Username already taken")
    if principals.by_email(new.email) is not None:
        raise Conflict("Email already registered")
    shown = new.full_name or ""
    fresh = NewPrincipal(new.username, "person", new.email, shown, password_hash, email_vouched=False)
    person = principals.add(fresh)
    registration.welcome(person, is_near)
    return principals.get(person.id)


def _tokens(person: Principal, login: Login) -> dict[str, Any]:
    """Both tokens, and whose they are."""
    refresh = roci.part(Tokens).mint("chatops", person, login, LOGIN_LASTS.total_seconds(), type="refresh")
    made = _access(person, login)
    return {"access_token": made["access_token"], "refresh_token": refresh, **made, "user": shapes.user(person)}


def _access(person: Principal, login: Login) -> dict[str, Any]:
    token = roci.part(Tokens).mint("chatops", person, login, ACCESS_LASTS)
    return {"access_token": token, "token_type": "bearer"}


@routes.post("/login")
@public
@takes(shapes.Login, FORM, JSON)
@returns(results.Tokens)
@raises(Unauthenticated, TooMany)
async def log_in() -> Any:
    """Sign in by e-mail address or user name; `otp` is the code of a second factor, where there is one."""
    given, address = checked(shapes.Login, await _form()), client_address()
    try:
        person = await with_password(roci, given.username, given.password, address, given.otp)
    except Unauthenticated as refused:
        raise WrongPassword(refused.message, **refused.details) from None
    return _tokens(person, await logins.begin(roci, person, "chatops", LOGIN_LASTS, address))


async def _form() -> dict[str, Any]:
    """The fields of a form, or of JSON that says so. Raises Malformed."""
    if request.mimetype == "application/json":
        return await read_json(optional=True)
    try:
        text = cast(bytes, await request.get_data()).decode()
        return dict(parse_qsl(text, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Malformed("the body is not a form") from None


@routes.post("/refresh")
@public
@accepts(shapes.Refresh)
@returns(results.AccessToken)
@raises(Unauthenticated)
async def refresh(given: shapes.Refresh) -> Any:
    """A new access token. The refresh token stays the same."""
    login = await roci.part(Tokens).refreshable("chatops", given.refresh_token)
    return _access(login.principal, login)


# --- being here ---


@routes.post("/logout")
@signed_in
@returns(results.Message)
async def log_out() -> Any:
    """End this stay: neither of its tokens works any more."""
    who = current_actor.get()
    if who.via in STAYS:
        await roci.write(credentials.end_login, who.credential)
    return shapes.done("Successfully logged out")


@routes.get("/me")
@signed_in
@returns(results.User)
@raises(NotFound)
async def me() -> Any:
    """Who I am."""
    return shapes.user(await roci.read(principals.get, current_actor.get().id))


@routes.put("/me")
@signed_in
@accepts(shapes.Profile, optional=True)
@returns(results.User)
@raises(NotFound)
async def change_me(given: shapes.Profile) -> Any:
    """My full name; nothing else of me changes here."""
    await require_of_narrow("principals.update")
    changes = {"display_name": given.full_name or ""} if "full_name" in given.model_fields_set else {}
    return shapes.user(await roci.write(principals.change, current_actor.get().id, **changes))


@routes.post("/change-password")
@signed_in
@accepts(shapes.PasswordChange)
@returns(results.Message)
@raises(TooMany)
async def change_password(given: shapes.PasswordChange) -> Any:
    """By the present one. Other sign-ins end, this one stays."""
    await require_of_narrow("principals.update")
    who, passwords = current_actor.get(), roci.part(Passwords)
    person = await roci.read(principals.get, who.id)
    try:
        await passwords.check_again(person, given.current_password, client_address())
    except Unauthenticated:
        raise WrongCurrentPassword("Current password is incorrect") from None
    made = await passwords.make(given.new_password, shortest=shapes.SHORTEST)
    await roci.write(_set_password, who.id, made)
    return shapes.done("Password changed successfully")


def _set_password(id: str, password_hash: Sensitive) -> None:
    access.require_covers(principals.get(id))
    credentials.set_password(id, password_hash, but=current_actor.get().credential or None)
