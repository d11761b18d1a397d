"""/api/v1/auth/oidc: identity providers, and signing in with one. The page of /login begins here too."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from quart import Blueprint, Response, jsonify, redirect, request

from roci import Forbidden, Invalid, NotFound, TooMany, Unauthenticated, Unavailable, current_actor

from ...auth import oidc
from ...auth.oidc import COOKIE, Arrival, Handover, Handovers
from ...auth.sign_in import require_factor
from ...domain import access, credentials, principals, providers
from ...domain.credentials import Login
from ...domain.principals import Principal
from ...domain.providers import NewProvider
from ..http import accepts, base_url, client_address, needs, public, raises, returns, roci
from . import results, shapes
from .auth import LOGIN_LASTS, access_token, both_tokens

routes = Blueprint("oidc", __name__, url_prefix="/auth")
EXCHANGED_LASTS = datetime.timedelta(minutes=15)  # as long as the one access token
DELIVERIES = {"": "fragment", "fragment": "fragment", "nonce": "nonce", "query": "query"}
CALLED_BACK = dict.fromkeys(("state", "code", "error", "iss"), "string")
ARRIVED = "/login/arrived"  # the page that ends a sign-in by cookie


@routes.get("/oidc/providers")
@public
@returns(list[results.Provider])
async def list_() -> Any:
    """Those that people may sign in with."""
    return [shapes.provider(row) for row in await roci.read(providers.enabled)]


@routes.post("/oidc/providers")
@needs("providers.update")
@accepts(shapes.NewProvider)
@returns(results.Message)
async def put(given: shapes.NewProvider) -> Any:
    """Add a provider, or replace what is known of it. It is asked whether it is there."""
    wanted = NewProvider(given.id, **given.model_dump(exclude={"id", "client_secret"}))
    await oidc.save(roci, wanted, given.client_secret)
    return shapes.message(f"provider '{given.id}' saved")


@routes.delete("/oidc/providers/<name>")
@needs("providers.update")
@returns(results.Message, query={"force": "boolean"})
async def remove(name: str) -> Any:
    """Remove a provider; with `?force=true` also one that people sign in with."""
    force = request.args.get("force", "").lower() in ("true", "1")
    await roci.write(providers.remove, name, force)
    return shapes.message(f"provider '{name}' deleted")


@routes.get("/oidc/<provider_id>/authorize")
@public
@returns(None, status=307, query={"redirect_uri": "string", "token_delivery": "string"})
@raises(Invalid, TooMany, Unavailable)
async def authorize(provider_id: str) -> Any:
    """Begin a sign-in: to the provider, and with its answer to redirect_uri, or nowhere."""
    uri, asked = request.args.get("redirect_uri", ""), request.args.get("token_delivery", "")
    delivery = DELIVERIES.get(asked)
    if delivery is None:
        raise Invalid("token_delivery: nonce, fragment or query")
    if delivery == "query" and not providers.is_here(urlsplit(uri).hostname or ""):
        raise Invalid("token_delivery: query is for redirect_uri on the user's own machine only")
    delivery = delivery if uri else "json"
    url, _ = await oidc.begin(roci, provider_id, delivery, uri, base_url(), client_address())
    return redirect(url, 307)


@routes.get("/oidc/callback")
@public
@returns(results.Tokens, query=CALLED_BACK, also=(307,))
@raises(Unauthenticated, Forbidden, Invalid, TooMany, Unavailable)
async def callback() -> Any:
    """Where the provider sends the browser back to."""
    current_actor.set(dataclasses.replace(current_actor.get(), address=client_address()))
    given = {name: request.args.get(name, "") for name in ("state", "code", "error")}
    arrival = await oidc.finish(
        roci, **given, issuer=request.args.get("iss", ""), cookie=request.cookies.get(COOKIE, "")
    )
    response = await _deliver(arrival)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _deliver(arrival: Arrival) -> Response:
    delivery, target, person = arrival.flow.delivery, arrival.flow.redirect_uri, arrival.person
    if delivery in ("cookie", "nonce"):  # what is missing is asked for where it is picked up
        picked_up = Handover(person.id, arrival.via, target, person.password_set_at)
        nonce = roci.part(Handovers).put(picked_up, client_address())
        if delivery == "nonce":
            return _redirect(target, "?", auth_nonce=nonce)
        response = _redirect(ARRIVED)
        secure = arrival.flow.callback.startswith("https://")
        response.set_cookie(COOKIE, nonce, max_age=30, httponly=True, samesite="Lax", secure=secure, path="/")
        return response
    try:
        await require_factor(roci, person)
    except Unauthenticated as missing:
        raise Unauthenticated(f"{missing.message}; with token_delivery=nonce, when the nonce is exchanged") from None
    tokens = both_tokens(person, await _login(person, arrival.via, LOGIN_LASTS))
    if delivery == "json":
        return jsonify(tokens)
    named = {"access_token": tokens["accessToken"], "refresh_token": tokens["refreshToken"]}
    return _redirect(target, "?" if delivery == "query" else "#", **named, expires_in=tokens["expiresIn"])


def _redirect(target: str, joint: str = "", **given: Any) -> Response:
    if joint == "?" and urlsplit(target).query:
        joint = "&"
    return cast(Response, redirect(f"{target}{joint}{urlencode(given)}", 307))


async def _login(person: Principal, via: str, lasts: datetime.timedelta) -> Login:
    """Recorded as the act of who signed in."""
    current_actor.set(dataclasses.replace(access.actor(person, via=via), address=client_address()))
    return await roci.write(credentials.open_login, person, "rootcx", lasts, via)


@routes.post("/oidc/token-exchange")
@public
@accepts(shapes.IdToken)
@returns(results.AccessToken)
@raises(Unauthenticated, Forbidden, NotFound, TooMany)
async def exchange_token(given: shapes.IdToken) -> Any:
    """An access token for somebody who has the provider's id_token already."""
    current_actor.set(dataclasses.replace(current_actor.get(), address=client_address()))
    arrival = await oidc.with_id_token(roci, given.provider_id, given.id_token)
    await require_factor(roci, arrival.person, given.otp)
    return access_token(arrival.person, await _login(arrival.person, arrival.via, EXCHANGED_LASTS))


@routes.post("/nonce-exchange")
@public
@accepts(shapes.Nonce)
@returns(results.Tokens)
@raises(Unauthenticated, Forbidden, TooMany)
async def exchange_nonce(given: shapes.Nonce) -> Any:
    """Tokens for the nonce that a sign-in ended with. It is good once, for half a minute."""
    found = roci.part(Handovers).take(given.nonce)
    if found is None or found.target.startswith("/"):
        raise Unauthenticated("this nonce is unknown, over or used")
    person = await roci.read(principals.still, found.principal_id, found.password_set_at)
    await require_factor(roci, person, given.otp)
    return both_tokens(person, await _login(person, found.via, LOGIN_LASTS))
