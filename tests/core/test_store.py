"""The store: one writer, many readers, and events that are published exactly when their write is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import peewee
import pytest

from roci import Conflict, Event, Migration, Roci, Settings, StartupError, Unavailable, emit, hookimpl
from roci_plugins.core.store import Store
from roci_plugins.domain.model import Model


class Jar(Model):
    name = peewee.TextField(unique=True)


class Lid(Model):
    jar = peewee.ForeignKeyField(Jar)


@dataclasses.dataclass(frozen=True)
class JarFilled(Event):
    name: str


def fill(name: str) -> Jar:
    jar = Jar.create(name=name)
    emit(JarFilled(name))
    return jar


def note(name: str) -> None:
    Jar.create(name=name)


def fill_and_fail(name: str) -> None:
    fill(name)
    raise Conflict("on purpose")


def count() -> int:
    return Jar.select().count()


class Pantry:
    """A plugin that owns the tables and hears what was published."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.refuse = ""

    @hookimpl
    def register_models(self) -> list[type[peewee.Model]]:
        return [Jar, Lid]

    @hookimpl
    def before_commit(self, events: Sequence[Event]) -> None:
        if self.refuse in [event.name for event in events if isinstance(event, JarFilled)]:
            raise Conflict("refused before the commit")

    @hookimpl
    def on_event(self, event: Event) -> None:
        if isinstance(event, JarFilled):
            self.heard.append(event.name)


@pytest.fixture
def pantry() -> Pantry:
    return Pantry()


