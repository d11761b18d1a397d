"""Committed operations through the store, against raw sqlite3 with the same statements and the same durability."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from table import Figure, at_least, median

from roci import Outcome, Roci, Settings
from roci_plugins.domain import hosts, operations

Statement = tuple[str, tuple[Any, ...]]
BESIDE = 32  # writers at a time


def run(quick: bool) -> Iterator[Figure]:
    yield from asyncio.run(_measure(200 if quick else 500, 3 if quick else 5))


async def _measure(count: int, rounds: int) -> list[Figure]:
    rates: dict[str, list[float]] = {"alone": [], "beside": [], "raw": []}
    with tempfile.TemporaryDirectory(prefix="roci-bench-") as folder:
        roci = Roci(Settings(data_dir=folder, local_agent=False))
        async with roci.running():
            host = await roci.write(hosts.add, hosts.Introduction("bench", "10.0.0.1", "10.0.0.1", "10.0.0.1"))
            transactions = [await _recorded(roci, host) for _ in range(count)]
            empty = Path(folder) / "empty.db"
            await roci.store.alter(roci.store.copy, empty)
            for number in range(rounds):
                rates["raw"].append(_raw(empty, Path(folder) / f"raw-{number}.db", transactions))
                rates["alone"].append(await _through_store(roci, host, count, 1))
                rates["beside"].append(await _through_store(roci, host, count, BESIDE))
    raw, alone, beside = (median(rates[name]) for name in ("raw", "alone", "beside"))
    what = "recorded operations committed, {}, against raw sqlite3 with synchronous=FULL"
    return [
        Figure(what.format("one after another"), f"{alone:,.0f}/s", f"{raw:,.0f}/s", **at_least(alone, raw, 0.5)),
        Figure(what.format(f"{BESIDE} at a time"), f"{beside:,.0f}/s", f"{raw:,.0f}/s", **at_least(beside, raw, 0.5)),
    ]


def _begin(host: hosts.Host) -> operations.Operation:
    return operations.begin("deploy", host, 60)


async def _operate(roci: Roci, host: hosts.Host) -> None:
    """What every command costs the store: one transaction before it is sent, one before its result is acknowledged."""
    operation = await roci.write(_begin, host)
    await roci.write(operations.finish, operation.id, Outcome("succeeded", "x" * 500, 0))


async def _through_store(roci: Roci, host: hosts.Host, count: int, beside: int) -> float:
    room = asyncio.Semaphore(beside)

    async def one() -> None:
        async with room:
            await _operate(roci, host)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return count / (time.perf_counter() - began)


async def _recorded(roci: Roci, host: hosts.Host) -> list[list[Statement]]:
    """The statements of both transactions."""
    said: list[Statement] = []
    with _listening(said):
        operation = await roci.write(_begin, host)
        half = len(said)
        await roci.write(operations.finish, operation.id, Outcome("succeeded", "x" * 500, 0))
    return [said[:half], said[half:]]


@contextlib.contextmanager
def _listening(said: list[Statement]) -> Iterator[None]:
    """What peewee says it runs."""

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sql, parameters = record.msg
            said.append((sql, tuple(parameters or ())))

    logger, ear = logging.getLogger("peewee"), Ear()
    before = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(before)


def _raw(template: Path, path: Path, transactions: list[list[list[Statement]]]) -> float:
    """The same into a copy without those rows."""
    shutil.copy(template, path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("pragma foreign_keys = 1")
        for (trigger,) in db.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            db.execute(f"drop trigger {trigger}")
        for table in ("operation", "recorded"):
            db.execute(f"delete from {table}")
        db.execute("pragma wal_checkpoint(truncate)")
        began = time.perf_counter()
        for both in transactions:
            for statements in both:
                db.execute("begin immediate")
                for sql, parameters in statements:
                    db.execute(sql, parameters).fetchall()
                db.execute("commit")
        return len(transactions) / (time.perf_counter() - began)
