"""Reads a backup back. Nothing changes until the whole archive was unpacked and checked; then it is renamed into place.

What will be renamed is written down first, so a restore that is killed in between is finished by the next one:
before that note the old state stands, after it the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import filecmp
import hashlib
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec

from roci import Conflict, Invalid, Unavailable, __version__, now

from ..domain import keyring
from . import backup
from .backup import DATABASE, FORMAT, MANIFEST, Manifest, Member

STAGE = ".restore"
NOTE = "decided.json"
CHUNK = 1 << 20
LARGEST_MANIFEST = 8 << 20


@dataclasses.dataclass(frozen=True)
class Terms:
    """On what terms an archive is taken."""

    known: Collection[str]  # names of the migrations this program has
    identities: Sequence[Any] = ()
    force: bool = False  # replace a database that is there; it is kept beside the new one
    most_bytes: int = 64 << 30
    most_files: int = 10_000


class Decision(msgspec.Struct):
    """The note that makes a restore certain: which files are swapped, and what the old ones are called then."""

    stamp: str
    files: list[str]


def restore(source: BinaryIO, data: Path, terms: Terms) -> Manifest:
    """Put a backup in the place of what is in the data directory. All of it happens, or none."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(data):
            finish(data)
            if (data / DATABASE).exists() and not terms.force:
                raise Conflict(f"there is a database in {data} already: --force replaces it, and keeps it aside")
            manifest = _prepare(source, data, terms)
            finish(data)
    except OSError as error:
        raise Unavailable(f"cannot restore to {data}: {error.strerror}") from error
    return manifest


def _prepare(source: BinaryIO, data: Path, terms: Terms) -> Manifest:
    """Everything up to the decision: unpacked, checked and noted, or nothing left of it."""
    stage = data / STAGE
    try:
        stage.mkdir(mode=0o700)
        with _readable(source, stage, terms) as plain:
            manifest = _unpack(plain, stage / "new", terms)
        _check(stage / "new", manifest, terms.known)
        _decide(data, manifest)
    except tarfile.TarError as error:
        raise Invalid(f"this is not a ROCI backup, or a damaged one: {error}") from None
    finally:
        if not (stage / NOTE).exists():
            shutil.rmtree(stage, ignore_errors=True)
    return manifest


def resume(data: Path) -> bool:
    """Finish a restore that was interrupted. True if one was."""
    if not (data / STAGE).is_dir():
        return False
    with _alone(data):
        return finish(data)


def finish(data: Path) -> bool:
    """Carry out what a restore has decided; the caller holds the lock. True if there was something to do."""
    stage = data / STAGE
    decided = (stage / NOTE).exists()
    if decided:
        decision = msgspec.json.decode((stage / NOTE).read_bytes(), type=Decision)
        for name in decision.files:
            _swap(stage / "new" / name, data / name, decision.stamp)
        _sync(data)
    shutil.rmtree(stage, ignore_errors=True)
    return decided


def identities_of(text: str) -> list[Any]:
    """Keys that open a backup, from an identity file: AGE-SECRET-KEY-1… lines, or one SSH private key."""
    import pyrage

    try:
        if "PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        return [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        raise Invalid("the identity file holds no age identity: a line that begins with AGE-SECRET-KEY-1") from None


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the server's own lock, so that none runs on this data and none starts meanwhile."""
    with (data / "lock").open("w") as lock:
        _own(data / "lock", data)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"a ROCI runs on {data}: stop it first") from None
        yield


