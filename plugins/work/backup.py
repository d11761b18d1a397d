"""A copy of everything ROCI must not lose, as one archive: made while the server runs, read back by `restore`.

The archive is a plain tar, or that tar encrypted with age. Its first member is the manifest; a copy is of one
moment of the database, and of the keys as they were just after, so no row lacks the key it was written with.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import fnmatch
import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import msgspec

from roci import Conflict, Invalid, NotFound, Unavailable, __version__, now

T = TypeVar("T")
FORMAT = 1
DATABASE = "roci.db"
MANIFEST = "manifest.json"
PATIENCE = 2.0  # seconds for what else holds the data folder for moments
# What lies in the data directory and is no state of ROCI's: locks, what SQLite makes anew, what a migration or a
# restore kept, what containers keep for themselves where the volume base lies there too, and the history of metrics.
PASSING = (
    *("lock", "*.lock", "*-wal", "*-shm", "*-journal", "*.before-*", "*.replaced-*", "*.tmp", ".backup", ".restore"),
    "applications",
    "metrics.db",
)


class Member(msgspec.Struct, frozen=True):
    """One file of the archive."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds, and which ROCI can read it."""

    format: int
    roci: str
    created_at: datetime.datetime
    migrations: list[str]  # the names the database had applied
    tables: dict[str, int]  # rows by table
    members: dict[str, Member]


def write(data: Path, target: Path, recipients: Sequence[Any] = ()) -> Manifest:
    """Back up into a file, readable by its owner only. The file appears, or is replaced, when it is whole."""
    if target.resolve().is_relative_to(data.resolve()):
        raise Invalid(f"{target} lies in the data directory: put a backup elsewhere, best on another disk")
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            manifest = create(data, out, recipients)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError as error:
        raise Unavailable(f"cannot write {target}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def create(data: Path, out: BinaryIO, recipients: Sequence[Any] = ()) -> Manifest:
    """Write the archive to a stream, encrypted when there are recipients."""
    if not (data / DATABASE).is_file():
        raise NotFound(f"there is no database in {data}: is data_dir right?")
    with _staging(data) as stage:
        manifest = _collect(data, stage)
        if not recipients:
            _pack(stage, manifest, out)
            return manifest
        import pyrage

        with (stage / "archive.tar").open("w+b") as plain:
            _pack(stage, manifest, plain)
            plain.seek(0)
            pyrage.encrypt_io(plain, out, recipients)
    return manifest


def recipients_of(texts: Sequence[str]) -> list[Any]:
    """Keys to encrypt for, from their text: age1… or an SSH public key. Comments and blank lines are skipped."""
    import pyrage

    found = []
    for line in (line.strip() for text in texts for line in text.splitlines()):
        if line and not line.startswith("#"):
            parse: Callable[[str], Any] = (
                pyrage.ssh.Recipient.from_str if line.startswith("ssh-") else pyrage.x25519.Recipient.from_str
            )
            try:
                found.append(parse(line))
            except pyrage.RecipientError:
                raise Invalid(f"{line!r} is not an age recipient, which begins with age1") from None
    return found


def files(data: Path) -> Iterator[Path]:
    """Every file of the data directory that is state, the database included, in the order of their names."""
    for path in sorted(data.iterdir()):
        if is_passing(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from files(path)
        elif path.is_file():
            yield path


def is_passing(name: str) -> bool:
    """Whether a file of this name is no state."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in PASSING)


def look(database: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    """Ask an existing database something, whoever else uses it."""
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=10)) as db:
        return question(db)


def applied(db: sqlite3.Connection) -> list[str]:
    """The names of the migrations a database has seen."""
    if not db.execute("select 1 from sqlite_master where name = 'migration'").fetchone():
        return []
    return [name for (name,) in db.execute("select name from migration order by name")]


def verdict(db: sqlite3.Connection) -> str:
    """What SQLite says of its own file: "ok", or the first thing that is wrong."""
    return str(db.execute("pragma quick_check(1)").fetchone()[0])


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, by its first bytes."""
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


@contextlib.contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """A folder in the data directory, so that no secret lies elsewhere. What a killed backup left is removed."""
    stage = data / ".backup"
    with _only_backup(data):
        shutil.rmtree(stage, ignore_errors=True)
        try:
            stage.mkdir(mode=0o700)
            yield stage
        except PermissionError as error:
            raise Unavailable(f"{error.filename}: permission denied; run this as the user that runs ROCI") from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextlib.contextmanager
def _only_backup(data: Path) -> Iterator[None]:
    """The lock is the folder itself: a lock file made by root would shut out the server's own user."""
    handle = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise Conflict(f"another backup of {data} is being made") from None
            time.sleep(0.02)  # a key is being dropped, which takes moments
    try:
        yield
    finally:
        os.close(handle)


def _collect(data: Path, stage: Path) -> Manifest:
    """Copy what is state into the stage, the database first, and say what was copied."""
    members: dict[str, Member] = {}
    for path in sorted(files(data), key=lambda path: not is_database(path)):
        name = path.relative_to(data).as_posix()
        copy = stage / "files" / name
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):  # gone since it was listed: it was passing after all
            if is_database(path):
                look(path, lambda db, copy=copy: _copy_database(db, copy))  # type: ignore[misc]
            else:
                shutil.copyfile(path, copy)
            members[name] = Member(copy.stat().st_size, _digest(copy))
    main = stage / "files" / DATABASE
    return Manifest(FORMAT, __version__, now(), look(main, applied), look(main, _count), members)


def _copy_database(db: sqlite3.Connection, copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(copy)) as target:
        db.backup(target)
        target.execute("pragma journal_mode = delete")  # one file, with nothing beside it


def _count(db: sqlite3.Connection) -> dict[str, int]:
    names = [name for (name,) in db.execute("select name from sqlite_master where type = 'table' order by name")]
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names if not name.startswith("sqlite_")}
    return {name: db.execute(f"select count(*) from {table}").fetchone()[0] for name, table in quoted.items()}  # noqa: S608


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(stage: Path, manifest: Manifest, out: BinaryIO) -> None:
    """Write the tar: the manifest first, so that a reader knows what to expect."""
    with tarfile.open(fileobj=out, mode="w|") as archive:
        note = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        _add(archive, MANIFEST, len(note), io.BytesIO(note))
        for name, member in manifest.members.items():
            with (stage / "files" / name).open("rb") as file:
                _add(archive, name, member.size, file)


def _add(archive: tarfile.TarFile, name: str, size: int, content: BinaryIO) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(now().timestamp())
    archive.addfile(entry, content)
