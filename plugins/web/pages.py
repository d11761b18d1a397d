"""/login, /logout, /setup/…, and the start page."""

from __future__ import annotations

import hashlib
import hmac
from html import escape
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict
from quart import Blueprint, Response, jsonify, redirect, render_template, request

from roci import Actor, Forbidden, Invalid, RociError

from ..agent.hub import Hub
from ..auth import cookies
from ..auth.passwords import Passwords
from ..core.app import identify
from ..domain import credentials
from ..surfaces.http import base_url, check_origin, client_address, public, read_body, roci, scheme
from .install import install_line

routes = Blueprint("pages", __name__)


class SignIn(BaseModel):
    """What signing in takes, from programs and from the form."""

    model_config = ConfigDict(strict=True, extra="ignore")
    username: str
    password: str


def error_page(error: RociError) -> str:
    """Without a template, so that it works whatever is broken."""
    title = {401: "Sign in first", 403: "Not allowed", 404: "Nothing here"}.get(error.status, "That did not work")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - ROCI</title>'
        '<link rel="stylesheet" href="/static/style.css"></head>'
        f"<body><main><h1>{title}</h1><p>{escape(error.message)}</p>"
        '<p><a href="/">To the start page</a></p></main></body></html>'
    )


def form_token() -> str:
    """Goes into every form; only a page of ours knows it, since it comes of the cookie."""
    secret = request.cookies.get(cookies.NAME, "")
    return hashlib.sha256(b"form:" + secret.encode()).hexdigest()


def is_https() -> bool:
    """Whether the browser speaks https, as far as can be known: on plain http it would drop a Secure cookie.

    A proxy that says nothing is believed to do https for the name in `public_url`, and for that name only.
    """
    public_url = urlsplit(roci.settings.public_url or "")
    return scheme() == "https" or (public_url.scheme == "https" and public_url.netloc == request.host)


def _local_path(path: str | None) -> str:
    """Where to go after signing in: a path of ours, never an address."""
    path = path or "/"
    is_ours = path.startswith("/") and path.isprintable() and not path.startswith("//") and "\\" not in path
    return path if is_ours else "/"


@routes.get("/")
@public
async def start() -> Any:
    """The start page, for those who are signed in."""
    who: Actor | None = await identify(roci)
    if who is None:
        return redirect("/login", 303)
    hub = roci.part(Hub)
    hosts = [live.host for live in hub.roster.values()]
    return await render_template(
        "start.html",
        name=who.name,
        may_sign_out=who.via == "cookie",
        token=form_token(),
        hosts=len(hosts),
        connected=hub.connected,
        pending=sum(host.status == "pending" for host in hosts),
        address=base_url(),
        line=install_line(base_url()),
    )


@routes.get("/login")
@public
async def login_form() -> Any:
    """The form to sign in with."""
    return await render_template("login.html", next=_local_path(request.args.get("next")), message=None, name="")


@routes.post("/login")
@public
async def login() -> Any:
    """Sign in: JSON is answered with JSON, a form with a redirection; both set the cookie."""
    check_origin()
    if request.mimetype == "application/json":
        given = await read_body(SignIn, optional=False)
        return await _sign_in(given.username, given.password, jsonify(success=True, message="Signed in"))
    form = await request.form
    name, password = form.get("username", ""), form.get("password", "")
    target = _local_path(form.get("next"))
    try:
        return await _sign_in(name, password, redirect(target, 303))
    except RociError as error:
        page = await render_template("login.html", next=target, message=error.message, name=name[:100])
        headers = {"Retry-After": str(error.details["retry_after"])} if "retry_after" in error.details else {}
        return page, error.status, headers


async def _sign_in(name: str, password: str, response: Any) -> Any:
    person = await roci.part(Passwords).check(name, password, client_address())
    await cookies.sign_in(roci, person, response, is_https())
    return response


@routes.get("/logout")
@public
async def logout_form() -> Any:
    """A button: following a link must not sign anybody out."""
    return await render_template("logout.html", token=form_token())


@routes.post("/logout")
@public
async def logout() -> Any:
    """End this stay."""
    check_origin()
    if request.mimetype == "application/json":
        response: Response = jsonify(success=True, message="Signed out")
    else:
        token = (await request.form).get("token", "")
        if not hmac.compare_digest(token.encode(), form_token().encode()):  # bytes: text would have to be ASCII
            raise Forbidden("this form is out of date: go back, reload the page and try again")
        response = redirect("/login", 303)  # type: ignore[assignment]
    await cookies.sign_out(roci, request, response)
    return response


@routes.get("/setup/<secret>")
@public
async def setup_form(secret: str) -> Any:
    """First run: the form that makes the administrator. The link works once."""
    await roci.read(credentials.check_setup_link, secret)
    return await render_template("setup.html", message=None, name="admin")


@routes.post("/setup/<secret>")
@public
async def setup(secret: str) -> Any:
    """Make the first administrator and sign in."""
    check_origin()
    await roci.read(credentials.check_setup_link, secret)
    form = await request.form
    name, password = form.get("username", ""), form.get("password", "")
    try:
        if password != form.get("repeated"):
            raise Invalid("the two passwords differ")
        hashed = await roci.part(Passwords).make(password)
        email = roci.settings.admin_email
        person = await roci.write(credentials.use_setup_link, secret, name, email, hashed)
    except Invalid as error:
        return await render_template("setup.html", message=error.message, name=name[:100]), 400
    response: Any = redirect("/", 303)
    await cookies.sign_in(roci, person, response, is_https())
    return response
