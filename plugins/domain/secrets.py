"""Secret values, sealed, by scope and name. Scopes are resources: "platform", "space/NAME", "app/ID", "application/ID".

"principal/ID", "provider/ID", "registry/ID", "channel/ID" and "system" hold what ROCI needs for itself.
People never see those.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import peewee

from roci import Event, Invalid, NotFound, Permission, Roci, Sensitive, StartupError, current_actor, emit, hookimpl, now

from . import applications, keyring
from .keyring import MISSING, Keyring, Sealed
from .model import Model, Utc

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,254}")
SCOPE = re.compile(r"platform|system|[a-z]+/[A-Za-z0-9_.@+-]{1,255}")
INTERNAL = ("system", "principal/", "provider/", "registry/", "channel/")
LONGEST = 64 * 1024  # bytes of one value
BATCH = 20  # rows that one transaction of a rotation seals again
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What decides how the run itself works is not a secret's to set; nor what steers the host's own tools. Names such as
# DOCKER_GID are people's own, and so is COMPOSE_PROFILES: which of the file's services there are.
RESERVED = frozenset(
    {"PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "VOLUME_BASE"}
    | {"DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"}
    | {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES", "COMPOSE_PATH_SEPARATOR"}
)
STEERING = re.compile(
    r"COMPOSE_(?!PROFILES$)|BUILDX_|BUILDKIT_|OTEL_"
    r"|DOCKER_(API_VERSION|AUTH_CONFIG|BUILDKIT|CLI_|CONTENT_TRUST|CUSTOM_HEADERS|DEFAULT_PLATFORM|OTEL_|TLS)"
)


class Secret(Model):
    scope = peewee.TextField()
    name = peewee.TextField()
    description = peewee.TextField(default="")
    key_id = peewee.TextField(index=True)
    blob = peewee.BlobField()
    created_by = peewee.TextField()
    updated_at = Utc(default=now)

    class Meta:
        indexes = ((("scope", "name"), True),)


@dataclasses.dataclass(frozen=True)
class SecretEvent(Event):
    name: str
    scope: str


@dataclasses.dataclass(frozen=True)
class SecretSet(SecretEvent):
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class SecretChanged(SecretEvent):
    """Its value, and perhaps the description, which is all that before and after show."""

    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class SecretRemoved(SecretEvent):
    before: Mapping[str, Any] | None = None


class SecretRead(SecretEvent):
    """Somebody who asked was given the value."""


@dataclasses.dataclass(frozen=True)
class SecretsRead(Event):
    """A deploy was given the values of these."""

    scope: str
    names: tuple[str, ...]


def is_internal(scope: str) -> bool:
    return scope.startswith(INTERNAL)


def check(scope: str, name: str) -> None:
    """Raise Invalid for a scope or a name that can be none."""
    check_scope(scope)
    if not NAME.fullmatch(name):
        raise Invalid("name: letters, digits, _ . and - only, a letter or _ first, at most 255")
    if scope.startswith("application/"):
        _check_variable(name, name in RESERVED)


def check_new(scope: str, name: str) -> None:
    """The same for what is to be stored: names that are refused by their beginning may have been stored earlier."""
    check(scope, name)
    if scope.startswith("application/"):
        check_variable(name)


def check_scope(scope: str) -> None:
    if not SCOPE.fullmatch(scope):
        raise Invalid("scope: platform, space/NAME, app/ID or application/ID")


def check_variable(name: str) -> None:
    """Raise Invalid for what Compose cannot put in place of ${NAME}, and for what a run or the host's tools go by."""
    _check_variable(name, name in RESERVED or STEERING.match(name) is not None)


def _check_variable(name: str, is_reserved: bool) -> None:
    if not VARIABLE.fullmatch(name):
        raise Invalid(f"secrets: {name!r} is not a name: letters, digits and underscores, not beginning with a digit")
    if is_reserved:
        raise Invalid(f"secrets: {name} is the run's own and cannot be a secret")


def check_value(scope: str, value: str) -> None:
    if len(value.encode(errors="surrogatepass")) > LONGEST:
        raise Invalid(f"value: at most {LONGEST // 1024} KiB")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Invalid("value: not text that can be written")
    if "\0" in value and scope.startswith("application/"):
        raise Invalid("value: contains a NUL, which an environment cannot hold")


def find(scope: str, name: str) -> Secret | None:
    found: Secret | None = Secret.get_or_none(Secret.scope == scope, Secret.name == name)
    return found


def get(scope: str, name: str) -> Secret:
    """Raises NotFound."""
    if (found := find(scope, name)) is None:
        raise NotFound(f"there is no secret {name!r} in {scope}", noun="secret")
    return found


def list_(scope: str | None = None) -> list[Secret]:
    """Those of one scope; None: of all, internal ones too."""
    rows = Secret.select().order_by(Secret.scope, Secret.name)
    return list(rows if scope is None else rows.where(Secret.scope == scope))


