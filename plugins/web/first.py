"""/setup/…: the first run. A link that works once makes the administrator, with a password or with a passkey."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import BaseModel, ConfigDict
from quart import Blueprint, jsonify, redirect, render_template, request

from roci import SYSTEM, Invalid, Sensitive, current_actor

from ..auth import passkeys
from ..auth.factors import SecondFactorRequired
from ..auth.passwords import Passwords
from ..auth.sign_in import require_factor
from ..domain import credentials, factors, principals
from ..domain.factors import NewPasskey
from ..domain.principals import Principal
from ..surfaces.http import check_origin, client_address, public, read_body, roci
from .forms import CEREMONY, forget, remember, site, welcome
from .second import lead_on

routes = Blueprint("first", __name__, url_prefix="/setup")


class Named(BaseModel):
    """For a passkey of somebody who does not exist yet."""

    model_config = ConfigDict(strict=True)
    username: str


class Made(BaseModel):
    """The passkey that the browser made."""

    model_config = ConfigDict(strict=True)
    username: str
    credential: dict[str, Any]


@routes.get("/<secret>")
@public
async def form(secret: str) -> Any:
    """The form that makes the administrator. The link works once."""
    await roci.read(credentials.check_setup_link, secret)
    return await _page("admin")


async def _page(name: str, message: str | None = None) -> str:
    return await render_template("setup.html", message=message, name=name[:100], trouble=site().trouble)


@routes.post("/<secret>")
@public
async def begin(secret: str) -> Any:
    """Make the first administrator with a password, and sign in."""
    check_origin()
    await roci.read(credentials.check_setup_link, secret)
    given = await request.form
    name, password = given.get("username", ""), given.get("password", "")
    try:
        if password != given.get("repeated"):
            raise Invalid("the two passwords differ")
        hashed = await roci.part(Passwords).make(password)
        _act_as_setup()
        person = await roci.write(credentials.use_setup_link, secret, name, roci.settings.admin_email, hashed)
    except Invalid as error:
        return await _page(name, error.message), 400
    try:
        await require_factor(roci, person)
    except SecondFactorRequired as required:
        return lead_on(required, "/")
    response: Any = redirect("/", 303)
    await welcome(person, response, "password")
    return response


def _act_as_setup() -> None:
    current_actor.set(dataclasses.replace(SYSTEM, via="setup", address=client_address()))


@routes.post("/<secret>/passkey/options")
@public
async def passkey_options(secret: str) -> Any:
    """What the browser needs to make a passkey for who will be the administrator."""
    check_origin()
    await roci.read(credentials.check_setup_link, secret)
    given = await read_body(Named, optional=False)
    if not principals.NAME.fullmatch(given.username):
        raise Invalid("name: letters, digits and . _ @ + - only, at most 255")
    person = Principal(id=credentials.digest(secret), name=given.username)  # is to be
    options, challenge = await passkeys.begin_registration(roci, site(), person, client_address())
    response = jsonify(options)
    remember(response, CEREMONY, challenge)
    return response


@routes.post("/<secret>/passkey")
@public
async def passkey(secret: str) -> Any:
    """Make the first administrator with that passkey, and sign in. Recovery codes come with it, shown this once."""
    check_origin()
    await roci.read(credentials.check_setup_link, secret)
    given = await read_body(Made, optional=False)
    challenge = request.cookies.get(CEREMONY)
    new = await passkeys.registered(roci, site(), credentials.digest(secret), challenge, given.credential, "")
    _act_as_setup()
    person, codes = await roci.write(_make, secret, given.username, roci.settings.admin_email, new)
    response = jsonify(recovery_codes=[str(code) for code in codes])
    response.headers["Cache-Control"] = "no-store"
    await welcome(person, response, "passkey")
    forget(response, CEREMONY)
    return response


def _make(secret: str, name: str, email: str, new: NewPasskey) -> tuple[Principal, list[Sensitive]]:
    person = credentials.use_setup_link(secret, name, email, None)
    return person, factors.add_passkey(person.id, new)