@pytest.fixture
async def shelf(tmp_path: Path, pantry: Pantry) -> AsyncIterator[Roci]:
    roci = Roci(Settings(data_dir=str(tmp_path / "data"), local_agent=False), [pantry])
    ended = asyncio.Event()
    ready = asyncio.Event()

    async def run() -> None:
        async with roci.running():
            ready.set()
            await ended.wait()

    running = asyncio.create_task(run())
    await asyncio.wait({running, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    yield roci
    ended.set()
    await running


async def test_what_is_written_can_be_read(shelf: Roci, pantry: Pantry):
    jar = await shelf.write(fill, "plums")
    assert (await shelf.read(Jar.get_by_id, jar.id)).name == "plums"
    assert pantry.heard == ["plums"]


async def test_a_reader_cannot_write(shelf: Roci):
    with pytest.raises(peewee.OperationalError, match="readonly"):
        await shelf.read(fill, "plums")
    assert await shelf.read(count) == 0


async def test_a_stray_query_on_the_loop_raises(shelf: Roci):
    with pytest.raises(peewee.InterfaceError):
        count()


async def test_following_a_foreign_key_on_the_loop_raises(shelf: Roci):
    def lid() -> str:
        return Lid.create(jar=fill("plums")).id

    row = await shelf.read(Lid.get_by_id, await shelf.write(lid))
    with pytest.raises(peewee.InterfaceError):
        _ = row.jar.name


async def test_a_write_that_fails_leaves_nothing_and_publishes_nothing(shelf: Roci, pantry: Pantry):
    with pytest.raises(Conflict):
        await shelf.write(fill_and_fail, "plums")
    assert (await shelf.read(count), pantry.heard) == (0, [])


async def test_whoever_refuses_before_the_commit_undoes_the_write(shelf: Roci, pantry: Pantry):
    pantry.refuse = "plums"
    with pytest.raises(Conflict, match="refused before"):
        await shelf.write(fill, "plums")
    assert (await shelf.read(count), pantry.heard) == (0, [])


async def test_a_caller_that_goes_away_does_not_part_a_commit_from_its_events(shelf: Roci, pantry: Pantry):
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        fill("plums")
        begun.set()
        assert go_on.wait(30)

    heard = asyncio.create_task(anext(shelf.subscribe(JarFilled)))
    caller = asyncio.create_task(shelf.write(slow))
    await asyncio.to_thread(begun.wait, 30)
    caller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caller
    go_on.set()
    assert isinstance(await asyncio.wait_for(heard, 30), JarFilled)
    assert (await shelf.read(count), pantry.heard) == (1, ["plums"])


async def test_a_failing_listener_does_not_fail_the_write(tmp_path: Path, pantry: Pantry):
    class Sour:
        @hookimpl
        def on_event(self, event: Event) -> Any:
            async def fail() -> None:
                raise RuntimeError("sour")

            return fail()

    roci = Roci(Settings(data_dir=str(tmp_path), local_agent=False), [Sour(), pantry])
    async with roci.running():
        await roci.write(fill, "plums")
    assert pantry.heard == ["plums"]


async def test_three_hundred_writes_and_reads_at_once_all_count(shelf: Roci, pantry: Pantry):
    async def one(number: int) -> int:
        await shelf.write(fill, f"jar {number}")
        return await shelf.read(count)

    seen = await asyncio.gather(*(one(number) for number in range(300)))
    assert await shelf.read(count) == 300
    assert min(seen) >= 1 and sorted(pantry.heard) == sorted(f"jar {number}" for number in range(300))


@contextlib.asynccontextmanager
async def while_the_writer_is_busy(store: Store) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Writes begun in here, and put into this list, wait for the writer together."""
    busy, go_on = threading.Event(), threading.Event()

    def occupy() -> None:
        busy.set()
        go_on.wait(10)

    begun: list[asyncio.Task[Any]] = []
    occupied = asyncio.create_task(store.alter(occupy))
    await asyncio.to_thread(busy.wait, 10)
    try:
        yield begun
        while store.waiting < len(begun):
            await asyncio.sleep(0)
    finally:
        go_on.set()
    await occupied
    await asyncio.gather(*begun, return_exceptions=True)


async def test_a_write_that_fails_takes_back_nothing_of_those_it_shares_a_commit_with(shelf: Roci, pantry: Pantry):
    commits: list[str] = []
    await shelf.store.alter(lambda: shelf.store.db.connection().set_trace_callback(commits.append))
    async with while_the_writer_is_busy(shelf.store) as begun:
        for name, work in (("plums", fill), ("figs", fill_and_fail), ("pears", fill)):
            begun.append(asyncio.create_task(shelf.write(work, name)))
    jars = [at for at, said in enumerate(commits) if said.lower().startswith('insert into "jar"')]
    assert len(jars) == 3 and "COMMIT" not in commits[jars[0] : jars[-1]], "they share one"
    assert isinstance(begun[1].exception(), Conflict)
    assert [begun[0].result().name, begun[2].result().name] == ["plums", "pears"]
    assert (await shelf.read(count), pantry.heard) == (2, ["plums", "pears"])


async def test_only_what_is_noted_does_not_wait_for_the_disk_and_not_with_others(tmp_path: Path):
    store, said = Store(tmp_path / "roci.db", lambda events: None), list[str]()
    store.prepare([Jar], [])

    def taken() -> list[str]:
        words = [line.rpartition(" ")[2].lower() for line in said if line == "COMMIT" or "synchronous" in line]
        said.clear()
        return words

    await store.alter(lambda: store.db.connection().set_trace_callback(said.append))
    await store.write(fill, "plums")
    assert taken() == ["commit"]
    await store.note(note, "figs")
    assert taken() == ["normal", "commit", "full"]
    with pytest.raises(Conflict):
        await store.note(fill_and_fail, "figs too")
    assert taken() == ["normal", "full"]
    async with while_the_writer_is_busy(store) as begun:
        begun.append(asyncio.create_task(store.note(note, "pears")))
        begun.append(asyncio.create_task(store.write(fill, "quinces")))
    assert taken() == ["commit"] and await store.read(count) == 4
    store.close()


async def test_a_disk_that_fills_up_fails_every_write_of_the_commit_and_keeps_nothing(
    shelf: Roci, pantry: Pantry, caplog: pytest.LogCaptureFixture
):
    def limit() -> None:
        (pages,) = shelf.store.db.execute_sql("pragma page_count").fetchone()
        shelf.store.db.execute_sql(f"pragma max_page_count = {pages}")

    await shelf.write(fill, "before")
    await shelf.store.alter(limit)
    async with while_the_writer_is_busy(shelf.store) as begun:
        for name in ("plums", "f" * 1_000_000, "pears"):
            begun.append(asyncio.create_task(shelf.write(fill, name)))
    assert [type(task.exception()) for task in begun] == [Unavailable] * 3
    assert shelf.store.is_full and sum(line.endswith("is full") for line in caplog.messages) == 1, "said once"
    assert (await shelf.read(count), pantry.heard) == (1, ["before"])
    await shelf.store.alter(lambda: shelf.store.db.execute_sql("pragma max_page_count = 1000000"))
    await shelf.write(fill, "after")
    assert (await shelf.read(count), pantry.heard) == (2, ["before", "after"])


async def test_events_are_published_in_the_order_of_their_commits(shelf: Roci, pantry: Pantry):
    for number in range(20):
        await shelf.write(fill, str(number))
    assert pantry.heard == [str(number) for number in range(20)]


async def test_a_slow_subscriber_loses_the_oldest_events(shelf: Roci):
    events = shelf.subscribe(JarFilled)
    first = asyncio.create_task(anext(events))
    await asyncio.wait({first}, timeout=0.01)  # it is subscribed once it has begun to wait

    def fill_many() -> None:
        for number in range(1100):
            fill(str(number))

    await shelf.write(fill_many)
    await first
    assert isinstance(event := await anext(events), JarFilled)
    assert int(event.name) >= 99
    await events.aclose()


async def test_a_second_process_on_the_same_data_is_refused(shelf: Roci):
    with pytest.raises(StartupError, match="another ROCI runs on"):
        async with Roci(shelf.settings).running():
            pass


def test_a_transaction_in_the_calling_thread_does_the_same(tmp_path: Path):
    seen: list[list[Event]] = []
    store = Store(tmp_path / "roci.db", seen.append)
    store.prepare([Jar], [])
    with store.transaction():
        fill("plums")
    with pytest.raises(Conflict), store.transaction():
        fill_and_fail("pears")
    with store.transaction():
        assert [jar.name for jar in Jar.select()] == ["plums"]
    assert [type(event) for event in seen[0]] == [JarFilled]
    store.close()


# --- migrations --------------------------------------------------------------


def add_column(name: str) -> Migration:
    return Migration(f"jars_{name}", lambda db: db.execute_sql(f"alter table jar add column {name} text"))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    stores: list[Store] = []

    def open_(*migrations: Migration) -> Store:
        stores.append(Store(tmp_path / "roci.db", lambda events: None))
        stores[-1].prepare([Jar], list(migrations))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def columns(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [row[1] for row in db.execute("pragma table_info(jar)")]


def test_a_new_database_is_made_whole_and_runs_no_migration(opened: Callable[..., Store], tmp_path: Path):
    opened(add_column("colour"))
    assert columns(tmp_path / "roci.db") == ["id", "created_at", "name"]
    assert list(tmp_path.glob("*before*")) == []


def test_a_migration_runs_once_after_a_copy_was_made(opened: Callable[..., Store], tmp_path: Path):
    opened()
    opened(add_column("colour"))
    opened(add_column("colour"))  # a second run would fail: there is such a column
    assert "colour" in columns(tmp_path / "roci.db")
    assert "colour" not in columns(tmp_path / "roci.before-jars_colour")
    assert (tmp_path / "roci.before-jars_colour").stat().st_mode & 0o077 == 0


def test_a_database_of_a_newer_roci_is_refused(opened: Callable[..., Store]):
    opened(add_column("colour"))
    with pytest.raises(StartupError, match=r"newer ROCI or a plugin that is missing now: jars_colour"):
        opened()


def test_a_migration_that_dies_in_the_middle_leaves_the_old_state(opened: Callable[..., Store], tmp_path: Path):
    def die(db: peewee.SqliteDatabase) -> None:
        db.execute_sql("alter table jar add column colour text")
        raise KeyboardInterrupt

    opened()
    with pytest.raises(KeyboardInterrupt):
        opened(Migration("jars_colour", die))
    assert "colour" not in columns(tmp_path / "roci.db")
    opened(add_column("colour"))
    assert "colour" in columns(tmp_path / "roci.db")


def test_the_database_is_for_its_owner_only(opened: Callable[..., Store], tmp_path: Path):
    opened()
    assert (tmp_path / "roci.db").stat().st_mode & 0o077 == 0
