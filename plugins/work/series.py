"""The file of samples: raw ones for a day, then averages, ever coarser. Its loss costs history and nothing else.

Blocks, and belongs to one thread. A file that is gone, cut short or damaged is made anew, with one line in the log.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from roci import Unavailable

from ..agent.sample import ContainerUse, Sample
from . import averages
from .averages import Point, UsePoint

T = TypeVar("T")
P = TypeVar("P", Point, UsePoint)
log = logging.getLogger("roci.metrics")
FORMAT = 1  # another one in the file: it is made anew
PERIODS = (0, 60_000, 900_000)  # milliseconds that a point of each tier stands for; 0: a sample itself
SETTLED = 60_000  # milliseconds after which no more samples of a moment are expected
CHUNK = 2000  # rows removed in one transaction
ROLLED = 6 * 3600_000  # milliseconds of samples averaged in one transaction
# What goes by without the file being bad: no room, no memory, no permission, somebody else has it.
PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
}
SCHEMA = """
create table host (id integer primary key, uuid text not null unique);
create table sample (host integer not null, tier integer not null, at integer not null, weight integer not null,
    body blob not null, uses blob not null);
create unique index sample_at on sample (host, tier, at);
"""


class Row(NamedTuple):
    """A sample to be kept; `at` in milliseconds since 1970."""

    host_id: str
    at: int
    sample: Sample


class Series:
    """Opened by the first use. Raises Unavailable while the file cannot be used."""

    def __init__(self, path: Path, keep: tuple[int, int, int]) -> None:
        """`keep`: milliseconds for which the points of each tier are kept."""
        self.path, self._keep = path, keep
        self._db: sqlite3.Connection | None = None
        self._known = (0, 0)  # the file's inode, and its size when it was last used

    def add(self, rows: Iterable[Row]) -> None:
        packed = [(row.host_id, row.at, averages.packed(row.sample), _packed(row.sample.containers)) for row in rows]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("insert or ignore into host (uuid) values (?)", {(row[0],) for row in packed})
            db.executemany(
                "insert or replace into sample select id, 0, ?2, 1, ?3, ?4 from host where uuid = ?1", packed
            )

        self._use(write)

    def latest(self) -> dict[str, Row]:
        """The newest sample of each host."""
        newest = """select host.uuid, sample.at, sample.body, sample.uses from host, sample where sample.rowid =
            (select rowid from sample where host = host.id and tier = 0 order by at desc limit 1)"""
        found = self._use(lambda db: db.execute(newest).fetchall())
        return {host_id: Row(host_id, at, _whole(body, uses)) for host_id, at, body, uses in found}

    def hosts(self) -> list[str]:
        return self._use(lambda db: [host_id for (host_id,) in db.execute("select uuid from host")])

    def forget(self, host_id: str) -> None:
        for tier in range(len(PERIODS)):
            self._remove(host_id, tier, 2**62)
        self._use(lambda db: db.execute("delete from host where uuid = ?", (host_id,)))

    # --- reading ---

    def points(self, host_id: str, start: int, end: int, limit: int, step: int | None, now: int) -> list[Point]:
        """Oldest first, in milliseconds. More than `limit`, or a `step`: averages over equal spans."""

        def read(db: sqlite3.Connection, finest: int) -> list[Point]:
            rows = self._rows(db, host_id, "body", start, end, finest, now)
            return [Point(at, weight, averages.unpacked(body)) for at, weight, body in rows]

        def average(points: list[Point]) -> Sample:
            return averages.averaged(points)

        found, step = self._found(read, host_id, start, end, limit, step, now)
        return (
            found
            if step is None
            else [
                Point(at, sum(point.weight for point in points), average(points))
                for at, points in _spans(found, start, end, step)
            ]
        )

    def uses(
        self, host_id: str, container: str, start: int, end: int, limit: int, step: int | None, now: int
    ) -> list[UsePoint]:
        """The same of one container, by its name or the beginning of its id. One use in each point."""

        def read(db: sqlite3.Connection, finest: int) -> list[UsePoint]:
            rows = self._rows(db, host_id, "uses", start, end, finest, now)
            points = (UsePoint(at, weight, _of(container, uses)) for at, weight, uses in rows)
            return [point for point in points if point.uses]

        found, step = self._found(read, host_id, start, end, limit, step, now)
        return (
            found
            if step is None
            else [
                UsePoint(at, sum(point.weight for point in points), averages.averaged_uses(points))
                for at, points in _spans(found, start, end, step)
            ]
        )

    def _found(
        self,
        read: Callable[[sqlite3.Connection, int], list[P]],
        host_id: str,
        start: int,
        end: int,
        limit: int,
        step: int | None,
        now: int,
    ) -> tuple[list[P], int | None]:
        """The points, and the span to average them over; None: they are few enough."""
        if step is None:
            amount = self._use(lambda db: self._count(db, host_id, start, end, limit, now))
            if amount <= limit:
                return self._use(lambda db: read(db, 0)), None
            step = max(-(-(end - start) // limit), 1)
        finest = max(tier for tier, period in enumerate(PERIODS) if period * 2 <= step)
        return self._use(lambda db: read(db, finest)), step

    def _count(self, db: sqlite3.Connection, host_id: str, start: int, end: int, limit: int, now: int) -> int:
        rows = self._rows(db, host_id, "null", start, end, 0, now)
        return sum(1 for _ in itertools.islice(rows, limit + 1))

    def _rows(
        self, db: sqlite3.Connection, host_id: str, column: str, start: int, end: int, finest: int, now: int
    ) -> Iterator[tuple[int, int, bytes]]:
        """Those of `start` to `end`; an average that begins before counts from `start` on."""
        host = _host(db, host_id)
        if host is None:
            return
        for tier, low, high in self._segments(db, host, start, end, finest, now):
            query = f"select at, weight, {column} from sample where host = ? and tier = ? and at >= ? and at < ?"  # noqa: S608
            covering = low - low % (PERIODS[tier] or 1)
            for at, weight, body in db.execute(f"{query} order by at", (host, tier, covering, high)):
                yield max(at, start), weight, body

    def _segments(
        self, db: sqlite3.Connection, host: int, start: int, end: int, finest: int, now: int
    ) -> list[tuple[int, int, int]]:
        """Which tier answers for which part, oldest first: `finest` as far as it goes.

        What is too young for it is answered by finer tiers, what is too old by coarser ones.
        """
        found = []
        until = end + 1
        last = len(PERIODS) - 1
        for tier in range(last + 1):
            low = start
            if tier < last:
                done = _mark(db, host, tier + 1)
                oldest = now - self._keep[tier]
                low = done if tier < finest else min(oldest - oldest % PERIODS[tier + 1], done)
            if max(low, start) < until:
                found.append((tier, max(low, start), until))
                until = max(low, start)
        return found[::-1]

    # --- tending ---

    def roll_up(self, host_id: str, now: int) -> None:
        """Average what has come since the last time. Small transactions; the next call goes on where one ended."""
        for tier in range(1, len(PERIODS)):
            while self._use(lambda db, tier=tier: self._roll(db, host_id, tier, now)):  # type: ignore[misc]
                pass

    def _roll(self, db: sqlite3.Connection, host_id: str, tier: int, now: int) -> bool:
        """One piece; whether there may be more."""
        period = PERIODS[tier]
        host = _host(db, host_id)
        if host is None:
            return False
        ready = now - SETTLED if tier == 1 else _mark(db, host, tier - 1)
        ready -= ready % period
        query = "select min(at) from sample where host = ? and tier = ? and at >= ? and at < ?"
        (oldest,) = db.execute(query, (host, tier - 1, _mark(db, host, tier), ready)).fetchone()
        if oldest is None:
            return False
        begin = oldest - oldest % period
        stop = min(begin + ROLLED, ready)
        query = """select at, weight, body, uses from sample
            where host = ? and tier = ? and at >= ? and at < ? order by at"""
        rows = db.execute(query, (host, tier - 1, begin, stop)).fetchall()
        averaged = [
            (host, tier, span * period, *_averaged(list(group)))
            for span, group in itertools.groupby(rows, lambda row: row[0] // period)
        ]
        db.executemany("insert or replace into sample values (?, ?, ?, ?, ?, ?)", averaged)
        return True

    def purge(self, host_id: str, now: int) -> int:
        """Remove what is too old. Returns the number of rows."""
        return sum(self._remove(host_id, tier, now - keep) for tier, keep in enumerate(self._keep))

    def _remove(self, host_id: str, tier: int, before: int) -> int:
        query = """delete from sample where rowid in (select sample.rowid from sample, host
            where host.uuid = ? and sample.host = host.id and tier = ? and at < ? limit ?)"""
        removed = 0
        while count := self._use(lambda db: db.execute(query, (host_id, tier, before, CHUNK)).rowcount):
            removed += count
        return removed

    def give_back(self) -> None:
        """Room that nothing needs any more goes back to the disk, a little at a time."""
        self._use(lambda db: db.execute("pragma incremental_vacuum(2000)").fetchall())

    def close(self) -> None:
        if self._db:
            self._db.close()
            self._db = None

    # --- the file ---

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something in one transaction, with a new file where this one is no good."""
        try:
            return self._transaction(work)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None:
                raise
            if code & 0xFF in PASSING:
                raise Unavailable(f"the file of metrics cannot be used: {error}") from error
            self._remake(str(error))
        except OSError as error:
            raise Unavailable(f"the file of metrics cannot be used: {error.strerror}") from error
        try:
            return self._transaction(work)
        except (sqlite3.DatabaseError, OSError) as error:
            raise Unavailable(f"the file of metrics cannot be used: {error}") from error

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db and (problem := self._problem()):
            self._remake(problem)
        if self._db is None:
            self._db = self._open()
        with self._db:
            result = work(self._db)
        state, (inode, _) = self.path.stat(), self._known
        if state.st_ino == inode:  # another is not the one that this was written to, which the next use will see
            self._known = inode, state.st_size
        return result

    def _problem(self) -> str:
        """SQLite goes on with a file that was removed or cut: it has to be looked for."""
        inode, size = self._known
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return "it is gone"
        if state.st_ino != inode:
            return "it was replaced"
        return "it was cut short" if state.st_size < size else ""

    def _remake(self, why: str) -> None:
        log.warning("%s is made anew, and the history of metrics begins again: %s", self.path.name, why)
        with contextlib.suppress(sqlite3.Error):
            self.close()
        self._db = None
        try:
            for ending in ("", "-wal", "-journal"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"the file of metrics cannot be made anew: {error.strerror}") from error

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(self.path, timeout=2, check_same_thread=False)
        # Alone with it, no shared memory is needed, which would end the process if somebody cut it short.
        for pragma in ("auto_vacuum = incremental", "locking_mode = exclusive", "journal_mode = wal"):
            db.execute(f"pragma {pragma}").fetchall()
        db.execute("pragma synchronous = normal")
        (version,) = db.execute("pragma user_version").fetchone()
        if version not in (0, FORMAT):
            db.close()
            raise _other_format(version)
        if version == 0:
            db.executescript(f"{SCHEMA} pragma user_version = {FORMAT};")
        state = self.path.stat()
        self._known = state.st_ino, state.st_size
        return db


