"""Every secret store behind one door: the first store that has a secret counts, and whatever is read is recorded."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from roci import Conflict, HealthCheck, Invalid, NotFound, Roci, RociError, Sensitive, core, hookimpl

from ..domain import applications, keyring, secrets, spaces
from ..secretstores import Scope, SecretStore, Stored

log = logging.getLogger("roci.secrets")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A secret, without its value, and the store that has it."""

    scope: str
    store: str
    stored: Stored


class Embedded:
    """The database's own secrets."""

    name = "database"
    writable = True

    def __init__(self, roci: Roci) -> None:
        self.roci = roci

    async def names(self, scope: Scope) -> Sequence[Stored]:
        return [_stored(row) for row in await self.roci.read(secrets.list_, scope.id)]

    async def get(self, scope: Scope, name: str) -> Sensitive | None:
        return await self.roci.read(secrets.value, keyring.of(self.roci), scope.id, name)

    async def set(self, scope: Scope, name: str, value: Sensitive, description: str | None) -> None:
        await self.roci.write(secrets.put, keyring.of(self.roci), scope.id, name, value, description)

    async def remove(self, scope: Scope, name: str) -> None:
        await self.roci.write(secrets.remove, scope.id, name)


def _stored(row: secrets.Secret) -> Stored:
    return Stored(row.name, row.description, row.created_by, row.created_at, row.updated_at)


class Vault:
    """Internal scopes are not to be had here: for these there is no secret of any name."""

    def __init__(self, roci: Roci, stores: dict[str, SecretStore]) -> None:
        self.roci, self.stores = roci, stores

    async def names(self, scope: str) -> list[Entry]:
        """By name. Raises NotFound for an application that does not exist."""
        return await self._names(await self._scope(scope))

    async def _names(self, asked: Scope) -> list[Entry]:
        found: dict[str, Entry] = {}
        for store in self.stores.values():
            for stored in await store.names(asked):
                if _is_usable(asked.id, stored.name):
                    found.setdefault(stored.name, Entry(asked.id, store.name, stored))
        return [found[name] for name in sorted(found)]

    async def scopes(self) -> list[str]:
        """Those that may hold something: what the database has, the platform, and every application."""

        def known() -> set[str]:
            stored = {row.scope for row in secrets.list_() if not secrets.is_internal(row.scope)}
            return stored | {"platform"} | {f"application/{row.id}" for row in applications.all_()}

        return sorted(await self.roci.read(known))

    async def find(self, scope: str, name: str) -> Entry | None:
        return next((entry for entry in await self.names(scope) if entry.stored.name == name), None)

    async def get(self, scope: str, name: str) -> Entry:
        """Raises NotFound."""
        if (found := await self.find(scope, name)) is None:
            raise NotFound(f"there is no secret {name!r} in {scope}")
        return found

    async def reveal(self, scope: str, name: str) -> Sensitive:
        """The value, for somebody who asked: recorded before it is given. Raises NotFound."""
        entry = await self.get(scope, name)
        value = await self.stores[entry.store].get(await self._scope(scope), name)
        if value is None:
            raise NotFound(f"there is no secret {name!r} in {scope}")
        await self.roci.write(secrets.note_reading, scope, name)
        return value

    async def put(self, scope: str, name: str, value: Sensitive, description: str | None = None) -> Entry:
        """Set a value where it is, or in the first store that can be written. Raises Conflict for one that cannot."""
        asked = await self._scope(scope)
        secrets.check_new(scope, name)
        secrets.check_value(scope, value)
        await (await self._writable(scope, name)).set(asked, name, value, description)
        return await self.get(scope, name)

    async def remove(self, scope: str, name: str) -> None:
        """Raises NotFound, or Conflict where the store cannot be written."""
        await self.get(scope, name)
        await (await self._writable(scope, name)).remove(await self._scope(scope), name)

    async def values_for(self, application_id: str) -> dict[str, Sensitive]:
        """Every secret of an application, for one deploy; recorded as one use."""
        scope = f"application/{application_id}"
        asked = await self._scope(scope)
        found: dict[str, Sensitive] = {}
        for entry in await self._names(asked):
            value = await self.stores[entry.store].get(asked, entry.stored.name)
            if value is not None:  # gone since it was listed
                found[entry.stored.name] = value
        if found:
            await self.roci.write(secrets.note_use, scope, found)
        return found

    async def _scope(self, scope: str) -> Scope:
        """Raises NotFound for internal ones, and where the owner does not exist; Invalid for what is none."""
        if secrets.is_internal(scope):
            raise NotFound(f"there are no secrets in {scope}")
        secrets.check_scope(scope)
        kind, _, id = scope.partition("/")
        if kind == "application":
            return Scope(scope, (await self.roci.read(applications.get, id)).name)
        if kind == "space":
            await self.roci.read(spaces.get, id)
        return Scope(scope, id or scope)

    async def _writable(self, scope: str, name: str) -> SecretStore:
        """Where a secret of this name lies or would lie."""
        entry = await self.find(scope, name)
        if entry is None:
            return next(store for store in self.stores.values() if store.writable)
        if not self.stores[entry.store].writable:
            raise Conflict(f"{name} comes from the {entry.store} of secrets, which ROCI only reads")
        return self.stores[entry.store]


def of(roci: Roci) -> Vault:
    """The vault of a Roci, running or not."""
    vault = roci.find(Vault)
    if vault is None:
        stores = core("loading").by_name("store of secrets", roci.hook.register_secret_stores(roci=roci))
        vault = Vault(roci, stores)
        roci.provide(vault)
    return vault


def _is_usable(scope: str, name: str) -> bool:
    """Whether ROCI takes this name; a folder may hold anything."""
    try:
        secrets.check(scope, name)
    except Invalid as refused:
        log.debug("left out of %s: %s", scope, refused.message)
        return False
    return True


@hookimpl
def register_secret_stores(roci: Roci) -> list[SecretStore]:
    return [Embedded(roci)]


@hookimpl
def register_health_checks(roci: Roci) -> list[HealthCheck]:
    box = of(roci)

    async def answers() -> str | None:
        try:
            await box.names("platform")
            return None
        except RociError as error:
            return error.message

    return [HealthCheck("secrets", answers)]