@contextlib.contextmanager
def _readable(source: BinaryIO, stage: Path, terms: Terms) -> Iterator[BinaryIO]:
    """The plain tar behind a stream: spooled where it cannot be wound back, decrypted where it is encrypted."""
    with (stage / "spool").open("w+b") as spool, (stage / "plain").open("w+b") as plain:
        if not source.seekable():
            source = _spool(source, spool, terms.most_bytes)
        head = source.read(34)
        source.seek(0)
        if head.startswith((b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")):
            _decrypt(source, plain, terms.identities)
            source = plain
        yield source


def _decrypt(source: BinaryIO, plain: BinaryIO, identities: Sequence[Any]) -> None:
    if not identities:
        raise Invalid("this backup is encrypted: name the file with your age identity, --identity FILE")
    import pyrage

    try:
        pyrage.decrypt_io(source, plain, list(identities))
    except pyrage.DecryptError as error:
        if "matching" in str(error).lower():
            raise Invalid("this identity does not open the backup: it was encrypted for somebody else") from None
        raise Invalid(f"the encrypted backup is damaged or was changed: {error}") from None
    except OSError as error:
        if error.errno:  # the disk; pyrage's own complaints are OSErrors without a number
            raise
        raise Invalid(f"the encrypted backup is damaged or was changed: {error}") from None
    plain.seek(0)


def _spool(source: BinaryIO, spool: BinaryIO, most: int) -> BinaryIO:
    while chunk := source.read(CHUNK):
        spool.write(chunk)
        if spool.tell() > most:
            raise Invalid("the backup is larger than ROCI takes")
    spool.seek(0)
    return spool


def _unpack(source: BinaryIO, target: Path, terms: Terms) -> Manifest:
    """Write what the manifest promises, and nothing else, to an empty folder."""
    target.mkdir(mode=0o700)
    with tarfile.open(fileobj=source, mode="r:") as archive:
        manifest = _read_manifest(archive, terms)
        expected = dict(manifest.members)
        if (needed := sum(member.size for member in expected.values())) > shutil.disk_usage(target).free:
            raise Unavailable(f"the backup needs {needed >> 20} MiB on the disk of {target.parent.parent}")
        for entry in iter(archive.next, None):
            if (member := expected.pop(entry.name, None)) is None:
                raise Invalid(f"the archive holds {entry.name!r}, which its manifest does not name once")
            _extract(archive, entry, member, target / entry.name)
    if expected:
        raise Invalid(f"the archive is incomplete: {sorted(expected)[0]} is missing")
    return manifest


def _read_manifest(archive: tarfile.TarFile, terms: Terms) -> Manifest:
    entry = archive.next()
    if entry is None or entry.name != MANIFEST or not _is_plain(entry) or entry.size > LARGEST_MANIFEST:
        raise Invalid("this is not a ROCI backup: it does not begin with a manifest")
    content = archive.extractfile(entry)
    assert content is not None
    try:
        manifest = msgspec.json.decode(content.read(), type=Manifest)
    except msgspec.DecodeError as error:
        raise Invalid(f"the manifest of the backup cannot be read: {error}") from None
    if manifest.format > FORMAT:
        raise Invalid(_too_new(manifest, "this form of archive"))
    sizes = [member.size for member in manifest.members.values()]
    if len(sizes) > terms.most_files or sum(sizes) > terms.most_bytes or min(sizes, default=0) < 0:
        raise Invalid("the backup is larger than ROCI takes")
    for name in manifest.members:
        _refuse_unsafe(name)
    return manifest


def _refuse_unsafe(name: str) -> None:
    """A name must be a plain relative path, and none that ROCI uses for itself."""
    parts = name.split("/")
    is_plain = not {"", ".", ".."} & set(parts) and not re.search(r"[\x00-\x1f\\]", name)
    if not is_plain or PurePosixPath(name).is_absolute() or any(map(backup.is_passing, parts)):
        raise Invalid(f"the archive holds {name!r}: no backup of ROCI's does")


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """A regular file as it stands. Links could lead out, a sparse file could be far larger than the archive."""
    return entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and entry.sparse is None


def _extract(archive: tarfile.TarFile, entry: tarfile.TarInfo, member: Member, path: Path) -> None:
    if not _is_plain(entry) or entry.size != member.size:
        raise Invalid(f"{entry.name} in the archive is not the file that its manifest promises")
    content = archive.extractfile(entry)
    assert content is not None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != member.sha256:
        raise Invalid(f"{entry.name} in the archive is damaged or was changed: its checksum is wrong")


def _check(new: Path, manifest: Manifest, known: Collection[str]) -> None:
    """The database must be there, whole, and of no newer making than this program."""
    if DATABASE not in manifest.members:
        raise Invalid("the backup holds no database")
    try:
        said, names = backup.look(new / DATABASE, lambda db: (backup.verdict(db), backup.applied(db)))
    except sqlite3.DatabaseError as error:
        said, names = str(error), []
    if said != "ok":
        raise Invalid(f"the database in the backup is damaged: {said}")
    if unknown := set(names) - set(known):
        raise Invalid(_too_new(manifest, ", ".join(sorted(unknown))))


def _too_new(manifest: Manifest, what: str) -> str:
    made_by = manifest.roci
    return (
        f"this backup was made by ROCI {made_by}, and this is {__version__}, which does not know {what}: "
        f"install ROCI {made_by} or newer, and the plugins it had, then restore"
    )


def _new_key(new: Path, data: Path, manifest: Manifest) -> list[str]:
    """A backup from before there was a key file has nothing sealed: it does not go with the key that is here."""
    if keyring.FILE in manifest.members or not (data / keyring.FILE).exists():
        return []
    if keyring.used_keys(new / DATABASE):
        return []
    keyring.Keyring(new / keyring.FILE, new / DATABASE).make()
    return [keyring.FILE]


def _decide(data: Path, manifest: Manifest) -> None:
    """Write the note. The database comes last in it, since it makes no sense without the keys."""
    new = data / STAGE / "new"
    for name in manifest.members:
        for parent in list(PurePosixPath(name).parents)[:-1]:
            if os.path.lexists(data / parent) and not (data / parent).is_dir():
                raise Conflict(f"{data / parent} is in the way: it is no folder")
    members = [*manifest.members, *_new_key(new, data, manifest)]
    _own_all(new, data)
    names = sorted((name for name in members if not _is_same(new / name, data / name)), key=DATABASE.__eq__)
    note = data / STAGE / NOTE
    draft = note.with_suffix(".tmp")
    draft.write_bytes(msgspec.json.encode(Decision(f"{now():%Y%m%dT%H%M%SZ}", names)))
    _sync(draft)
    draft.replace(note)
    _sync(note.parent)


def _is_same(new: Path, old: Path) -> bool:
    """Whether swapping would change nothing. Never so for a database, whose log may lie beside it."""
    return old.is_file() and not backup.is_database(new) and filecmp.cmp(new, old, shallow=False)


def _swap(new: Path, old: Path, stamp: str) -> None:
    """Put a file in its place and keep the one that was there. Harmless when it was done already."""
    if not new.exists():
        return
    old.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _own(old.parent, old.parent.parent)
    kept = f"{old}.replaced-{stamp}"
    if os.path.lexists(kept) and os.path.lexists(old):
        kept += "-again"  # a server ran between the two halves of this restore
    for suffix in ("-wal", "-shm", ""):  # a log left beside a new database would be played into it
        if os.path.lexists(there := Path(f"{old}{suffix}")):
            there.rename(f"{kept}{suffix}")
    new.rename(old)


def _own_all(folder: Path, like: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        _own(path, like)


def _own(path: Path, like: Path) -> None:
    """What root restores belongs to whom the data belongs, or the server could not read it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
