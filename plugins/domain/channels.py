"""Channels: where people want to be told, and of what. How a channel is reached is its notifier's; see `notices.py`.

What a notifier is set up with is sealed as a whole, in the scope `channel/ID`, and is in no event.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import peewee

from roci import Conflict, Event, Invalid, NotFound, Permission, Unavailable, emit, hookimpl, now

from . import hosts, secrets
from .keyring import Keyring
from .model import Json, Model, Utc, picked

SEVERITIES = ("info", "warning", "critical")
SEALED = "settings"  # the name they are kept under
LONGEST_NAME = 100


class Channel(Model):
    name = peewee.TextField(unique=True)
    kind = peewee.TextField()  # the notifier's name
    enabled = peewee.BooleanField(default=True)
    min_severity = peewee.TextField(default="warning")
    host_ids = Json(default=list)  # []: every host
    updated_at = Utc(default=now)


@dataclasses.dataclass(frozen=True)
class NewChannel:
    name: str
    kind: str
    enabled: bool = True
    min_severity: str = "warning"
    host_ids: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class ChannelEvent(Event):
    channel_id: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class ChannelAdded(ChannelEvent):
    pass


class ChannelChanged(ChannelEvent):
    pass


class ChannelRemoved(ChannelEvent):
    pass


def all_() -> list[Channel]:
    return list(Channel.select().order_by(Channel.name, Channel.id))


def find(id: str) -> Channel | None:
    found: Channel | None = Channel.get_or_none(Channel.id == id)
    return found


def get(id: str) -> Channel:
    if (found := find(id)) is None:
        raise NotFound("Channel not found")
    return found


def settings(ring: Keyring, id: str) -> dict[str, Any]:
    """What its notifier is set up with, secrets included. Raises NotFound, Unavailable."""
    get(id)
    text = secrets.value(ring, f"channel/{id}", SEALED)
    if text is None:
        raise Unavailable("the settings of this channel are gone: set it up anew")
    return dict(msgspec.json.decode(text.encode()))


def add(ring: Keyring, new: NewChannel, setup: Mapping[str, Any]) -> Channel:
    """`setup` is what the notifier is set up with, checked by the caller."""
    values = dataclasses.asdict(new) | {"name": new.name.strip(), "host_ids": list(dict.fromkeys(new.host_ids))}
    _check(**values)
    _check_free(values["name"])
    _check_hosts(values["host_ids"])
    row = Channel.create(**values)
    emit(ChannelAdded(row.id, row.name, after=_state(row)))
    _seal(ring, row.id, setup)
    return row


def change(ring: Keyring, id: str, setup: Mapping[str, Any] | None = None, **changes: Any) -> Channel:
    """Change any of name, enabled, min_severity, host_ids, and `setup` where it is given."""
    row = get(id)
    before = _state(row)
    for name, value in changes.items():
        setattr(row, name, value)
    row.name, row.host_ids = row.name.strip(), list(dict.fromkeys(row.host_ids))
    _check(**_state(row))
    _check_free(row.name, but=id)
    _check_hosts(set(row.host_ids) - set(before["host_ids"]))  # one that has gone since may stay
    if before != _state(row):
        row.updated_at = now()
        row.save()
        emit(ChannelChanged(row.id, row.name, before, _state(row)))
    if setup is not None:
        _seal(ring, id, setup)
    return row


def remove(id: str) -> None:
    """What was to be sent on it goes too."""
    row = get(id)
    secrets.remove_scope(f"channel/{id}")
    Channel.delete().where(Channel.id == id).execute()
    emit(ChannelRemoved(id, row.name, before=_state(row)))


def wants(channel: Channel, severity: str, host_id: str | None) -> bool:
    """Whether what is this severe, on this host, is for this channel. What is about no host is for all."""
    of_its_hosts = not channel.host_ids or host_id is None or host_id in channel.host_ids
    return channel.enabled and is_at_least(severity, channel.min_severity) and of_its_hosts


def is_at_least(severity: str, least: str) -> bool:
    """A word nobody knows is as severe as can be: rather told once too often."""
    rank = {word: number for number, word in enumerate(SEVERITIES)}
    return rank.get(severity, len(rank)) >= rank.get(least, 0)


def check_host_ids(host_ids: Iterable[str]) -> None:
    """Raise Invalid for hosts there are not."""
    _check_hosts(host_ids)


def _state(row: Channel) -> dict[str, Any]:
    return picked(row, "name", "kind", "enabled", "min_severity", "host_ids")


def _check(name: str, kind: str, enabled: bool, min_severity: str, host_ids: Sequence[str]) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"name: one line of 1 to {LONGEST_NAME} characters")
    if min_severity not in SEVERITIES:
        raise Invalid(f"min_severity: must be one of {', '.join(SEVERITIES)}")


def _check_free(name: str, but: str = "") -> None:
    if Channel.select().where(Channel.name == name, Channel.id != but).exists():
        raise Conflict(f"a channel named {name!r} already exists")


def _check_hosts(host_ids: Iterable[str]) -> None:
    for host_id in host_ids:
        try:
            hosts.get(host_id)
        except NotFound:
            raise Invalid(f"host_ids: there is no host {host_id[:50]!r}") from None


def _seal(ring: Keyring, id: str, setup: Mapping[str, Any]) -> None:
    text = msgspec.json.encode(setup, enc_hook=str)
    if len(text) > secrets.LONGEST:
        raise Invalid(f"settings: at most {secrets.LONGEST // 1024} KiB")
    secrets.put(ring, f"channel/{id}", SEALED, text.decode())


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Channel]


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("channels.list", "see the channels of notices and what went out on them, without secrets"),
        Permission("channels.create", "add channels that people are told on"),
        Permission("channels.update", "change channels"),
        Permission("channels.delete", "remove channels"),
        Permission("channels.test", "send a notice to try a channel"),
    ]
