"""/api/v1/auth: registering, signing in, tokens. The routes of identity providers are in `oidc`."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from typing import Any, Literal

import msgspec
from quart import Blueprint

from roci import SYSTEM, Forbidden, NotFound, TooMany, Unauthenticated, current_actor

from ...auth import logins
from ...auth.factors import SecondFactorRequired
from ...auth.jwt import Tokens
from ...auth.passwords import Passwords
from ...auth.sign_in import require_passwords, takes_passwords, with_password
from ...domain import credentials, principals, providers, registration
from ...domain.credentials import Login
from ...domain.principals import Principal
from ...work.enrol import Pace
from ..http import accepts, actor, client_address, is_near, public, raises, returns, roci, signed_in
from . import results, shapes

log = logging.getLogger("roci.rootcx")
routes = Blueprint("auth", __name__, url_prefix="/auth")
ACCESS_LASTS = 900  # seconds
LOGIN_LASTS = datetime.timedelta(days=30)


class RootcxSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether people may make their own accounts. config.example.yaml explains it."""

    section = "rootcx"

    registration: Literal["open", "closed"] = "open"


class Registrations(Pace):
    """How often an address may register somebody."""

    def __init__(self) -> None:
        super().__init__(whom="new people")


def access_token(person: Principal, login: Login) -> dict[str, Any]:
    token = roci.part(Tokens).mint("rootcx", person, login, ACCESS_LASTS)
    return {"accessToken": token, "expiresIn": ACCESS_LASTS}


def both_tokens(person: Principal, login: Login) -> dict[str, Any]:
    refresh = roci.part(Tokens).mint("rootcx", person, login, LOGIN_LASTS.total_seconds(), typ="refresh")
    return {**access_token(person, login), "refreshToken": refresh}


@routes.post("/register")
@public
@accepts(shapes.Registration)
@returns(results.Registered, status=201)
@raises(Forbidden, TooMany)
async def register(new: shapes.Registration) -> Any:
    """Make one's own account. The first person to come administers this ROCI; the others may do nothing yet."""
    if roci.section(RootcxSettings).registration == "closed":
        raise Forbidden("registration is closed: an administrator can make an account for you")
    await require_passwords(roci)
    address = client_address()
    roci.part(Registrations).check(address)
    registration.check_password(new.password)
    hashed = await roci.part(Passwords).make(new.password)
    current_actor.set(dataclasses.replace(SYSTEM, via="registration", address=address))
    name = (new.display_name or "").strip()
    person = await roci.write(registration.register, new.email, name, hashed, is_near())
    if person.administrator:
        log.warning("the first person registered, %s from %s, and administers this ROCI now", person.email, address)
    return {"user": shapes.user(person)}, 201


@routes.post("/login")
@public
@accepts(shapes.Login)
@returns(results.SignedIn)
@raises(Unauthenticated, TooMany)
async def login(given: shapes.Login) -> Any:
    """Sign in by e-mail address and password; `otp` is the code of a second factor, where there is one."""
    address = client_address()
    person = await _proven(given, address)
    begun = await logins.begin(roci, person, "rootcx", LOGIN_LASTS, address)
    return {**both_tokens(person, begun), "user": shapes.user(person)}


async def _proven(given: shapes.Login, address: str) -> Principal:
    """One text for whatever was wrong; only who knows the password is told that a second factor is asked for."""
    try:
        return await with_password(roci, given.email.strip(), given.password, address, given.otp)
    except SecondFactorRequired:
        raise
    except Unauthenticated:
        raise Unauthenticated("invalid credentials") from None


@routes.post("/refresh")
@public
@accepts(shapes.Refresh)
@returns(results.AccessToken)
@raises(Unauthenticated)
async def refresh(given: shapes.Refresh) -> Any:
    """A new access token. The refresh token stays the same."""
    found = await roci.part(Tokens).refreshable("rootcx", given.refresh_token)
    return access_token(found.principal, found)


@routes.post("/logout")
@public
@accepts(shapes.Refresh)
@returns(results.Message)
@raises(Unauthenticated)
async def logout(given: shapes.Refresh) -> Any:
    """End a stay, by its refresh token. Twice is the same as once."""
    said = roci.part(Tokens).read("rootcx", given.refresh_token, "refresh")
    found = await roci.read(credentials.verify_login_id, said["session_id"])
    current_actor.set(dataclasses.replace(found.actor if found else SYSTEM, address=client_address()))
    await roci.write(credentials.close_login, said["session_id"])
    return shapes.message("logged out")


@routes.get("/me")
@signed_in
@returns(results.User)
@raises(NotFound)
async def me() -> Any:
    """Who I am."""
    return shapes.user(await roci.read(principals.get, (await actor()).id))


@routes.get("/mode")
@public
@returns(results.Mode)
async def mode() -> Any:
    """How one signs in here, and whether the first person is still to come."""
    return {
        "authRequired": roci.settings.auth == "enabled",
        "setupRequired": not await roci.read(principals.has_administrator),
        "passwordLoginEnabled": await takes_passwords(roci),
        "magicLinkEnabled": False,
        "providers": [shapes.provider(row) for row in await roci.read(providers.enabled)],
    }
