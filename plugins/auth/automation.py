"""Keys of CI systems: `Authorization: Bearer rca_…`, on the one surface that is made for them."""

from __future__ import annotations

from quart import Request, Websocket

from roci import Actor, Authenticator, Event, Roci, Unauthenticated, hookimpl, now

from ..domain import automation
from ..domain.automation import AutomationKeyEvent, KeyActor
from .rates import Rates
from .recall import Recall

PATH = "/api/automation/v1"


class RefusedKey(Unauthenticated):
    """A key that proves nothing. `tried`: what it is called, for the audit trail."""

    def __init__(self, tried: str) -> None:
        super().__init__("this key is unknown, expired or revoked")
        self.tried = tried


class KeyRecall(Recall):
    def heard(self, event: Event) -> None:
        """Forget every key when one may have changed."""
        if isinstance(event, AutomationKeyEvent):
            self.forget()
        super().heard(event)


class AutomationKeys:
    """Reached as `roci.part(AutomationKeys)`; `rates` and `polls` count what each key asks for."""

    name = "automation keys"

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self.recall = KeyRecall(roci, automation.verify, automation.touch)
        self.rates, self.polls = Rates(), Rates()
        roci.provide(self)

    async def authenticate(self, request: Request | Websocket) -> Actor | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret.startswith(automation.PREFIX):
            return None
        if not f"{request.path}/".startswith(f"{PATH}/"):
            raise Unauthenticated(f"automation keys are for {PATH} only")
        actor = await self.recall.actor(secret)
        if not isinstance(actor, KeyActor) or _is_over(actor):
            raise RefusedKey(await self._roci.read(automation.known_by, secret))
        return actor


def _is_over(actor: KeyActor) -> bool:
    """To the moment: what is remembered may have ended meanwhile."""
    ends = actor.limits.expires_at if actor.limits else None
    return ends is not None and ends <= now()


@hookimpl
def register_authenticators(roci: Roci) -> list[Authenticator]:
    return [AutomationKeys(roci)]


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    roci.part(AutomationKeys).recall.heard(event)
