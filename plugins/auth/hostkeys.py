"""Host keys: `X-API-Key: chatops_…`. Whoever shows one acts as its host, and on that host only."""

from __future__ import annotations

from quart import Request, Websocket

from roci import Actor, Authenticator, Authorizer, Event, Roci, Unauthenticated, hookimpl

from ..domain import hostkeys
from ..domain.hostkeys import RIGHTS, HostKeyRemoved, HostKeyRevoked
from ..domain.hosts import HostRemoved
from .recall import Recall

HEADER = "X-API-Key"


class KeyRecall(Recall):
    def heard(self, event: Event) -> None:
        """Forget every key when one may have ended."""
        if isinstance(event, HostKeyRevoked | HostKeyRemoved | HostRemoved):
            self.forget()


class HostKeys:
    name = "host keys"

    def __init__(self, roci: Roci) -> None:
        self.recall = KeyRecall(roci, hostkeys.verify, hostkeys.touch)
        roci.provide(self)

    async def authenticate(self, request: Request | Websocket) -> Actor | None:
        secret = request.headers.get(HEADER, "").strip()
        if not secret.startswith(hostkeys.PREFIX):
            return None
        actor = await self.recall.actor(secret)
        if actor is None:
            raise Unauthenticated("this key is unknown, expired or revoked")
        return actor


class OwnHostOnly:
    """No is final, so nothing else that anybody may be given by this key's name or host reaches it."""

    name = "host keys"

    def decide(self, actor: Actor, action: str, resource: str) -> bool | None:
        if actor.via != hostkeys.VIA:
            return None
        return action in RIGHTS and resource == hostkeys.resource(actor.id)


@hookimpl
def register_authenticators(roci: Roci) -> list[Authenticator]:
    return [HostKeys(roci)]


@hookimpl
def register_authorizers(roci: Roci) -> list[Authorizer]:
    return [OwnHostOnly()]


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    roci.part(HostKeys).recall.heard(event)
