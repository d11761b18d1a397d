"""What an agent must not forget: who it is, which commands it took up, and results that the server has not stored yet.

One small file each, written whole and renamed into place, so that kill -9 leaves the old or the new one. Only the
identity must outlive a power failure too; it alone is waited for until it is on the disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
from pathlib import Path

import msgspec

from . import wire

log = logging.getLogger("roci.agent")
RESTARTED = "the agent was restarted while this ran; what it had started was ended"


class Identity(msgspec.Struct):
    """The record at the server that this agent is, and the token that proves it."""

    agent_id: str | None = None
    agent_token: str | None = None


class Entry(msgspec.Struct):
    """A command taken up. `groups` are its process groups, each with the start time of its leader."""

    command_id: str
    kind: str
    app: str
    groups: dict[int, int] = {}
    result: wire.Result | None = None


class Journal:
    """The agent's memory, in a folder of its own. Raises OSError when it cannot write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "commands"
        self._identity = folder / "identity.json"
        self._entries: dict[str, Entry] = {}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in self._folder.glob("*.tmp"):
            leftover.unlink()

    def identity(self) -> Identity:
        try:
            return msgspec.json.decode(self._identity.read_bytes(), type=Identity)
        except FileNotFoundError:
            return Identity()
        except (msgspec.DecodeError, UnicodeError) as error:
            log.error("%s cannot be read (%s): this host registers as a new one", self._identity, error)
            return Identity()

    def remember(self, identity: Identity) -> None:
        _write(self._identity, msgspec.json.encode(identity), durable=True)

    def recover(self) -> None:
        """After a start: end what a former life left running, and turn each such command into a result."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            except (msgspec.DecodeError, UnicodeError) as error:
                log.error("%s cannot be read (%s): dropped", path, error)
                path.unlink()
                continue
            self._entries[entry.command_id] = entry
            if entry.result is None:
                for group, started in entry.groups.items():
                    _end_group(group, started)
                data = {"interrupted": True, "reason": RESTARTED}
                self.finish(wire.Result(command_id=entry.command_id, success=False, output=RESTARTED, data=data))

    def begin(self, command_id: str, kind: str, app: str) -> None:
        entry = Entry(command_id, kind, app)
        self._save(entry)
        self._entries[command_id] = entry

    def knows(self, command_id: str) -> bool:
        return command_id in self._entries

    def note_group(self, command_id: str, group: int) -> None:
        """A process group was started for a command. It is not ended for want of room on the disk."""
        if entry := self._entries.get(command_id):
            entry.groups[group] = _started(group) or 0
            try:
                self._save(entry)
            except OSError as error:
                log.error("process group %d cannot be noted down: %s", group, error)

    def drop_group(self, command_id: str, group: int) -> None:
        if entry := self._entries.get(command_id):
            entry.groups.pop(group, None)

    def finish(self, result: wire.Result, for_disk: wire.Result | None = None) -> None:
        """A command has ended; its result is kept until the server has it. `for_disk`: what of it a restart leaves."""
        command_id = result.command_id or ""
        entry = self._entries.setdefault(command_id, Entry(command_id, "", ""))
        entry.result, entry.groups = result, {}
        self._save(msgspec.structs.replace(entry, result=for_disk or result))

    def delivered(self, command_id: str) -> None:
        self._entries.pop(command_id, None)
        self._path(command_id).unlink(missing_ok=True)

    def undelivered(self) -> list[wire.Result]:
        return [entry.result for entry in self._entries.values() if entry.result]

    def running(self) -> list[str]:
        return [entry.command_id for entry in self._entries.values() if entry.result is None]

    def _path(self, command_id: str) -> Path:
        return self._folder / f"{command_id}.json"

    def _save(self, entry: Entry) -> None:
        _write(self._path(entry.command_id), msgspec.json.encode(entry))


def _write(path: Path, content: bytes, durable: bool = False) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _started(pid: int) -> int | None:
    """When a process was started, in the kernel's ticks: with the pid it names one process for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _end_group(group: int, started: int) -> None:
    """Kill a process group that outlived its agent; not one that got its number since."""
    if _started(group) == started:
        log.warning("ending process group %d, which a former agent left running", group)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
