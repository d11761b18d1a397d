"""The base of every table, and the two fields peewee lacks. Ids are UUID text, times aware and in UTC."""

from __future__ import annotations

import datetime
import functools
import json
import uuid
from collections.abc import Iterable
from typing import Any, Self, cast

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
    """Every table has these two columns. Use `create`, not `save`: the key is made here, not by the database.

    Rows are written, and what every command asks is read, with SQL that is composed once: peewee takes longer to
    compose a statement than SQLite to run it.
    """

    id = peewee.TextField(primary_key=True, default=new_id)
    created_at = Utc(default=now)

    class Meta:
        legacy_table_names = False

    @classmethod
    def by_id(cls, id: str) -> Self | None:
        """The row with this key; None where there is none."""
        return cls.first("id = ?", id)

    @classmethod
    def first(cls, condition: str, *values: Any) -> Self | None:
        """The first row for which a condition holds: constant SQL, a ? for each value; an order may follow it."""
        return next(iter(cls.raw(_select(cls, condition), *values)), None)

    def save(self, force_insert: bool = False, only: Any = None) -> int:
        """How many rows were written. Values are values here, not expressions."""
        if only is not None:
            return int(super().save(force_insert, only))
        values = dict(self.__data__)
        if not force_insert:
            dirty = {field.name for field in self.dirty_fields} if self._meta.only_save_dirty else values.keys()
            values = {name: value for name, value in values.items() if name in dirty and name != "id"}
        if not values:
            return 0
        fields = self._meta.fields
        given = [fields[name].db_value(value) for name, value in values.items()]
        sql = (_insert if force_insert else _update)(type(self), tuple(values))
        cursor = self._meta.database.execute_sql(sql, given if force_insert else [*given, self.id])
        cast(Any, self)._dirty.clear()
        return int(cursor.rowcount)


def _quoted(model: type[Model], names: Iterable[str]) -> list[str]:
    return [f'"{model._meta.fields[name].column_name}"' for name in names]


@functools.cache
def _select(model: type[Model], condition: str) -> str:
    columns = ", ".join(_quoted(model, model._meta.fields))
    return f'select {columns} from "{model._meta.table_name}" where {condition} limit 1'  # noqa: S608  our own words


@functools.cache
def _insert(model: type[Model], names: tuple[str, ...]) -> str:
    columns = ", ".join(_quoted(model, names))
    return f'insert into "{model._meta.table_name}" ({columns}) values ({", ".join("?" * len(names))})'  # noqa: S608


@functools.cache
def _update(model: type[Model], names: tuple[str, ...]) -> str:
    changes = ", ".join(f"{column} = ?" for column in _quoted(model, names))
    return f'update "{model._meta.table_name}" set {changes} where "id" = ?'  # noqa: S608
