"""What people note about a host: a name of their own, where it is, and more. What its agent says stays as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import peewee

from roci import Event, Invalid, NotFound, Permission, emit, hookimpl, now

from . import hosts
from .hosts import Host
from .model import Json, Model, Utc

LONGEST = 255  # characters of a name and of an address
MOST_DATA = 16 * 1024  # bytes of the rest, as JSON
PORTS = range(1, 65536)
LABELS = "labels"  # of the rest: a list of words, by which hosts are found
MOST_LABELS, LONGEST_LABEL = 20, 40
VOCABULARY = {
    "hosts.create": "add hosts before their agents come",
    "hosts.update": "note a name, an address and more about a host",
}


class HostCard(Model):
    """At most one a host."""

    host_id: str
    host = peewee.ForeignKeyField(Host, backref="cards", on_delete="CASCADE", unique=True)
    name = peewee.TextField(null=True)
    address = peewee.TextField(null=True)
    port = peewee.IntegerField(null=True)
    data = Json(default=dict)
    updated_at = Utc(default=now)


@dataclasses.dataclass(frozen=True)
class HostCardSet(Event):
    """`before` and `after` name what is kept beside name, address and port; they do not show it."""

    host_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Carded:
    """An approved host, with what is noted about it."""

    host: Host
    card: HostCard | None

    @property
    def name(self) -> str:
        return str((self.card and self.card.name) or self.host.hostname)


def add(
    name: str, address: str | None = None, port: int | None = None, data: Mapping[str, Any] | None = None
) -> Carded:
    """A host that is expected: approved, and never seen until an agent brings a key of it."""
    check(name=name, address=address, port=port, data=data)
    host = hosts.expect(name)
    return change(host.id, name=name, address=address, port=port, data=dict(data or {}))


def get(host_id: str) -> Carded:
    """Raises NotFound for a host that is not approved too."""
    host = hosts.get(host_id)
    if host.status != "approved":
        raise NotFound("Agent not found")
    return Carded(host, HostCard.get_or_none(HostCard.host == host_id))


def all_() -> list[Carded]:
    """Of every approved host, the oldest first."""
    cards = {card.host_id: card for card in HostCard.select()}
    return [Carded(host, cards.get(host.id)) for host in hosts.all_() if host.status == "approved"]


def change(host_id: str, **changes: Any) -> Carded:
    """Note `name`, `address`, `port` or `data`; None takes a note back. What is not given stays."""
    found = get(host_id)
    check(**changes)
    before = _state(found.card) if found.card else None
    card = found.card or HostCard.create(host=found.host)
    for name, value in changes.items():
        setattr(card, name, {} if name == "data" and value is None else value)
    card.updated_at = now()
    card.save()
    emit(HostCardSet(host_id, before, _state(card)))
    return Carded(found.host, card)


def labels(card: HostCard | None) -> list[str]:
    """The words that a host is found by; whatever else may be noted under that name is none."""
    found = card.data.get(LABELS) if card else None
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def note(host_id: str, words: Sequence[str], **changes: Any) -> Carded:
    """Change a card and its labels; what else is noted in its data stays."""
    wanted = list(dict.fromkeys(filter(None, (word.strip() for word in words))))
    if len(wanted) > MOST_LABELS or any(len(word) > LONGEST_LABEL or not word.isprintable() for word in wanted):
        raise Invalid(f"labels: at most {MOST_LABELS} of up to {LONGEST_LABEL} printable characters")
    card = get(host_id).card
    rest = {name: value for name, value in (card.data if card else {}).items() if name != LABELS}
    return change(host_id, **changes, data={**rest, LABELS: wanted} if wanted else rest)


def check(
    name: str | None = None,
    address: str | None = None,
    port: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Raises Invalid that names the field."""
    for field, text in (("name", name), ("address", address)):
        if text is not None and not (text.strip() and len(text) <= LONGEST and text.isprintable()):
            raise Invalid(f"{field}: 1 to {LONGEST} printable characters")
    if port is not None and port not in PORTS:
        raise Invalid(f"port: a whole number from {PORTS[0]} to {PORTS[-1]}")
    if data is not None and len(msgspec.json.encode(data)) > MOST_DATA:
        raise Invalid(f"data: at most {MOST_DATA // 1024} KiB")


def _state(card: HostCard) -> dict[str, Any]:
    return {"name": card.name, "address": card.address, "port": card.port, "data": sorted(card.data)}


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [HostCard]


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission(name, meaning) for name, meaning in VOCABULARY.items()]
