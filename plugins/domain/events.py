"""The event log: everything that was emitted, who did it and when, written in the transaction it belongs to."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import peewee

from roci import Event, Sensitive, hookimpl, now

from .model import Json, Model, Utc, new_id

STAMP = {field.name for field in dataclasses.fields(Event)}  # columns of their own


class Recorded(Model):
    """One event. Rows are added, never changed."""

    at = Utc(index=True)
    name = peewee.TextField(index=True)  # the event's class: HostAdded
    actor_id = peewee.TextField(index=True)
    actor_name = peewee.TextField()
    actor_kind = peewee.TextField()
    via = peewee.TextField()
    data = Json()


def list_(limit: int = 100, offset: int = 0, name: str | None = None) -> tuple[list[Recorded], int]:
    """The newest first, and how many there are. `name` narrows to one kind."""
    found = Recorded.select()
    if name is not None:
        found = found.where(Recorded.name == name)
    rows = found.order_by(Recorded.at.desc(), peewee.SQL("rowid").desc()).limit(limit).offset(offset)
    return list(rows), found.count()


def _plain(value: Any) -> Any:
    """A value as JSON has it. A secret never is."""
    if isinstance(value, Sensitive):
        return "[hidden]"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _row(event: Event) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(event)} - STAMP
    return {
        "at": event.at,
        "name": type(event).__name__,
        "actor_id": event.actor.id,
        "actor_name": event.actor.name,
        "actor_kind": event.actor.kind,
        "via": event.actor.via,
        "data": {name: _plain(getattr(event, name)) for name in sorted(fields)},
    }


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Recorded]


@hookimpl
def before_commit(events: Sequence[Event]) -> None:
    """One plain statement for all of them: every change passes here, and peewee's own takes ten times as long."""
    columns = ["id", "created_at", *_row(events[0])]
    sql = f"insert into recorded ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"  # noqa: S608  our own names
    moment = Utc().db_value(now())
    rows = [(new_id(), moment, *_stored(_row(event))) for event in events]
    Recorded._meta.database.cursor().executemany(sql, rows)


def _stored(row: Mapping[str, Any]) -> list[Any]:
    """A row's values as the table's fields put them."""
    return [Recorded._meta.fields[name].db_value(value) for name, value in row.items()]
