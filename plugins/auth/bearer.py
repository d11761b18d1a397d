"""API tokens: `Authorization: Bearer roci_…`."""

from __future__ import annotations

from quart import Request, Websocket

from roci import Actor, Authenticator, Event, Roci, Unauthenticated, hookimpl

from ..domain import credentials
from .recall import Recall


class Bearer:
    name = "bearer"

    def __init__(self, roci: Roci) -> None:
        self.recall = Recall(roci, credentials.verify_token, credentials.touch_token)
        roci.provide(self)

    async def authenticate(self, request: Request | Websocket) -> Actor | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret.startswith(credentials.PREFIX):
            return None
        actor = await self.recall.actor(secret)
        if actor is None:
            raise Unauthenticated("this token is unknown, expired or revoked")
        return actor


@hookimpl
def register_authenticators(roci: Roci) -> list[Authenticator]:
    return [Bearer(roci)]


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    roci.part(Bearer).recall.heard(event)
