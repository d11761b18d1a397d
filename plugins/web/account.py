"""/account: what people change about themselves. Factors, passwords and recovery codes ask once more who is there."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from quart import Blueprint, jsonify, make_response, redirect, render_template, request

from roci import Actor, Forbidden, Invalid, NotFound, RociError, Sensitive, now

from ..auth import passkeys
from ..auth.factors import Factors
from ..auth.passwords import Passwords
from ..auth.steps import Step, Steps
from ..core.app import refused
from ..domain import credentials, factors, keyring, principals
from ..domain.credentials import Login, Token
from ..domain.factors import Held
from ..domain.principals import Principal
from ..surfaces.http import actor, client_address, read_body, roci, signed_in
from . import language, shell
from .forms import CEREMONY, STEP, check_token, end_step, forget, form_token, is_https, remember, site, step
from .language import _
from .qr import as_svg

routes = Blueprint("account", __name__)
MOST_DAYS = 3650
TOPICS = ("login", "token", "factor", "factors", "passkey", "recovery_code", "recovery_codes", "beats")


@dataclasses.dataclass(frozen=True)
class Account:
    """What the page, or one part of it, shows, read at one moment. None: that part has nothing of it."""

    person: Principal
    held: Held | None
    tokens: list[Token] | None
    logins: list[Login] | None


class Asked(BaseModel):
    """For a new passkey: the form's token, and a password or a code."""

    model_config = ConfigDict(strict=True)
    token: str
    proof: str = ""


class Made(BaseModel):
    """The passkey that the browser made."""

    model_config = ConfigDict(strict=True)
    token: str
    credential: dict[str, Any]
    name: str = ""


async def me() -> Actor:
    """Who is signed in with this browser. An API token does not change how its owner signs in."""
    who = await actor()
    if who.via != "cookie":
        raise Forbidden("this page is for people who have signed in with a browser")
    return who


def unrevoked(principal_id: str) -> list[Token]:
    return [row for row in credentials.tokens(principal_id) if row.revoked_at is None]


def _account(principal_id: str, part: str | None) -> Account:
    return Account(
        principals.get(principal_id),
        factors.held(principal_id) if part in (None, "codes", "passkeys") else None,
        unrevoked(principal_id) if part in (None, "tokens") else None,
        credentials.logins(principal_id) if part in (None, "stays") else None,
    )


async def _page(error: RociError | None = None, issued: Sensitive | None = None) -> Any:
    if error is not None:
        await refused(roci, error)
    who = await me()
    here = site()
    page = await shell.render(
        "account.html",
        _("Your account"),
        TOPICS,
        scripts=() if here.trouble else ("passkeys.js",),
        styles=("admin.css",),
        path="/account",
        account=await roci.read(_account, who.id, request.args.get("part")),
        login_id=who.credential,
        required=roci.part(Factors).required,
        trouble=here.trouble,
        here=here.name,
        now=now(),
        issued=issued,
        chosen=request.cookies.get(language.COOKIE, ""),
        message=error.message if error else None,
    )
    return page, error.status if error else 200, {"Cache-Control": "no-store"}


async def _form() -> Any:
    """The form that was sent, once its token is checked."""
    form = await request.form
    check_token(form.get("token", ""))
    return form


async def _prove(proof: str) -> Principal:
    """The person, once they have shown again that it is them."""
    who = await me()
    person = await roci.read(principals.get, who.id)
    await roci.part(Factors).prove_again(person, proof, client_address(), who.credential)
    return person


def _back() -> Any:
    return redirect("/account", 303)


@routes.get("/account")
@signed_in
async def account() -> Any:
    """One's own name, password, second factors, tokens and stays."""
    return await _page()


@routes.post("/account")
@signed_in
async def change() -> Any:
    """Set the name that is shown. The e-mail address tells people apart, so an administrator sets it."""
    who, form = await me(), await _form()
    shown = form.get("display_name", "").strip()
    try:
        if len(shown) > 200:
            raise Invalid("display name: at most 200 characters")
        await roci.write(principals.change, who.id, display_name=shown)
    except Invalid as error:
        return await _page(error)
    return _back()


@routes.post("/account/language")
@signed_in
async def choose_language() -> Any:
    """The language of the pages in this browser; nothing: as the browser prefers."""
    await me()
    form, response = await _form(), _back()
    language.choose(response, form.get("language", ""), is_https())
    return response


@routes.post("/account/password")
@signed_in
async def password() -> Any:
    """Set a new password. Ends all other stays."""
    who, form = await me(), await _form()
    try:
        if form.get("password", "") != form.get("repeated"):
            raise Invalid("the two passwords differ")
        await roci.part(Factors).prove_password(
            await roci.read(principals.get, who.id), form.get("current", ""), client_address()
        )
        hashed = await roci.part(Passwords).make(form.get("password", ""))
    except RociError as error:
        return await _page(error)
    await roci.write(_set_password, who.id, hashed, who.credential)
    return _back()


def _set_password(principal_id: str, hashed: Sensitive, login_id: str) -> None:
    credentials.set_password(principal_id, hashed, but=login_id)
    credentials.end_logins(principal_id, but=login_id)


# --- one-time codes ------------------------------------------------------------


@routes.post("/account/totp")
@signed_in
async def begin_totp() -> Any:
    """To the page with the QR code."""
    form = await _form()
    try:
        person = await _prove(form.get("proof", ""))
    except RociError as error:
        return await _page(error)
    waiting = Step(person.id, "/account", totp=factors.new_totp(), password_set_at=person.password_set_at)
    response = redirect("/account/totp", 303)
    remember(response, STEP, roci.part(Steps).put(waiting, client_address()))
    return response


