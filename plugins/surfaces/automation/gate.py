"""The order in which a request is looked at here: the key (401), where it comes from (403), how many came before it
(429), what the key is for (403), and only then the body (422). What it is about comes after that: see `permit`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, TypeVar, cast

from quart import Response, g, request

from roci import Actor, Forbidden, NotFound, NotReady, TooMany, Unauthenticated, current_actor

from ...agent.address import client_ip
from ...auth.automation import AutomationKeys
from ...auth.rates import Answer, Rates
from ...domain.automation import RIGHTS, KeyActor, Limits
from ...domain.operations import current_cause
from ...domain.rules import covers
from ...work.automation import cause
from ..http import actor, checked, documented, read_json, refuse_foreign, require, roci
from .shapes import Body

TAKEN = ("automation key", "token", "open")  # cookies and the tokens of other dialects are not
CREDENTIALS = ("automationKey", "bearer")  # as /openapi.json calls them
POLLS = 10  # times as many questions about operations as requests
View = Callable[..., Awaitable[Any]]
B = TypeVar("B", bound=Body)


def limits_of(who: Actor) -> Limits | None:
    """What the key itself is limited to; None for an API token, which is not."""
    return who.limits if isinstance(who, KeyActor) else None


async def _caller() -> Actor:
    """Who asks, by a key or an API token. Raises Unauthenticated."""
    who = await actor()
    if who.via not in TAKEN:
        raise Unauthenticated("an automation key or an API token is needed here")
    refuse_foreign(who)
    forwarded = ", ".join(request.headers.getlist("X-Forwarded-For")) or None
    address = client_ip(request.remote_addr or "", forwarded, roci.settings.trusted_proxies)
    g.actor = dataclasses.replace(who, address=address or who.address)
    return g.actor  # type: ignore[no-any-return]


async def _admitted(counts: Callable[[AutomationKeys], Rates], times: int) -> Actor:
    """Who asks, if it is from where and as often as the key is for."""
    who = await _caller()
    if limits := limits_of(who):
        _check_address(who, limits)
        _count(who, limits.rate * times, counts(roci.part(AutomationKeys)))
    return who


def _check_address(who: Actor, limits: Limits) -> None:
    if limits.networks is None:
        return
    try:
        address = ip_address(who.address)
    except ValueError:  # a socket without addresses
        raise Forbidden("this key is for certain addresses only, and this request comes from none") from None
    if not any(address in network for network in limits.networks):
        raise Forbidden(f"this key is not for requests from {address}")


def _count(who: Actor, limit: int, rates: Rates) -> None:
    g.rate = answer = rates.ask(who.credential, limit, asyncio.get_running_loop().time())
    if not answer.passes:
        raise TooMany(f"this key is good for {limit} requests a minute", retry_after=answer.wait)


async def note_rate(response: Response) -> Response:
    """Tell the client what is left."""
    answer: Answer | None = g.get("rate")
    if answer:
        response.headers["X-RateLimit-Limit"] = str(answer.limit)
        response.headers["X-RateLimit-Remaining"] = str(answer.remaining)
        response.headers["X-RateLimit-Reset"] = str(answer.wait)
    return response


def automates(operation: str, model: type[B]) -> Callable[[View], View]:
    """Pass the body, read as this model, to a view that has this done."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def gated() -> Any:
            who = await _admitted(lambda keys: keys.rates, 1)
            _check_operation(who, operation)
            body = checked(model, await read_json(False))
            body.check()
            token = current_cause.set(cause(body.run_id, body.run_context, body.hidden()))
            try:
                return await _as(who, view, body)
            finally:
                current_cause.reset(token)

        note = documented(gated)
        note.body, note.access = model, RIGHTS[operation]
        note.credentials, note.errors = CREDENTIALS, (*note.errors, NotFound, NotReady, TooMany)
        return _open_to_signed_in(gated)

    return decorate


def polls(view: View) -> View:
    """Let whoever has a key through, as often as clients ask how far something is."""

    @functools.wraps(view)
    async def gated(**path: Any) -> Any:
        return await _as(await _admitted(lambda keys: keys.polls, POLLS), view, **path)

    note = documented(gated)
    note.access, note.credentials, note.errors = "signed in", CREDENTIALS, (*note.errors, TooMany)
    return _open_to_signed_in(gated)


def _open_to_signed_in(view: View) -> View:
    cast(Any, view).access = "signed in"  # what more it takes depends on the body
    return view


async def _as(who: Actor, view: View, *body: Any, **path: Any) -> Any:
    token = current_actor.set(who)
    try:
        return await view(*body, **path)
    finally:
        current_actor.reset(token)


def _check_operation(who: Actor, operation: str) -> None:
    limits, right = limits_of(who), RIGHTS[operation]
    if limits and limits.operations is not None and operation not in limits.operations:
        raise Forbidden(f"this key is not for {operation}", action=right)
    if who.scopes is not None and not covers(who.scopes, right):
        raise Forbidden(f"this token is not for {operation}", action=right)


async def permit(operation: str, server_id: str) -> None:
    """Raise Forbidden unless the caller may have this done on that server, whether or not there is one."""
    check_server(server_id)
    await require(RIGHTS[operation], f"host/{server_id}")


def check_server(server_id: str | None) -> None:
    limits = limits_of(current_actor.get())
    if limits and limits.servers is not None and server_id not in limits.servers:
        raise Forbidden("this key is not for this server", resource=f"host/{server_id}")
