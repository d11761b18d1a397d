"""That terminals were opened and ended, for the audit trail: by whom, where and when. Never what was typed or shown."""

from __future__ import annotations

import dataclasses

from roci import Event, emit


@dataclasses.dataclass(frozen=True)
class TerminalOpened(Event):
    """`container` None: a shell on the host itself. `shell` empty: whichever there is."""

    terminal_id: str
    host_id: str
    hostname: str
    container: str | None
    shell: str


@dataclasses.dataclass(frozen=True)
class TerminalEnded(Event):
    """Without an exit code its shell did not end by itself: `reason`. It had been open for `seconds`."""

    terminal_id: str
    host_id: str
    hostname: str
    container: str | None
    exit_code: int | None
    reason: str
    seconds: int


def note_opened(terminal_id: str, host_id: str, hostname: str, container: str | None, shell: str) -> None:
    emit(TerminalOpened(terminal_id, host_id, hostname, container, shell))


def note_ended(
    terminal_id: str,
    host_id: str,
    hostname: str,
    container: str | None,
    exit_code: int | None,
    reason: str,
    seconds: int,
) -> None:
    emit(TerminalEnded(terminal_id, host_id, hostname, container, exit_code, reason, seconds))
