"""People who signed in: the cookie `roci_session`, and making and ending what it stands for."""

from __future__ import annotations

import dataclasses

from quart import Request, Response, Websocket

from roci import Actor, Authenticator, Event, Roci, Task, current_actor, hookimpl

from ..core.app import has_bearer
from ..domain import access, credentials
from ..domain.principals import Principal
from .recall import Recall

NAME = "roci_session"


class Cookies:
    name = "cookies"

    def __init__(self, roci: Roci) -> None:
        self.recall = Recall(roci, credentials.verify_login, credentials.touch_login)
        roci.provide(self)

    async def authenticate(self, request: Request | Websocket) -> Actor | None:
        secret = request.cookies.get(NAME)
        return await self.recall.actor(secret) if secret and not has_bearer(request) else None


async def sign_in(
    roci: Roci, principal: Principal, response: Response, secure: bool, via: str = "password", address: str = ""
) -> None:
    """Begin a login and put its cookie on the response. The browser keeps it until it closes; we, 12 h unused.

    `via` is how it was proved who this is: password, passkey, oidc:NAME.
    """
    address = address or current_actor.get().address
    current_actor.set(dataclasses.replace(access.actor(principal, via="cookie"), address=address))
    secret = await roci.write(credentials.log_in, principal, via)
    response.set_cookie(NAME, secret, httponly=True, samesite="Lax", secure=secure, path="/")


async def sign_out(roci: Roci, request: Request, response: Response) -> None:
    """End the login this request came with, if any."""
    if secret := request.cookies.get(NAME):
        await roci.write(credentials.log_out, secret)
    response.delete_cookie(NAME, path="/", httponly=True, samesite="Lax")


@hookimpl
def register_authenticators(roci: Roci) -> list[Authenticator]:
    return [Cookies(roci)]


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    async def forget() -> None:
        await roci.write(credentials.forget_expired)

    return [Task("forgetting old logins", 3600, forget)]


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    roci.part(Cookies).recall.heard(event)
