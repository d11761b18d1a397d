"""Signing in with an identity provider, from the sign-in page. What happens in between is `auth.oidc`."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, make_response, redirect, request

from roci import Unauthenticated

from ..auth import oidc
from ..auth.factors import SecondFactorRequired
from ..auth.oidc import COOKIE, FLOW_LASTS, Handovers
from ..auth.sign_in import require_factor
from ..domain import principals
from ..surfaces.http import base_url, client_address, public, roci
from .forms import is_https, local_path, welcome
from .second import lead_on

routes = Blueprint("oidc", __name__)


@routes.get("/login/oidc/<provider_id>")
@public
async def begin(provider_id: str) -> Any:
    """To the provider. The cookie binds the sign-in to this browser: nobody else can finish it in theirs."""
    target = local_path(request.args.get("next"))
    url, browser = await oidc.begin(roci, provider_id, "cookie", target, base_url(), client_address())
    response: Any = redirect(url, 303)
    # Lax, since the browser comes back from another site.
    response.set_cookie(
        COOKIE, browser, max_age=int(FLOW_LASTS), httponly=True, samesite="Lax", secure=is_https(), path="/"
    )
    return response


@routes.get("/login/arrived")
@public
async def arrived() -> Any:
    """Back from the provider, who vouched for somebody: sign in, or ask for the second factor."""
    found = roci.part(Handovers).take(request.cookies.get(COOKIE, ""))
    if found is None or not found.target.startswith("/"):
        raise Unauthenticated("this sign-in is over: begin again at /login")
    person = await roci.read(principals.get, found.principal_id)
    if person.disabled:
        raise Unauthenticated("this account is disabled")
    try:
        await require_factor(roci, person)
        response: Any = redirect(found.target, 303)
        await welcome(person, response, found.via)
    except SecondFactorRequired as required:
        response = await _from_here(lead_on(required, found.target))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="Lax")
    return response


async def _from_here(leading: Any) -> Any:
    """The same as a page that goes on by itself: our stricter cookies do not come along from another site."""
    onward = leading.location
    title = '<!doctype html><html lang="en"><title>Signing in - ROCI</title>'
    response: Any = await make_response(
        f'{title}<meta http-equiv="refresh" content="0;url={onward}"><p><a href="{onward}">Go on</a></p></html>'
    )
    for cookie in leading.headers.getlist("Set-Cookie"):
        response.headers.add("Set-Cookie", cookie)
    return response
