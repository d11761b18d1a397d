"""Backups that were given out, as the audit trail remembers them."""

from __future__ import annotations

import dataclasses

from roci import Event, emit

from . import events
from .events import Recorded


@dataclasses.dataclass(frozen=True)
class BackupMade(Event):
    file: str
    size: int
    encrypted: bool


def note(file: str, size: int, encrypted: bool) -> None:
    """Somebody is given all that ROCI knows."""
    emit(BackupMade(file, size, encrypted))


def latest(limit: int = 5) -> list[Recorded]:
    """The newest first."""
    rows, _ = events.list_(limit, name=BackupMade.__name__)
    return rows
