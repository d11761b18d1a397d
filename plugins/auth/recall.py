"""What authenticators remember for a moment, so that a signed-in request needs no trip to the database."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from roci import Actor, Event, Roci

from ..domain.credentials import LoginRevoked, Proven, TokenRevoked, digest
from ..domain.principals import PrincipalEvent
from .rbac import Rbac


class Recall:
    """Actors by the digest of their credential. Emptied when any principal or credential changes here."""

    age = 2.0  # seconds: what another process does to the database is seen within them
    most = 4096

    def __init__(self, roci: Roci, verify: Callable[[str], Proven | None], touch: Callable[[str], None]) -> None:
        self._roci = roci
        self._verify = verify
        self._touch = touch
        self._known: OrderedDict[str, tuple[float, Actor]] = OrderedDict()
        self._generation = 0

    async def actor(self, secret: str) -> Actor | None:
        """Whom this secret proves; None: nobody."""
        key, clock = digest(secret), asyncio.get_running_loop().time
        known = self._known.get(key)
        if known and clock() < known[0]:
            return known[1]
        generation, until = self._generation, clock() + self.age
        proven = await self._roci.read(self._verify, secret)
        if proven is None:
            self._known.pop(key, None)
            return None
        await self._roci.part(Rbac).refresh()  # the command line may have made both this moment
        if generation == self._generation:  # else it may have ended while it was being read
            self._known[key] = (until, proven.actor)
            self._known.move_to_end(key)
            if len(self._known) > self.most:
                self._known.popitem(last=False)
        if proven.stale:
            self._roci.spawn(self._touched(proven.id), "noting a credential's use")
        return proven.actor

    async def _touched(self, id: str) -> None:
        await self._roci.write(self._touch, id)

    def heard(self, event: Event) -> None:
        """Forget everybody when somebody's credentials may have ended. It is rare, and remembering is cheap."""
        if isinstance(event, PrincipalEvent | TokenRevoked | LoginRevoked):
            self.forget()

    def forget(self) -> None:
        self._generation += 1
        self._known.clear()
