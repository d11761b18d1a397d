"""The store: SQLite behind one writer thread and a few readers. Reached as `roci.store`, `read` and `write`."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import functools
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import peewee

from roci import Event, Migration, Settings, StartupError, Unavailable, now, outbox

T = TypeVar("T")
log = logging.getLogger("roci.store")
TOGETHER = 64  # writes in one commit
FULL_FOR = 60.0  # seconds for which a full disk counts as full, unless a write fails again


class _Write:
    """A domain function that waits for the writer, and what came of it."""

    def __init__(self, call: Callable[[], Any], lasts: bool) -> None:
        self._call = call
        self.lasts = lasts  # on disk when it is told to be done
        self._result: Any = None
        self.error: Exception | None = None

    def perform(self) -> None:
        self._result = self._call()

    def outcome(self) -> Any:
        if self.error:
            raise self.error
        return self._result


class Store:
    """SQLite: any number of readers, one writer, each call one consistent view.

    Domain functions are plain synchronous functions over peewee models. They run on the store's threads; the
    event loop never touches a connection, and since autoconnect is off a stray query there raises.
    A write is on disk (synchronous=FULL) when it returns. Those that wait for the writer share a commit: each has a
    savepoint of its own, so one that fails takes back nothing of the others. What is only noted, a loss of power may
    take back, until something else is written.
    """

    def __init__(self, path: Path, before_commit: Callable[[list[Event]], None], readers: int = 4) -> None:
        self.path = path
        self._before_commit = before_commit
        self.db = peewee.SqliteDatabase(
            str(path),
            autoconnect=False,
            timeout=10,
            pragmas={"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "busy_timeout": 10_000},
        )
        self._writer = ThreadPoolExecutor(1, "roci-write", self.db.connect)
        self._waiting: deque[_Write] = deque()
        self._full_at = float("-inf")  # monotonic, when the disk was last found full
        self._readers = ThreadPoolExecutor(readers, "roci-read", self._connect_reader)

    def _connect_reader(self) -> None:
        self.db.connect()
        self.db.execute_sql("pragma query_only = 1")  # type: ignore[no-untyped-call]

    async def read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self._run(self._readers, fn, *args, **kwargs)

    async def write(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> tuple[T, list[Event]]:
        result: tuple[T, list[Event]] = await self._enqueue(True, fn, *args, **kwargs)
        return result

    async def note(self, fn: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Write what may go with the power, such as what heartbeats say, without waiting for the disk. No events."""
        await asyncio.shield(self._enqueue(False, fn, *args, **kwargs))

    async def _enqueue(self, lasts: bool, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        write = _Write(functools.partial(contextvars.copy_context().run, self._perform, fn, *args, **kwargs), lasts)
        self._waiting.append(write)
        return await self._run(self._writer, self._settle, write)

    @property
    def is_full(self) -> bool:
        """Whether the disk was, within the last minute."""
        return time.monotonic() - self._full_at < FULL_FOR

    @property
    def waiting(self) -> int:
        """Writes that the writer thread has not begun with."""
        return len(self._waiting)

    def _settle(self, write: _Write) -> Any:
        """What came of a write, which is carried out now with all others that wait, unless it was with earlier ones."""
        together = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER))]
        try:
            if together:
                with self._commit(together):
                    self._perform_each(together)
        except Exception as error:
            for each in together:
                each.error = each.error or error
        return write.outcome()

    @contextlib.contextmanager
    def _commit(self, together: list[_Write]) -> Iterator[None]:
        """One transaction, on disk at its end if any of these is to last."""
        sql = cast(Callable[[str], Any], self.db.execute_sql)
        if not (lasts := any(each.lasts for each in together)):
            sql("pragma synchronous = normal")
        try:
            with self.db.atomic("IMMEDIATE"):
                yield
        finally:
            if not lasts:
                sql("pragma synchronous = full")

    def _perform_each(self, together: list[_Write]) -> None:
        if len(together) == 1:
            return together[0].perform()
        for each in together:
            try:
                with self.db.savepoint():
                    each.perform()
            except Exception as error:
                each.error = error
                if not cast(Any, self.db).connection().in_transaction:  # a full disk takes back all of it
                    raise

    def _perform(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> tuple[T, list[Event]]:
        events: list[Event] = []
        outbox.set(events)
        result = fn(*args, **kwargs)
        self._before_commit(events)
        return result, events

    async def alter(self, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn` on the writer thread outside a transaction: table rebuilds, online copies."""
        return await self._run(self._writer, fn, *args)

    async def _run(self, pool: ThreadPoolExecutor, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, call)
        except (peewee.OperationalError, sqlite3.OperationalError) as error:
            if not _is_full(error):
                raise
            if not self.is_full:  # it fails many times a second
                log.error("the disk that holds %s is full", self.path)
            self._full_at = time.monotonic()
            raise Unavailable("the disk that holds ROCI's data is full: nothing was changed; free some space") from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """The same in the calling thread, for the command line and for tests of the domain."""
        with self.db.connection_context():
            events: list[Event] = []
            token = outbox.set(events)
            try:
                with self.db.atomic("IMMEDIATE"):
                    yield
                    self._before_commit(events)
            finally:
                outbox.reset(token)

    def copy(self, target: Path) -> None:
        """Copy the database while it is in use, consistently."""
        with (
            contextlib.closing(sqlite3.connect(self.path)) as source,
            contextlib.closing(sqlite3.connect(target)) as to,
        ):
            target.chmod(0o600)
            source.backup(to)

    def prepare(self, models: list[type[peewee.Model]], migrations: list[Migration]) -> None:
        """Make what is missing and run what has not run yet, each after a copy. Any thread, at start only."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.touch(mode=0o600)
        for model in models:
            model.bind(self.db)
        with self.db.connection_context():
            self._migrate(models, migrations)

    def _migrate(self, models: list[type[peewee.Model]], migrations: list[Migration]) -> None:
        sql = cast(Callable[..., Any], self.db.execute_sql)
        new = "migration" not in self.db.get_tables()
        sql("create table if not exists migration (name text primary key, applied_at text not null)")
        applied = {name for (name,) in sql("select name from migration")}
        if unknown := applied - {migration.name for migration in migrations}:
            raise StartupError(
                f"the database was made by a newer ROCI or a plugin that is missing now: {', '.join(sorted(unknown))}"
            )
        for migration in migrations:
            if migration.name in applied:
                continue
            if not new:
                self.copy(self.path.with_suffix(f".before-{migration.name}"))
            with self.db.atomic("IMMEDIATE"):
                if not new:
                    migration.run(self.db)
                sql("insert into migration values (?, ?)", (migration.name, now().isoformat()))
        with self.db.atomic("IMMEDIATE"):  # one commit, not one for each table
            self.db.create_tables(models)

    def close(self) -> None:
        self._readers.shutdown()
        self._writer.submit(self.db.close).result()
        self._writer.shutdown()


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One process to a data directory: two would not know of each other's agents. Raises StartupError."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartupError(f"another ROCI runs on {settings.data}: stop it, or set another data_dir") from None
        if (settings.data / ".restore" / "decided.json").exists():
            raise StartupError("a restore was interrupted: finish it with `roci restore --finish`")
        yield


def _is_full(error: BaseException | None) -> bool:
    """SQLite rolls back by itself when the disk is full; peewee then trips over its own rollback."""
    while error is not None:
        if "disk is full" in str(error):
            return True
        error = error.__context__
    return False
