"""The keys that seal secrets, in a file beside the database: one of them is current, older ones open what they sealed.

The contract with `roci secret rotate`, which may run beside the server: whoever seals does so inside the write that
stores the result, and the file is looked at again before each sealing. Since the database takes one write at a time,
a key can be dropped inside a write that sees no row using it; not while a backup is made, which copies the database
first and the keys then. Only `domain/secrets.py` keeps sealed rows.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from roci import Roci, Sensitive, StartupError, Unavailable

log = logging.getLogger("roci.secrets")
FILE = "secret.key"
KEY_SIZE = 32
NONCE_SIZE = 12
MISSING = (
    "{count} stored secrets cannot be read: the key file {what}. Put {path} back from a backup "
    "(roci restore has it), or give those secrets up: roci secret forget"
)


@dataclasses.dataclass(frozen=True)
class Sealed:
    """An encrypted text and the key that opens it. The blob begins with its nonce."""

    key_id: str
    blob: bytes


@dataclasses.dataclass(frozen=True)
class Keys:
    """What the key file says. `audit` seals the audit trail, from row `sealed_from` on; neither ever changes."""

    current: str
    keys: Mapping[str, bytes] = dataclasses.field(repr=False)
    audit: bytes = dataclasses.field(repr=False)
    sealed_from: int | None = None


def key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:12]


class Keyring:
    """Seals and opens. The file is made at the first use, unless the database holds secrets that need a lost one."""

    def __init__(self, path: Path, database: Path) -> None:
        self.path, self.database = path, database
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: Keys | None = None
        self._known: dict[str, bytes] = {}  # also those dropped since: somebody may hold a row from before

    def seal(self, text: str, about: str) -> Sealed:
        """Encrypt; `about` must be given again to open. Call it inside the write that stores the result."""
        keys = self.read()
        nonce = secrets.token_bytes(NONCE_SIZE)
        sealed = _cipher(keys.keys[keys.current]).encrypt(nonce, text.encode(), about.encode())
        return Sealed(keys.current, nonce + sealed)

    def open(self, sealed: Sealed, about: str) -> Sensitive:
        """Raises Unavailable where the key is gone, or the row is not what was sealed under this name."""
        from cryptography.exceptions import InvalidTag

        if sealed.key_id not in self._known:
            self.read()
        key = self._known.get(sealed.key_id)
        if key is None:
            raise Unavailable(f"the key {sealed.key_id} that sealed a secret is not in the key file")
        blob = bytes(sealed.blob)
        try:
            return Sensitive(_cipher(key).decrypt(blob[:NONCE_SIZE], blob[NONCE_SIZE:], about.encode()).decode())
        except (InvalidTag, ValueError):
            raise Unavailable("a stored secret was damaged, or moved to another name") from None

    @property
    def audit_key(self) -> bytes:
        """The same for as long as the installation lives."""
        return (self._keys or self.read()).audit

    @property
    def sealed_from(self) -> int | None:
        """The first row of the audit trail that must have a seal; None: that is not known yet."""
        known = self._keys.sealed_from if self._keys else None
        return known if known is not None else self.read().sealed_from

    def note_seals(self, seq: int) -> None:
        """Note, for ever, that the committed audit trail is sealed from this row on.

        Not while a backup is made, whose copy of the database may be older than the seals: the next write notes it.
        """
        with _no_backup(self.path.parent) as free, _alone(self.path):
            keys = load(self.path)
            if free and keys.sealed_from is None:
                _replace(self.path, dataclasses.replace(keys, sealed_from=seq))

    def read(self) -> Keys:
        """The file as it is now. Raises StartupError for one that cannot be trusted, Unavailable once it has gone."""
        with self._lock:
            try:
                stat = self.path.stat()
            except FileNotFoundError:
                if self._keys is not None:
                    raise Unavailable("the key file of the secrets has gone: put it back from a backup") from None
                self._make()
                stat = self.path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if self._keys is None or seen != self._seen:
                self._keys, self._seen = load(self.path), seen
                self._known |= self._keys.keys
            return self._keys

    def turn(self) -> str:
        """Make a new key the current one; the older stay until `drop`. Returns its id."""
        self.read()
        with _alone(self.path):
            keys, new = load(self.path), secrets.token_bytes(KEY_SIZE)
            turned = {**keys.keys, key_id(new): new}
            _replace(self.path, dataclasses.replace(keys, current=key_id(new), keys=turned))
        return key_id(new)

    def keep(self, used: set[str]) -> list[str]:
        """Drop every key but the current and the used ones, inside a write that saw which are used.

        Returns what was dropped: nothing while a backup is made. The next start or rotation tries again.
        """
        self.read()
        with _no_backup(self.path.parent) as free, _alone(self.path):
            keys = load(self.path)
            kept = {id: key for id, key in keys.keys.items() if id == keys.current or id in used}
            if not free or len(kept) == len(keys.keys):
                return []
            _replace(self.path, dataclasses.replace(keys, keys=kept))
        return sorted(set(keys.keys) - set(kept))

    def _make(self) -> None:
        if needed := used_keys(self.database):
            raise StartupError(MISSING.format(count=sum(needed.values()), what="is missing", path=self.path))
        self.make()

    def make(self) -> None:
        """A new file, unless there is one: what older keys sealed is lost to it."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = secrets.token_bytes(KEY_SIZE)
        new = _written(self.path, Keys(key_id(key), {key_id(key): key}, secrets.token_bytes(KEY_SIZE)))
        try:
            os.link(new, self.path)
        except (FileExistsError, FileNotFoundError):  # it was, and perhaps turned, by another process meanwhile
            log.debug("another process has just made the key file")
        finally:
            new.unlink(missing_ok=True)
        _sync(self.path.parent)


