"""The second step of signing in: a code, a passkey, or setting one up where everybody must have one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from quart import Blueprint, jsonify, make_response, redirect, render_template, request

from roci import Forbidden, Invalid, RociError, Sensitive, Unauthenticated

from ..auth import passkeys
from ..auth.factors import Factors, SecondFactorRequired
from ..auth.passwords import Passwords
from ..auth.steps import Step, Steps
from ..core.app import refused
from ..domain import factors, keyring, principals
from ..domain.keyring import Keyring
from ..domain.principals import Principal
from ..surfaces.http import check_origin, client_address, public, read_body, roci
from . import login
from .forms import CEREMONY, STEP, end_step, forget, local_path, remember, site, step, welcome
from .language import _
from .qr import as_svg

routes = Blueprint("second", __name__)


class Begin(BaseModel):
    """`second`: after a password. Else the passkey says who it is."""

    model_config = ConfigDict(strict=True)
    second: bool = False


class Signed(BaseModel):
    """A passkey's answer, as browsers give it."""

    model_config = ConfigDict(strict=True)
    credential: dict[str, Any]
    next: str = "/"


def lead_on(required: SecondFactorRequired, target: str, via: str = "password") -> Any:
    """So far it was right: to the page that asks for the rest."""
    enrols = required.missing == "enrolment"
    person, secret = required.principal, factors.new_totp() if enrols else None
    waiting = Step(person.id, target, via, secret, password_set_at=person.password_set_at)
    response = redirect("/login/enrol" if enrols else "/login/second", 303)
    remember(response, STEP, roci.part(Steps).put(waiting, client_address()))
    return response


async def _person(waiting: Step) -> Principal:
    return await roci.read(principals.still, waiting.principal_id, waiting.password_set_at)


# --- a code --------------------------------------------------------------------


@routes.get("/login/second")
@public
async def second_form() -> Any:
    """The form for a code, after the password."""
    waiting = step()
    return await _second_page(waiting) if waiting else redirect("/login", 303)


async def _second_page(waiting: Step, error: RociError | None = None) -> Any:
    held = await roci.read(factors.held, waiting.principal_id)
    here = site()
    page = await render_template(
        "second.html",
        totp=held.totp,
        passkey=not here.trouble and any(key.site == here.name for key in held.passkeys),
        elsewhere=sorted({key.site for key in held.passkeys} - {here.name}),
        recovery_codes=held.recovery_codes,
        message=error.message if error else None,
    )
    return page, error.status if error else 200


@routes.post("/login/second")
@public
async def second() -> Any:
    """Sign in with the code. Five wrong ones, and the password is asked for again."""
    check_origin()
    waiting = step()
    if waiting is None:
        return redirect("/login", 303)
    code = (await request.form).get("code", "")
    try:
        waiting.tries -= 1  # before it is looked at, so that many at once are no more than one after another
        if waiting.tries < 0 or not await roci.part(Factors).proves(waiting.principal_id, code):
            raise Unauthenticated("this code is wrong, was used before, or is over")
    except RociError as error:
        await refused(roci, error)
        if waiting.tries <= 0:
            return await _begin_again()
        return await _second_page(waiting, error)
    return await _arrived(waiting)


async def _begin_again() -> Any:
    response: Any = await make_response(await login.page("/", message=_("too many wrong codes: sign in again")), 401)
    end_step(response)
    return response


async def _arrived(waiting: Step) -> Any:
    person = await _person(waiting)
    roci.part(Passwords).succeeded(person, client_address())
    response: Any = redirect(waiting.target, 303)
    await welcome(person, response, waiting.via)
    return response


# --- setting one up ------------------------------------------------------------


@routes.get("/login/enrol")
@public
async def enrol_form() -> Any:
    """Where a second factor is required: the QR code to begin with."""
    waiting = step()
    return await _enrol_page(waiting) if waiting and waiting.totp else redirect("/login", 303)


async def _enrol_page(waiting: Step, error: RociError | None = None) -> Any:
    person = await _person(waiting)
    secret = str(waiting.totp)
    qr = as_svg(factors.totp_address(secret, person.name))
    page = await render_template(
        "totp.html",
        action="/login/enrol",
        token="",  # nobody is signed in yet: the cookie of this step says who it is
        secret=secret,
        qr=qr,
        required=True,
        message=error.message if error else None,
    )
    return page, error.status if error else 200, {"Cache-Control": "no-store"}


@routes.post("/login/enrol")
@public
async def enrol() -> Any:
    """The app's first code: from now on there is a second factor, and this browser is signed in."""
    check_origin()
    waiting = step()
    if waiting is None or waiting.totp is None:
        return redirect("/login", 303)
    person = await _person(waiting)
    code = (await request.form).get("code", "")
    try:
        codes = await roci.write(_enrol, keyring.of(roci), waiting, code)
    except Invalid as error:
        return await _enrol_page(waiting, error)
    response: Any = await make_response(await render_template("codes.html", codes=codes, next=waiting.target))
    response.headers["Cache-Control"] = "no-store"
    await welcome(person, response, waiting.via)
    return response


def _enrol(ring: Keyring, waiting: Step, code: str) -> list[Sensitive]:
    """Whoever has only the old password by now sets nothing up."""
    person = principals.still(waiting.principal_id, waiting.password_set_at)
    return factors.add_totp(ring, person.id, waiting.totp or "", code)


# --- a passkey -----------------------------------------------------------------


@routes.post("/login/passkey/options")
@public
async def passkey_options() -> Any:
    """What the browser needs to sign in with a passkey."""
    check_origin()
    given = await read_body(Begin, optional=True)
    waiting = step() if given.second else None
    if given.second and waiting is None:
        raise Unauthenticated("that took too long: sign in again")
    person_id = waiting.principal_id if waiting else None
    options, secret = await passkeys.begin_sign_in(roci, site(), person_id, client_address())
    response = jsonify(options)
    remember(response, CEREMONY, secret)
    return response


@routes.post("/login/passkey")
@public
async def passkey() -> Any:
    """Sign in with the passkey's answer: alone, or after a password."""
    check_origin()
    given = await read_body(Signed, optional=False)
    person, is_second = await passkeys.finish_sign_in(roci, site(), request.cookies.get(CEREMONY), given.credential)
    waiting = step() if is_second else None
    if is_second and (waiting is None or waiting.principal_id != person.id):
        raise Forbidden("that took too long: sign in again")
    if waiting is not None:
        person = await _person(waiting)
    target = waiting.target if waiting else local_path(given.next)
    response = jsonify(next=target)
    await welcome(person, response, waiting.via if waiting else "passkey")
    forget(response, CEREMONY)
    return response
