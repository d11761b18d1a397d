"""/login, /logout, and the start page."""

from __future__ import annotations

from html import escape
from typing import Any

from pydantic import BaseModel, ConfigDict
from quart import Blueprint, Response, jsonify, make_response, redirect, render_template, request

from roci import Actor, RociError, __version__

from ..auth import cookies
from ..auth.factors import SecondFactorRequired
from ..auth.sign_in import with_password
from ..core.app import identify, refused
from ..surfaces.http import check_origin, client_address, public, read_body, roci
from . import language
from . import login as login_page
from .forms import check_token, form_token, is_https, local_path, welcome
from .language import N_, _
from .second import lead_on
from .ui import dashboard

routes = Blueprint("pages", __name__)


class SignIn(BaseModel):
    """What signing in takes, from programs and from the form."""

    model_config = ConfigDict(strict=True, extra="ignore")
    username: str
    password: str
    otp: str | None = None  # a code of one's app, or a recovery code


TITLES = {401: N_("Sign in first"), 403: N_("Not allowed"), 404: N_("Nothing here")}
WAYS_ON = (("/", N_("Overview")), ("/hosts", N_("Hosts")), ("/applications", N_("Applications")))


def error_page(error: RociError) -> str:
    """Without a template, so that it works whatever is broken."""
    title = escape(_(TITLES.get(error.status, N_("That did not work"))))
    ways = " ".join(f'<a href="{path}">{escape(_(label))}</a>' for path, label in WAYS_ON)
    return (
        f'<!doctype html><html lang="{language.language()}"><head><meta charset="utf-8"><title>{title} - ROCI</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/style.css"></head>'
        f"<body><main><h1>{title}</h1><p>{escape(error.message)}</p><nav><p>{ways}</p></nav></main></body></html>"
    )


@routes.get("/")
@public
async def start() -> Any:
    """The start page, for those who are signed in. Hosts are for who may see them. Programs are told what this is."""
    response = await make_response(await _start())
    response.vary.add("Accept")
    return response


async def _start() -> Any:
    accepted = request.accept_mimetypes
    if accepted["application/json"] > accepted["text/html"]:
        return jsonify(message="ROCI", version=__version__, docs="/docs")
    who: Actor | None = await identify(roci)
    if who is None:
        return redirect("/login", 303)
    return await dashboard.show(who)


@routes.get("/login")
@public
async def login_form() -> Any:
    """The form to sign in with, and the other ways there are."""
    return await login_page.page(local_path(request.args.get("next")))


@routes.post("/login")
@public
async def login() -> Any:
    """Sign in: JSON is answered with JSON, a form with a redirection; both set the cookie."""
    check_origin()
    if request.mimetype == "application/json":
        given = await read_body(SignIn, optional=False)
        person = await with_password(roci, given.username, given.password, client_address(), given.otp)
        answer: Any = jsonify(success=True, message="Signed in")
        await welcome(person, answer, "password")
        return answer
    form = await request.form
    name, target = form.get("username", ""), local_path(form.get("next"))
    try:
        person = await with_password(roci, name, form.get("password", ""), client_address())
    except SecondFactorRequired as required:
        return lead_on(required, target)
    except RociError as error:
        await refused(roci, error)
        headers = {"Retry-After": str(error.details["retry_after"])} if "retry_after" in error.details else {}
        return await login_page.page(target, name, error.message), error.status, headers
    response: Any = redirect(target, 303)
    await welcome(person, response, "password")
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
        check_token((await request.form).get("token", ""))
        response = redirect("/login", 303)  # type: ignore[assignment]
    await cookies.sign_out(roci, request, response)
    return response


@routes.get("/language/<code>")
@public
async def choose_language(code: str) -> Any:
    """The language of the pages in this browser, for who is not signed in; then back to where they were."""
    response = redirect(local_path(request.args.get("next")), 303)
    if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):  # other sites choose nothing here
        language.choose(response, code, is_https())
    return response