def _other_format(version: int) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(f"its format is {version}, not {FORMAT}")
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


def _host(db: sqlite3.Connection, host_id: str) -> int | None:
    found = db.execute("select id from host where uuid = ?", (host_id,)).fetchone()
    return found[0] if found else None


def _mark(db: sqlite3.Connection, host: int, tier: int) -> int:
    """Up to when a tier has its points; 0: nowhere."""
    (last,) = db.execute("select max(at) from sample where host = ? and tier = ?", (host, tier)).fetchone()
    return 0 if last is None else int(last) + PERIODS[tier]


def _packed(containers: Iterable[ContainerUse]) -> bytes:
    return averages.packed_uses(averages.uses_of(containers))


def _whole(body: bytes, uses: bytes) -> Sample:
    found = [ContainerUse(id, name, cpu, memory) for name, id, cpu, memory in averages.unpacked_uses(uses)]
    return msgspec.structs.replace(averages.unpacked(body), containers=found)


def _averaged(rows: list[tuple[int, int, bytes, bytes]]) -> tuple[int, bytes, bytes]:
    sample = averages.averaged([Point(at, weight, averages.unpacked(body)) for at, weight, body, _ in rows])
    uses = averages.averaged_uses([UsePoint(at, weight, averages.unpacked_uses(uses)) for at, weight, _, uses in rows])
    return sum(row[1] for row in rows), averages.packed(sample), averages.packed_uses(uses)


def _of(container: str, body: bytes) -> list[averages.Use]:
    """The use of one container: by its name, else by its id."""
    uses = averages.unpacked_uses(body)
    named = [use for use in uses if use[0] == container]
    return named or [use for use in uses if use[1].startswith(container[:12])][:1]


def _spans(points: list[P], start: int, end: int, step: int) -> Iterator[tuple[int, list[P]]]:
    """Equal spans from `start` on, those with nothing in them left out. What lies at the very end is in the last."""
    last = max(-(-(end - start) // step) - 1, 0)
    for span, group in itertools.groupby(points, lambda point: min(max(point.at - start, 0) // step, last)):
        yield start + span * step, list(group)