def put(ring: Keyring, scope: str, name: str, value: str, description: str | None = None) -> Secret:
    """Set a value, whether or not there was one. A description of None stays as it is."""
    check_new(scope, name)
    check_value(scope, value)
    if scope.startswith("application/"):
        applications.get(scope.partition("/")[2])
    sealed = ring.seal(value, f"{scope}/{name}")
    row = find(scope, name)
    if row is None:
        return _add(scope, name, sealed, description or "")
    before, after = {"description": row.description}, {"description": row.description}
    if description is not None:
        after["description"] = description
    Secret.update(key_id=sealed.key_id, blob=sealed.blob, updated_at=now(), **after).where(
        Secret.id == row.id
    ).execute()
    emit(SecretChanged(name, scope, before, after))
    return get(scope, name)


def _add(scope: str, name: str, sealed: Sealed, description: str) -> Secret:
    row: Secret = Secret.create(
        scope=scope,
        name=name,
        description=description,
        key_id=sealed.key_id,
        blob=sealed.blob,
        created_by=current_actor.get().name,
    )
    emit(SecretSet(name, scope, {"description": description}))
    return row


def remove(scope: str, name: str) -> None:
    """Raises NotFound."""
    row = get(scope, name)
    row.delete_instance()
    emit(SecretRemoved(name, scope, {"description": row.description}))


def remove_scope(scope: str) -> None:
    """With its owner all of a scope goes; nothing happens where it is empty."""
    for row in list_(scope):
        row.delete_instance()
        emit(SecretRemoved(row.name, scope, {"description": row.description}))


def value(ring: Keyring, scope: str, name: str) -> Sensitive | None:
    """The value, for ROCI's own use: no event. None: there is none."""
    ring.read()  # before the row: a key dropped after this is still known
    row = find(scope, name)
    return None if row is None else _opened(ring, row)


def reveal(ring: Keyring, scope: str, name: str) -> Sensitive:
    """The value, for somebody who asked; recorded, so it takes a write. Raises NotFound."""
    found = value(ring, scope, name)
    if found is None:
        raise NotFound(f"there is no secret {name!r} in {scope}", noun="secret")
    note_reading(scope, name)
    return found


def note_reading(scope: str, name: str) -> None:
    """Record that somebody was given this value, wherever it is stored."""
    emit(SecretRead(name, scope))


def note_use(scope: str, names: Iterable[str]) -> None:
    """Record that these were read together, wherever they are stored."""
    emit(SecretsRead(scope, tuple(sorted(names))))


def _opened(ring: Keyring, row: Secret) -> Sensitive:
    return ring.open(Sealed(row.key_id, row.blob), f"{row.scope}/{row.name}")


# --- keys: rotation and loss -------------------------------------------------


def unreadable(ring: Keyring) -> list[Secret]:
    """Those whose key the file has no more."""
    return list(Secret.select().where(Secret.key_id.not_in(list(ring.read().keys))).order_by(Secret.scope, Secret.name))


def check_keys(ring: Keyring) -> None:
    """Refuse to start with secrets that cannot be opened. Raises StartupError."""
    if lost := unreadable(ring):
        raise StartupError(MISSING.format(count=len(lost), what="lacks the keys they need", path=ring.path))


def reseal(ring: Keyring) -> int:
    """Seal some more rows with the current key, in this write. Returns how many; 0: none is left."""
    current = ring.read().current
    rows = list(Secret.select().where(Secret.key_id != current).limit(BATCH))
    for row in rows:
        sealed = ring.seal(_opened(ring, row), f"{row.scope}/{row.name}")
        Secret.update(key_id=sealed.key_id, blob=sealed.blob).where(Secret.id == row.id).execute()
    return len(rows)


def drop_keys(ring: Keyring) -> list[str]:
    """Drop the keys that no row uses. In a write of its own, so that what was sealed again is on disk before."""
    return ring.keep({row.key_id for row in Secret.select(Secret.key_id).distinct()})


def forget(ring: Keyring) -> list[Secret]:
    """Drop the secrets that nothing can open any more."""
    lost = unreadable(ring)
    for row in lost:
        row.delete_instance()
        emit(SecretRemoved(row.name, row.scope, {"description": row.description, "key_id": row.key_id}))
    return lost


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Secret]


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("secrets.list", "see the names of secrets"),
        Permission("secrets.get", "see what a secret is for, and who set it"),
        Permission("secrets.create", "add secrets"),
        Permission("secrets.update", "give secrets a new value"),
        Permission("secrets.delete", "remove secrets"),
        Permission("secrets.read-values", "see the values of secrets"),
    ]


@hookimpl
def lifespan(roci: Roci) -> AbstractAsyncContextManager[None]:
    @asynccontextmanager
    async def finish_rotation() -> AsyncIterator[None]:
        ring = keyring.of(roci)
        await roci.read(check_keys, ring)
        while await roci.write(reseal, ring):
            pass
        await roci.write(drop_keys, ring)
        yield

    return finish_rotation()
