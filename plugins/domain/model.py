"""The base of every table, and the two fields peewee lacks. Ids are UUID text, times aware and in UTC."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import peewee

from roci import now


def new_id() -> str:
    """A hyphenated UUID: clients check the form of ids, so every id is made here."""
    return str(uuid.uuid4())


def wire_time(moment: datetime.datetime | None) -> str | None:
    """A time as clients read it: 2024-01-15T10:30:00.000Z. To the millisecond, so that a change shows as later."""
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def picked(row: peewee.Model, *names: str) -> dict[str, Any]:
    """Some of a row's values, as events show them before and after a change."""
    return {name: getattr(row, name) for name in names}


class Json(peewee.TextField):
    """Anything JSON can say, kept as text. None is NULL, not the word null."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


class Utc(peewee.TextField):
    """An aware time in UTC, kept as ISO text of one width, so that the text sorts as the times do."""

    def db_value(self, value: datetime.datetime | None) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{self.name}: a time without a zone: {value}")
        return value.astimezone(datetime.UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | None) -> datetime.datetime | None:
        return None if value is None else datetime.datetime.fromisoformat(value)


class Model(peewee.Model):
    """Every table has these two columns. Use `create`, not `save`: the key is made here, not by the database."""

    id = peewee.TextField(primary_key=True, default=new_id)
    created_at = Utc(default=now)

    class Meta:
        legacy_table_names = False
