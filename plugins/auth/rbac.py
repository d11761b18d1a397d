"""The default authorizer: what roles and bindings give a principal, narrowed by what its credential is for.

Decisions are made from a book in memory. A change made in this process is in it before the change's caller goes on;
one made by another process (the command line) within two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from roci import Actor, Authorizer, Event, Roci, Task, hookimpl

from ..domain import access, rules
from ..domain.access import Book
from ..domain.rules import Grant

MOST = 20_000  # decisions that are remembered
LONGEST = 200  # characters of an action and its resource that are: strangers choose some


class Rbac:
    """Deny unless some grant allows. Scopes of a credential are final: it never does more than it is for."""

    name = "rbac"

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._edition: Any = None
        self._reading = asyncio.Lock()
        self._book = Book({}, {}, {}, {})
        self._grants: dict[str, tuple[Grant, ...]] = {}  # by actor id
        self._decided: dict[tuple[str, str, str], bool] = {}
        roci.provide(self)

    def decide(self, actor: Actor, action: str, resource: str) -> bool | None:
        if actor.scopes is not None and not rules.covers(actor.scopes, action):
            return False
        if actor.rights and rules.covers(actor.rights, action):
            return True
        return True if self._holds(actor, action, resource) else None

    def _holds(self, actor: Actor, action: str, resource: str) -> bool:
        key = (actor.id, action, resource)
        known = self._decided.get(key)
        if known is None:
            if len(self._decided) >= MOST:
                self._decided.clear()
            known = any(rules.allows(grant, action, resource) for grant in self.grants(actor))
            if len(action) + len(resource) <= LONGEST:
                self._decided[key] = known
        return known

    def grants(self, actor: Actor) -> tuple[Grant, ...]:
        """What roles and bindings give an actor, whatever its credential is for."""
        if actor.id not in self._grants:
            self._grants[actor.id] = self._book.grants(actor)
        return self._grants[actor.id]

    async def refresh(self) -> None:
        """Read the book anew if anything changed. One at a time: an older book must not replace a newer one."""
        async with self._reading:
            edition = await self._roci.read(access.edition)
            if edition != self._edition:
                self._book = await self._roci.read(access.book)
                self._edition, self._grants, self._decided = edition, {}, {}


@hookimpl
def register_authorizers(roci: Roci) -> list[Authorizer]:
    return [Rbac(roci)]


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [Task("noticing changed rights", 2, roci.part(Rbac).refresh)]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    await roci.write(access.seed)
    await roci.part(Rbac).refresh()
    yield


@hookimpl
def on_event(roci: Roci, event: Event) -> Awaitable[None] | None:
    return roci.part(Rbac).refresh() if access.is_about_rights(event) else None
