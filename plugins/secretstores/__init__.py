"""Where secrets come from: the contract of a store, and the hook that brings one. Each store is one module here."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from typing import Protocol

from roci import Roci, Sensitive, hookimpl, hookspec


@dataclasses.dataclass(frozen=True)
class Scope:
    """Whose secrets: "platform", "space/NAME", "app/ID", "application/ID". `title` is what people call it."""

    id: str
    title: str


@dataclasses.dataclass(frozen=True)
class Stored:
    """A secret that a store has, without its value."""

    name: str
    description: str = ""
    created_by: str | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None


class SecretStore(Protocol):
    """Holds secrets by scope and name. Methods may take time; raise Unavailable when it does not answer.

    `set` and `remove` are called only where `writable` is true. Names that ROCI does not take are never asked for.
    """

    name: str
    writable: bool

    async def names(self, scope: Scope) -> Sequence[Stored]: ...

    async def get(self, scope: Scope, name: str) -> Sensitive | None: ...

    async def set(self, scope: Scope, name: str, value: Sensitive, description: str | None) -> None: ...

    async def remove(self, scope: Scope, name: str) -> None:
        """Raises NotFound."""


class StoreHooks(Protocol):
    """What this layer adds to the hooks of the spine."""

    @hookspec
    def register_secret_stores(self, roci: Roci) -> Iterable[SecretStore]:
        """Return stores of secrets. Where two have a secret of one name, the first in plugin order counts."""


@hookimpl
def register_hookspecs() -> type[StoreHooks]:
    return StoreHooks
