"""The fields every table is made of."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import peewee
import pytest

from roci import now
from roci_plugins.domain.model import Json, Model, Utc, wire_time


class Note(Model):
    body = Json(null=True)
    due = Utc(null=True)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    db = peewee.SqliteDatabase(":memory:")
    with db.bind_ctx([Note]), db.connection_context():
        db.create_tables([Note])
        yield


def test_a_row_gets_a_hyphenated_uuid_and_the_time_it_was_made():
    row = Note.get_by_id(Note.create().id)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row.id)
    assert now() - row.created_at < datetime.timedelta(seconds=5)


def test_json_comes_back_as_it_went_in():
    for value in ({"a": [1, None, "ü"]}, [], "text", 0, False, None):
        assert Note.get_by_id(Note.create(body=value).id).body == value


def test_no_json_is_null_rather_than_the_word():
    Note.create(body=None)
    assert Note.select().where(Note.body.is_null()).count() == 1


def test_times_sort_as_text_whatever_their_microseconds_and_zone():
    base = datetime.datetime(2024, 1, 15, 10, 30, tzinfo=datetime.UTC)
    east = datetime.timezone(datetime.timedelta(hours=5))
    wanted = [base, base + datetime.timedelta(microseconds=1), (base + datetime.timedelta(seconds=1)).astimezone(east)]
    for due in reversed(wanted):
        Note.create(due=due)
    assert [row.due for row in Note.select().order_by(Note.due)] == wanted


def test_times_come_back_aware_and_in_utc():
    Note.create(due=datetime.datetime(2024, 1, 15, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))))
    due = Note.get().due
    assert due.tzinfo == datetime.UTC and due.hour == 10


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="due: a time without a zone"):
        Note.create(due=datetime.datetime(2024, 1, 15))


def test_clients_read_times_to_the_millisecond_with_a_z():
    assert wire_time(datetime.datetime(2024, 1, 15, 10, 30, 0, 999, tzinfo=datetime.UTC)) == "2024-01-15T10:30:00.000Z"
    assert wire_time(None) is None


def test_the_first_row_is_the_one_that_the_order_says():
    for body in ("b", "a", "c"):
        Note.create(body=body)
    found = Note.first("body <> ? order by body", '"a"')
    assert found and found.body == "b" and found.created_at.tzinfo == datetime.UTC
    assert Note.first("body = ?", '"d"') is None
