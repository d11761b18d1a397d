"""The event log: what it keeps of an event, what it never does, and what becomes of an older one."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import peewee
import pytest

from roci import SYSTEM, Actor, Conflict, Event, NotFound, Sensitive, current_actor, emit
from roci_plugins.core.store import Store
from roci_plugins.domain import chain, events
from roci_plugins.domain.events import Recorded, Where

KEY = b"k" * 32
ANN = Actor("7", "ann", "person", via="token", credential="t1", address="10.0.0.9")


@dataclasses.dataclass(frozen=True)
class JarFilled(Event):
    name: str
    extra: Any = None


@dataclasses.dataclass(frozen=True)
class BigJarChanged(Event):
    jar_id: str
    label: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class JarSet(Event):
    jar_id: str
    before: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class JarRemoved(Event):
    jar_id: str
    realm: str = "kitchen"
    outcome: ClassVar[str] = "refused"


class Colour(enum.Enum):
    RED = "red"


def opened(path: Path) -> Store:
    store = Store(path, lambda emitted: emitted and events.append(KEY, emitted))
    store.prepare(events.register_models(), events.register_migrations())
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path / "roci.db")
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
    happen(store, JarFilled("plums"), actor=ANN)
    (row,) = rows(store)
    assert (row.name, row.data) == ("JarFilled", {"name": "plums", "extra": None})
    assert (row.actor_id, row.actor_name, row.actor_kind) == ("7", "ann", "person")
    assert (row.via, row.credential, row.address) == ("token", "t1", "10.0.0.9")
    assert datetime.datetime.now(datetime.UTC) - row.at < datetime.timedelta(seconds=5)


def test_an_event_is_filed_by_its_name_and_its_first_field(store: Store):
    happen(store, BigJarChanged("j1", "plums", {"label": "figs"}, {"label": "plums"}), JarRemoved("j2"), JarFilled("x"))
    filled, removed, changed = rows(store)
    assert (changed.noun, changed.operation, changed.subject_id) == ("big_jar", "UPDATE", "j1")
    assert (changed.before, changed.after) == ({"label": "figs"}, {"label": "plums"})
    assert changed.data == {"jar_id": "j1", "label": "plums"}
    assert (removed.noun, removed.operation, removed.realm, removed.outcome) == ("jar", "DELETE", "kitchen", "refused")
    assert (filled.operation, filled.realm, filled.outcome, filled.before) == ("NONE", "core", "done", None)


def test_what_is_set_again_is_an_update(store: Store):
    happen(store, JarSet("j1"), JarSet("j1", before={"full": False}))
    assert [row.operation for row in rows(store)] == ["UPDATE", "INSERT"]


@pytest.mark.parametrize(
    ("name", "filed"),
    [
        ("HostAdded", ("host", "INSERT")),
        ("RoleBindingRemoved", ("role_binding", "DELETE")),
        ("LoggedIn", ("login", "INSERT")),
        ("LoggedOut", ("login", "DELETE")),
        ("AttemptRefused", ("attempt", "NONE")),
        ("odd", ("odd", "NONE")),
    ],
)
def test_names_of_events_tell_noun_and_operation(name: str, filed: tuple[str, str]):
    assert events.filed(name) == filed


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
    happen(store, JarFilled("plums", value), BigJarChanged("j1", before={"was": value}, after={"is": value}))
    changed, filled = rows(store)
    assert (filled.data["extra"], changed.before, changed.after) == (kept, {"was": kept}, {"is": kept})
    assert b"sesame" not in b"".join(path.read_bytes() for path in store.path.parent.glob("roci.db*"))


def test_what_is_rolled_back_did_not_happen(store: Store):
    happen(store, JarFilled("figs"))
    with pytest.raises(Conflict), store.transaction():
        emit(JarFilled("plums"))
        raise Conflict("on purpose")
    happen(store, JarFilled("pears"))
    assert [(row.seq, row.data["name"]) for row in rows(store)] == [(2, "pears"), (1, "figs")]


def test_the_newest_come_first_by_pages_with_the_full_count(store: Store):
    for number in range(5):
        happen(store, JarFilled(str(number)))
    with store.db.connection_context():
        found, total = events.list_(2, 1)
        assert [row.seq for row in events.list_(2, 1, descending=False)[0]] == [2, 3]
        assert events.get(3).data["name"] == "2"
        with pytest.raises(NotFound):
            events.get(6)
    assert ([row.data["name"] for row in found], total) == (["3", "2"], 5)


def test_the_log_can_be_asked_for_one_kind(store: Store):
    happen(store, JarFilled("plums"))
    assert len(rows(store, name="JarFilled")) == 1 and rows(store, name="JarBroken") == []


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Where("actor", "ann"), [2]),
        (Where("actor", "system"), [3, 1]),
        (Where("action", "BigJarChanged"), [3]),
        (Where("noun", "jar"), [2, 1]),
        (Where("noun", "jar", "neq"), [3]),
        (Where("text", "50%"), [1]),
        (Where("text", "_"), [3]),
        (Where("text", "old label"), [3]),
        (Where("name", "Jar", "contains"), [3, 2, 1]),
        (Where("seq", 2, "gte"), [3, 2]),
        (Where("seq", 2, "lte"), [2, 1]),
        (Where("seq", 2, "lt"), [1]),
        (Where("address", "10.0.0.9"), [2]),
    ],
    ids=str,
)
def test_the_log_can_be_asked_for_what_fits(store: Store, where: Where, found: list[int]):
    happen(store, JarFilled("50% plums"))
    happen(store, JarFilled("50 plums"), actor=ANN)
    happen(store, BigJarChanged("j1", before={"label": "old label"}))
    assert [row.seq for row in rows(store, where=[where])] == found


@pytest.mark.parametrize("statement", ["update recorded set actor_name = 'eve'", "delete from recorded"])
def test_the_database_itself_refuses_to_change_the_trail(store: Store, statement: str):
    happen(store, JarFilled("plums"))
    with store.db.connection_context(), pytest.raises(peewee.IntegrityError, match="append-only"):
        store.db.execute_sql(statement)


OLD = """create table recorded (id text not null primary key, created_at text not null, at text not null,
name text not null, actor_id text not null, actor_name text not null, actor_kind text not null, via text not null,
data text not null)"""


def old_database(path: Path, *happened: tuple[str, Mapping[str, Any]]) -> None:
    with sqlite3.connect(path) as db:
        db.execute(OLD)
        db.execute("create index recorded_at on recorded (at)")
        db.execute("create table migration (name text primary key, applied_at text not null)")
        for number, (name, data) in reversed(list(enumerate(happened))):
            at = f"2026-01-01T00:00:0{number}.000000+00:00"
            row = (str(number), at, at, name, "7", "ann", "person", "token", json.dumps(data))
            db.execute("insert into recorded values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()


def test_an_older_log_is_numbered_in_its_order_and_sealed_with_what_comes_next(tmp_path: Path):
    host = {"host_id": "h1", "hostname": "nas"}
    old_database(tmp_path / "roci.db", ("HostAdded", host), ("LoggedIn", {"principal_id": "7"}), ("HostRemoved", host))
    store = opened(tmp_path / "roci.db")
    happen(store, JarFilled("plums"))
    found = [(row.seq, row.noun, row.operation, row.subject_id) for row in rows(store, descending=False)]
    assert found[:3] == [(1, "host", "INSERT", "h1"), (2, "login", "INSERT", "7"), (3, "host", "DELETE", "h1")]
    with store.db.connection_context():
        assert chain.verify(KEY, events.head(), events.stored_rows()) == chain.Checked(4, unsealed=3)
        store.db.execute_sql("drop trigger recorded_no_update")
        store.db.execute_sql("update recorded set subject_id = 'h2' where seq = 2")
        fault = chain.verify(KEY, events.head(), events.stored_rows()).fault
    store.close()
    assert fault and fault.seq == 1 and "one of the rows 1 to 4" in fault.what


def test_an_upgraded_log_has_the_same_columns_as_a_new_one(tmp_path: Path):
    old_database(tmp_path / "old.db")
    upgraded, new = opened(tmp_path / "old.db"), opened(tmp_path / "new.db")
    shapes = []
    for store in (upgraded, new):
        with store.db.connection_context():
            columns = store.db.execute_sql(
                "select name, lower(type), \"notnull\", pk from pragma_table_info('recorded')"
            )
            names = store.db.execute_sql("select name from sqlite_master where tbl_name = 'recorded' order by name")
            shapes.append((columns.fetchall(), names.fetchall()))
        store.close()
    assert shapes[0] == shapes[1]
