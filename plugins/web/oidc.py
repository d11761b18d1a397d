"""Signing in with an identity provider, as pages: a link leads there, and who comes back is given the cookie."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect, request

from roci import Unauthenticated

from ..auth import oidc
from ..auth.factors import SecondFactorRequired
from ..auth.oidc import COOKIE, FLOW_LASTS, Flows, Handovers
from ..auth.sign_in import require_factor
from ..domain import principals
from ..surfaces.http import base_url, client_address, public, roci
from .forms import forget, is_https, local_path, welcome
from .second import lead_on

routes = Blueprint("oidc_pages", __name__)


@routes.get("/login/oidc/<provider_id>")
@public
async def begin(provider_id: str) -> Any:
    """To the provider. This browser alone can come back."""
    if roci.find(Flows) is None:
        raise Unauthenticated("nobody signs in with an identity provider here")
    target = local_path(request.args.get("next"))
    url, secret = await oidc.begin(roci, provider_id, "cookie", target, base_url(), client_address())
    response = redirect(url, 303)
    # Lax, since the way back begins at the provider's site.
    response.set_cookie(
        COOKIE, secret, max_age=int(FLOW_LASTS), httponly=True, samesite="Lax", secure=is_https(), path="/"
    )
    return response


@routes.get("/login/arrived")
@public
async def arrived() -> Any:
    """Back from the provider, with a cookie that says who it is, once. Then the second factor, where there is one."""
    handovers = roci.find(Handovers)
    found = handovers.take(request.cookies.get(COOKIE, "")) if handovers is not None else None
    if found is None or not found.target.startswith("/"):
        raise Unauthenticated("this sign-in is over: begin again")
    person = await roci.read(principals.still, found.principal_id, found.password_set_at)
    target = local_path(found.target)
    response: Any
    try:
        await require_factor(roci, person)
    except SecondFactorRequired as required:
        response = lead_on(required, target, found.via)
    else:
        response = redirect(target, 303)
        await welcome(person, response, found.via)
    forget(response, COOKIE)
    return response
