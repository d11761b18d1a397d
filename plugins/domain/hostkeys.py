"""Keys with which a host speaks for itself: its agent comes in by one, sends its metrics. Only digests are stored."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from collections.abc import Collection
from typing import Any

import peewee

from roci import (
    Actor,
    Event,
    Invalid,
    NotFound,
    Permission,
    Sensitive,
    Unauthenticated,
    current_actor,
    emit,
    hookimpl,
    now,
)

from . import hosts
from .credentials import TOUCH, Proven, digest
from .hosts import Host
from .model import Model, Utc

PREFIX = "chatops_"
VIA = "host key"
RIGHTS = frozenset({"hosts.read", "metrics.write"})  # of its own host only: see the authorizer
LONGEST_NAME = 100
VOCABULARY = {
    "hostkeys.list": "see the keys of a host",
    "hostkeys.create": "make keys of a host: an agent that shows one is that host in all it does",
    "hostkeys.revoke": "revoke keys of a host",
}


class HostKey(Model):
    host_id: str
    host = peewee.ForeignKeyField(Host, backref="keys", on_delete="CASCADE")
    name = peewee.TextField(null=True)
    digest = peewee.TextField(unique=True)
    made_by = peewee.TextField(index=True)  # the actor's id
    expires_at = Utc(null=True)
    last_used_at = Utc(null=True)
    active = peewee.BooleanField(default=True)

    @property
    def is_active(self) -> bool:
        return bool(self.active) and (self.expires_at is None or self.expires_at > now())


@dataclasses.dataclass(frozen=True)
class HostKeyEvent(Event):
    host_key_id: str
    name: str | None
    host_id: str


class HostKeyIssued(HostKeyEvent):
    pass


class HostKeyRevoked(HostKeyEvent):
    """It works no more; it is still listed."""


class HostKeyRemoved(HostKeyEvent):
    pass


def resource(host_id: str) -> str:
    return f"host/{host_id}"


def issue(
    host_id: str, name: str | None = None, expires_at: datetime.datetime | None = None
) -> tuple[HostKey, Sensitive]:
    """A new key of a host and its secret, which is not to be had again."""
    host = hosts.get(host_id)
    if name is not None and len(name) > LONGEST_NAME:
        raise Invalid(f"name: at most {LONGEST_NAME} characters")
    if expires_at and expires_at <= now():
        raise Invalid("expires_at: this time is over")
    secret = Sensitive(PREFIX + secrets.token_urlsafe(32))
    maker = current_actor.get().id
    row = HostKey.create(host=host, name=name, digest=digest(secret), made_by=maker, expires_at=expires_at)
    emit(HostKeyIssued(row.id, name, host.id))
    return row, secret


def verify(secret: str) -> Proven | None:
    """The host as it acts with this key. None: unknown, expired or revoked."""
    row: HostKey | None = HostKey.get_or_none(HostKey.digest == digest(secret))
    if row is None or not row.is_active:
        return None
    stale = row.last_used_at is None or now() - row.last_used_at > TOUCH
    # The name has a blank, so that it is nobody's whom roles could be bound to.
    actor = Actor(row.host_id, f"key {row.name or row.id}", "agent", RIGHTS, None, VIA, row.id)
    return Proven(row.id, actor, stale)


def presented(secret: str | None) -> HostKey | None:
    """The key that an agent shows as its token; None: it shows none. Raises Unauthenticated for one that is no more.

    Not for this very machine: its agent is part of the server.
    """
    if not secret or not secret.startswith(PREFIX):
        return None
    row: HostKey | None = HostKey.get_or_none(HostKey.digest == digest(secret))
    if row is None or not row.is_active or row.host.local:
        raise Unauthenticated("this key is unknown, expired or revoked", host_id=row.host_id if row else "")
    return row


def ended(ids: Collection[str]) -> set[str]:
    """Those of these keys that no longer hold."""
    rows = HostKey.select().where(HostKey.id.in_(list(ids)))
    return set(ids) - {row.id for row in rows if row.is_active}


def touch(id: str) -> None:
    HostKey.update(last_used_at=now()).where(HostKey.id == id).execute()


def get(id: str) -> HostKey:
    row: HostKey | None = HostKey.get_or_none(HostKey.id == id)
    if row is None:
        raise NotFound("API key not found")
    return row


def of_host(host_id: str, active_only: bool = False) -> list[HostKey]:
    """The newest first. Raises NotFound for a host that is not."""
    hosts.get(host_id)
    rows = _newest_first().where(HostKey.host == host_id)
    return [row for row in rows if row.is_active or not active_only]


def made_by(actor_id: str) -> list[HostKey]:
    return list(_newest_first().where(HostKey.made_by == actor_id))


def _newest_first() -> Any:
    return HostKey.select().order_by(peewee.SQL("rowid").desc())


def deactivate(id: str) -> HostKey:
    """Twice is the same as once."""
    row = get(id)
    if row.active:
        HostKey.update(active=False).where(HostKey.id == id).execute()
        emit(HostKeyRevoked(row.id, row.name, row.host_id))
    return get(id)


def remove(id: str) -> None:
    row = get(id)
    HostKey.delete().where(HostKey.id == id).execute()
    emit(HostKeyRemoved(row.id, row.name, row.host_id))


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [HostKey]


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission(name, meaning) for name, meaning in VOCABULARY.items()]
