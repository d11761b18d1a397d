"""Data directories and archives, good and hostile, for the tests of backup and restore."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROWS = [(1, "nas", b"\x00\xff"), (2, "pi — cellar", None)]


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("pragma journal_mode = wal")
        yield db


def make_data(data: Path, rows: list[tuple[Any, ...]] = ROWS) -> Path:
    """A data directory as a server leaves it, with what is state and what is not."""
    data.mkdir(mode=0o700, parents=True)
    with database(data / "roci.db") as db:
        db.execute("create table migration (name text primary key, applied_at text not null)")
        db.execute("insert into migration values ('hosts_0001_start', '2026-01-01')")
        db.execute("create table host (id integer, name text, extra blob)")
        db.executemany("insert into host values (?, ?, ?)", rows)
    (data / "secret.key").write_bytes(bytes(range(32)))
    (data / "agent").mkdir()
    (data / "agent" / "state.json").write_text('{"id": 1}')
    (data / "lock").touch()
    (data / "roci.db.before-hosts_0001").write_text("old")
    return data


def rows(data: Path, name: str = "roci.db") -> list[tuple[Any, ...]]:
    with database(data / name) as db:
        return db.execute("select * from host order by id").fetchall()


def tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))
    out.seek(0)
    return out


def entry(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def manifest(members: dict[str, bytes], **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    told = {name: {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()} for name, body in members.items()}
    note = {"format": 1, "roci": "0.1.0", "created_at": "2026-01-01T00:00:00Z", "migrations": [], "tables": {}}
    return entry("manifest.json", json.dumps({**note, "members": told, **changes}).encode())
