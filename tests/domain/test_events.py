"""The event log: what it keeps of an event, and what it never does."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roci import SYSTEM, Actor, Conflict, Event, Sensitive, current_actor, emit
from roci_plugins.core.store import Store
from roci_plugins.domain import events
from roci_plugins.domain.events import Recorded


@dataclasses.dataclass(frozen=True)
class JarFilled(Event):
    name: str
    extra: Any = None


class Colour(enum.Enum):
    RED = "red"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "roci.db", lambda emitted: events.before_commit(emitted))
    store.prepare(events.register_models(), [])
    yield store
    store.close()


def happen(store: Store, *emitted: Event, actor: Actor = SYSTEM) -> None:
    token = current_actor.set(actor)
    try:
        with store.transaction():
            for event in emitted:
                emit(event)
    finally:
        current_actor.reset(token)


def rows(store: Store, *args: Any, **kwargs: Any) -> list[Recorded]:
    with store.db.connection_context():
        return events.list_(*args, **kwargs)[0]


def test_an_event_is_kept_with_who_and_when_and_how(store: Store):
    happen(store, JarFilled("plums"), actor=Actor("7", "ann", "person", via="token"))
    (row,) = rows(store)
    assert (row.name, row.data) == ("JarFilled", {"name": "plums", "extra": None})
    assert (row.actor_id, row.actor_name, row.actor_kind, row.via) == ("7", "ann", "person", "token")
    assert datetime.datetime.now(datetime.UTC) - row.at < datetime.timedelta(seconds=5)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Sensitive("sesame"), "[hidden]"),
        ([Sensitive("sesame"), "plain"], ["[hidden]", "plain"]),
        ({"key": Sensitive("sesame")}, {"key": "[hidden]"}),
        (datetime.datetime(2024, 1, 15, tzinfo=datetime.UTC), "2024-01-15T00:00:00+00:00"),
        (Colour.RED, "red"),
        ({"b", "a"}, ["a", "b"]),
        (("a", 1, None, 0.5, True), ["a", 1, None, 0.5, True]),
        (
            SYSTEM,
            {"id": "system", "name": "ROCI", "kind": "system", "rights": [], "scopes": None, "via": ""}
            | {"credential": "", "address": ""},
        ),
        (Path("/data"), "/data"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_kept_as_plain_json_and_secrets_not_at_all(store: Store, value: Any, kept: Any):
    happen(store, JarFilled("plums", value))
    assert rows(store)[0].data["extra"] == kept
    assert b"sesame" not in b"".join(path.read_bytes() for path in store.path.parent.glob("roci.db*"))


def test_what_is_rolled_back_did_not_happen(store: Store):
    with pytest.raises(Conflict), store.transaction():
        emit(JarFilled("plums"))
        raise Conflict("on purpose")
    assert rows(store) == []


def test_the_newest_come_first_by_pages_with_the_full_count(store: Store):
    for number in range(5):
        happen(store, JarFilled(str(number)))
    with store.db.connection_context():
        found, total = events.list_(2, 1)
    assert ([row.data["name"] for row in found], total) == (["3", "2"], 5)


def test_the_log_can_be_asked_for_one_kind(store: Store):
    happen(store, JarFilled("plums"))
    assert len(rows(store, name="JarFilled")) == 1 and rows(store, name="JarBroken") == []
