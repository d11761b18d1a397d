"""The keys that sign tokens, one current and at most one previous for each dialect, sealed like every secret."""

from __future__ import annotations

import base64
import dataclasses
import json
import secrets as random
from collections.abc import Mapping

from roci import Sensitive

from . import secrets
from .keyring import Keyring

DIALECTS = ("raworc", "rootcx", "chatops")
SCOPE = "system"


@dataclasses.dataclass(frozen=True)
class Key:
    id: str
    secret: bytes = dataclasses.field(repr=False)


Keys = Mapping[str, tuple[Key, ...]]  # by dialect, the current one first


def load(ring: Keyring) -> Keys:
    """Those of every dialect; empty where none were made."""
    return {dialect: _read(ring, dialect) for dialect in DIALECTS}


def prepare(ring: Keyring) -> Keys:
    """Make what is missing."""
    for dialect in DIALECTS:
        if not _read(ring, dialect):
            _keep(ring, dialect, (_new(),))
    return load(ring)


def rotate(ring: Keyring, forget_old: bool = False) -> None:
    """Sign with new keys. What the last ones signed stays good until it expires, or ends now with `forget_old`."""
    for dialect in DIALECTS:
        previous = () if forget_old else _read(ring, dialect)[:1]
        _keep(ring, dialect, (_new(), *previous))


def _new() -> Key:
    return Key(random.token_hex(6), random.token_bytes(32))


def _read(ring: Keyring, dialect: str) -> tuple[Key, ...]:
    text = secrets.value(ring, SCOPE, f"jwt.{dialect}")
    kept = json.loads(text) if text is not None else []
    return tuple(Key(each["id"], base64.b64decode(each["secret"])) for each in kept)


def _keep(ring: Keyring, dialect: str, keys: tuple[Key, ...]) -> None:
    kept = [{"id": key.id, "secret": base64.b64encode(key.secret).decode()} for key in keys]
    secrets.put(ring, SCOPE, f"jwt.{dialect}", Sensitive(json.dumps(kept)), "signs the tokens of this dialect")