@routes.get("/account/totp")
@signed_in
async def totp_form() -> Any:
    """The QR code, and the form for the first code."""
    return await _totp_page()


async def _totp_page(error: RociError | None = None) -> Any:
    who, waiting = await me(), step()
    if waiting is None or waiting.totp is None or waiting.principal_id != who.id:
        return _back()
    page = await render_template(
        "totp.html",
        action="/account/totp/confirm",
        secret=str(waiting.totp),
        qr=as_svg(factors.totp_address(waiting.totp, who.name)),
        token=form_token(),
        required=False,
        message=error.message if error else None,
    )
    return page, error.status if error else 200, {"Cache-Control": "no-store"}


@routes.post("/account/totp/confirm")
@signed_in
async def confirm_totp() -> Any:
    """The first code has come back: from now on they are asked for."""
    who, form, waiting = await me(), await _form(), step()
    if waiting is None or waiting.totp is None or waiting.principal_id != who.id:
        return _back()
    try:
        codes = await roci.write(factors.add_totp, keyring.of(roci), who.id, waiting.totp, form.get("code", ""))
    except RociError as error:
        return await _totp_page(error)
    response = await _codes_page(codes) if codes else _back()
    end_step(response)
    return response


async def _codes_page(codes: list[Sensitive]) -> Any:
    response: Any = await make_response(await render_template("codes.html", codes=codes, next="/account"))
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.post("/account/totp/remove")
@signed_in
async def remove_totp() -> Any:
    """No more codes from the app. The last factor takes the recovery codes with it."""
    form = await _form()
    try:
        person = await _prove(form.get("proof", ""))
        await roci.write(factors.remove_totp, person.id)
    except RociError as error:
        return await _page(error)
    await roci.part(Factors).removed(person)
    return _back()


@routes.post("/account/recovery-codes")
@signed_in
async def recovery_codes() -> Any:
    """New ones, shown this once; the old ones are over."""
    form = await _form()
    try:
        person = await _prove(form.get("proof", ""))
        codes = await roci.write(factors.make_recovery_codes, person.id)
    except RociError as error:
        return await _page(error)
    return await _codes_page(codes)


# --- passkeys ------------------------------------------------------------------


@routes.post("/account/passkeys/options")
@signed_in
async def passkey_options() -> Any:
    """What the browser needs to make a passkey."""
    await me()
    given = await read_body(Asked, optional=False)
    check_token(given.token)
    person = await _prove(given.proof)
    options, secret = await passkeys.begin_registration(roci, site(), person, client_address())
    response = jsonify(options)
    remember(response, CEREMONY, secret)
    return response


@routes.post("/account/passkeys")
@signed_in
async def add_passkey() -> Any:
    """Keep the passkey that the browser made. With the first factor come recovery codes."""
    who = await me()
    given = await read_body(Made, optional=False)
    check_token(given.token)
    secret = request.cookies.get(CEREMONY)
    codes = await passkeys.finish_registration(roci, site(), who.id, secret, given.credential, given.name)
    response = jsonify(recovery_codes=[str(code) for code in codes])
    response.headers["Cache-Control"] = "no-store"
    forget(response, CEREMONY)
    return response


@routes.post("/account/passkeys/<id>/remove")
@signed_in
async def remove_passkey(id: str) -> Any:
    """Forget a passkey."""
    form = await _form()
    try:
        person = await _prove(form.get("proof", ""))
        await roci.write(factors.remove_passkey, person.id, id)
    except RociError as error:
        return await _page(error)
    await roci.part(Factors).removed(person)
    return _back()


# --- API tokens and stays ------------------------------------------------------


@routes.post("/account/tokens")
@signed_in
async def make_token() -> Any:
    """An API token of one's own, shown this once. It does no more than its owner may, and less with scopes."""
    who, form = await me(), await _form()
    try:
        scopes = form.get("scopes", "").replace(",", " ").split() or None
        until = expiry(form.get("days", "").strip())
        _row, secret = await roci.write(credentials.issue, who.id, form.get("name", "").strip(), scopes, until)
    except RociError as error:
        return await _page(error)
    return await _page(issued=secret)


def expiry(days: str) -> datetime.datetime | None:
    if not days:
        return None
    if not (days.isascii() and days.isdecimal()) or len(days) > 4 or not 1 <= int(days) <= MOST_DAYS:
        raise Invalid(f"days: a whole number from 1 to {MOST_DAYS}, or nothing")
    return now() + datetime.timedelta(days=int(days))


@routes.post("/account/tokens/<id>/revoke")
@signed_in
async def revoke_token(id: str) -> Any:
    """Whatever uses it is out at once."""
    who = await me()
    await _form()
    await roci.write(_revoke_own, who.id, id)
    return _back()


def _revoke_own(principal_id: str, id: str) -> None:
    if id not in {row.id for row in credentials.tokens(principal_id)}:
        raise NotFound("you have no such token")
    credentials.revoke(id)


@routes.post("/account/logins/<id>/end")
@signed_in
async def end_login(id: str) -> Any:
    """End one stay."""
    who = await me()
    await _form()
    await roci.write(_end_own, who.id, id)
    return _back()


def _end_own(principal_id: str, id: str) -> None:
    if id not in {row.id for row in credentials.logins(principal_id)}:
        raise NotFound("you have no such stay; it may have ended")
    credentials.end_login(id)


@routes.post("/account/logins/end-others")
@signed_in
async def end_other_logins() -> Any:
    """End every stay but this one."""
    who = await me()
    await _form()
    await roci.write(credentials.end_logins, who.id, who.credential)
    return _back()