def of(roci: Roci) -> Keyring:
    """The keyring of a Roci, running or not."""
    ring = roci.find(Keyring)
    if ring is None:
        ring = Keyring(roci.settings.data / FILE, roci.settings.database)
        roci.provide(ring)
    return ring


def load(path: Path) -> Keys:
    """Read a key file. Raises StartupError when others may read it, or it is none."""
    try:
        if path.stat().st_mode & 0o077:
            raise StartupError(f"others may read {path}, which opens every secret: chmod 600 {path}")
        raw = json.loads(path.read_bytes())
        keys = {id: base64.b64decode(key, validate=True) for id, key in raw["keys"].items()}
        sealed_from = raw.get("sealed_from")
        found = Keys(raw["current"], keys, base64.b64decode(raw["audit"], validate=True), sealed_from)
    except OSError as error:
        raise StartupError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StartupError(
            f"{path} is not a key file: put it back from a backup, or move it away: roci secret forget"
        ) from None
    whole = sealed_from is None or type(sealed_from) is int
    if (
        not whole
        or found.current not in keys
        or any(len(key) != KEY_SIZE or key_id(key) != id for id, key in keys.items())
    ):
        raise StartupError(f"{path} is damaged: put it back from a backup, or move it away: roci secret forget")
    return found


def used_keys(database: Path) -> dict[str, int]:
    """How many stored secrets use which key, whether or not the server runs; nothing where there is no database."""
    return dict(_ask(database, "select key_id, count(*) from secret group by key_id"))


def unopened(ring: Keyring) -> list[str]:
    """Which stored secrets do not open, as scope/name, whether or not the server runs."""
    found = []
    for scope, name, key, blob in _ask(ring.database, "select scope, name, key_id, blob from secret order by 1, 2"):
        try:
            ring.open(Sealed(key, blob), f"{scope}/{name}")
        except Unavailable:
            found.append(f"{scope}/{name}")
    return found


def _ask(database: Path, question: str) -> list[tuple[Any, ...]]:
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=10)) as db:
        if not db.execute("select 1 from sqlite_master where name = 'secret'").fetchone():
            return []
        return db.execute(question).fetchall()


def _cipher(key: bytes):  # type: ignore[no-untyped-def]  # cryptography is slow to import
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process changes the file at a time. It is replaced, so the lock counts only if it is still the same file."""
    while True:
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_ino == path.stat().st_ino:
                yield
                return
        finally:
            os.close(handle)


@contextlib.contextmanager
def _no_backup(data: Path) -> Iterator[bool]:
    """Whether no backup is being made, and none begins meanwhile: its lock is the folder itself."""
    handle = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _replace(path: Path, keys: Keys) -> None:
    """All at once, and on disk before anything is sealed with it. The caller is alone."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):  # by one that was killed
        left.unlink(missing_ok=True)
    _written(path, keys).replace(path)
    _sync(path.parent)


def _written(path: Path, keys: Keys) -> Path:
    """A file beside `path`, of the same owner as the folder: root may turn the keys of a server that is not root."""
    text = {id: base64.b64encode(key).decode() for id, key in keys.keys.items()}
    body: dict[str, Any] = {"current": keys.current, "keys": text, "audit": base64.b64encode(keys.audit).decode()}
    if keys.sealed_from is not None:
        body["sealed_from"] = keys.sealed_from
    new = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    return new


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
