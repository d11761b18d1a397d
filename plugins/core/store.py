"""The store: SQLite behind one writer thread and a few readers. Reached as `roci.store`, `read` and `write`."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import functools
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import peewee

from roci import Event, Migration, Settings, StartupError, Unavailable, now, outbox

T = TypeVar("T")
log = logging.getLogger("roci.store")


class Store:
    """SQLite: any number of readers, one writer, each call one consistent view.

    Domain functions are plain synchronous functions over peewee models. They run on the store's threads; the
    event loop never touches a connection, and since autoconnect is off a stray query there raises.
    A write is on disk (synchronous=FULL) when it returns.
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
        self._readers = ThreadPoolExecutor(readers, "roci-read", self._connect_reader)

    def _connect_reader(self) -> None:
        self.db.connect()
        self.db.execute_sql("pragma query_only = 1")  # type: ignore[no-untyped-call]

    async def read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self._run(self._readers, fn, *args, **kwargs)

    async def write(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> tuple[T, list[Event]]:
        return await self._run(self._writer, self.transact, fn, *args, **kwargs)

    @property
    def waiting(self) -> int:
        """Writes that the writer thread has not begun with."""
        return self._writer._work_queue.qsize()

    async def alter(self, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn` on the writer thread outside a transaction: table rebuilds, online copies."""
        return await self._run(self._writer, fn, *args)

    def transact(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> tuple[T, list[Event]]:
        """One transaction in the calling thread, which must have a connection."""
        events: list[Event] = []
        outbox.set(events)
        with self.db.atomic("IMMEDIATE"):
            result = fn(*args, **kwargs)
            self._before_commit(events)
        return result, events

    async def _run(self, pool: ThreadPoolExecutor, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, call)
        except (peewee.OperationalError, sqlite3.OperationalError) as error:
            if not _is_full(error):
                raise
            log.error("the disk that holds %s is full", self.path)
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
