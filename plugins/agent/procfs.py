"""What /proc tells of a host beyond psutil, read in a few files: mounts, networks, processes. Below any root, so that
an agent in a container can tell of its host.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import pwd
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .sample import Disk, Nic, Process

SHOWN = 50  # processes
NOT_DISKS = {"squashfs", "iso9660", "erofs", "udf"}  # packages and media: always full
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
STATES = {"R": "running", "S": "sleeping", "D": "waiting", "Z": "zombie", "T": "stopped", "t": "stopped", "I": "idle"}


def real_mounts(proc: Path, of: str) -> list[str]:
    """Where real file systems are mounted: each once, at its shortest path. `of` is the process that is asked."""
    lines = (proc / "filesystems").read_text().splitlines()
    kinds = {line.strip() for line in lines if not line.startswith("nodev")} | {"zfs"}
    found: dict[str, str] = {}
    for line in (proc / of / "mounts").read_text().splitlines():
        device, path, kind = line.split(" ")[:3]
        if kind in kinds - NOT_DISKS and len(path) < len(found.get(device, path + " ")):
            found[device] = path
    return sorted(_unescaped(path) for path in found.values())


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def disk(root: Path, path: str) -> Disk | None:
    """How full the file system at this path is. None: it is gone, empty by nature, or no folder."""
    place = f"{str(root).rstrip('/')}{path}"
    with contextlib.suppress(OSError):
        state = os.statvfs(place)
        total, used = state.f_blocks * state.f_frsize, (state.f_blocks - state.f_bfree) * state.f_frsize
        free = state.f_bavail * state.f_frsize
        if total and os.path.isdir(place):
            return Disk(path, total, used, free, round(100 * used / (used + free), 1) if used + free else 100.0)
    return None


def networks(proc: Path, of: str) -> list[Nic]:
    """Every interface but the loopback and the ends of containers' cables."""
    found = []
    for line in (proc / of / "net" / "dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        count = numbers.split()
        if (name := name.strip()) != "lo" and not name.startswith("veth"):
            found.append(Nic(name, int(count[8]), int(count[0]), int(count[9]), int(count[1])))
    return found


class Seen(NamedTuple):
    """A process, at one look. Its start tells it from another of the same number."""

    pid: int
    name: str
    state: str
    ticks: int  # of the processor, so far
    started: int  # ticks after the machine did
    rss: int  # bytes


class Processes:
    """The busiest ones, by what they used since the look before."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._before: dict[tuple[int, int], int] = {}
        self._looked = 0.0
        self._users: dict[int, str] = {}

    def look(self, uptime: float, cores: int, memory: int) -> list[Process]:
        """`uptime` in seconds, `memory` is the machine's, in bytes."""
        seen = list(self._all())
        rates = {process: self._rate(process, uptime) for process in seen}
        self._before = {(process.pid, process.started): process.ticks for process in seen}
        self._looked = uptime
        top = heapq.nlargest(SHOWN, seen, key=lambda process: (rates[process], process.rss))
        return [
            Process(
                process.pid,
                process.name,
                round(min(100 * rates[process] / cores, 100.0), 1),
                round(min(100 * process.rss / memory, 100.0), 1) if memory else None,
                STATES.get(process.state, process.state),
                self._user(process.pid),
            )
            for process in top
        ]

    def _rate(self, process: Seen, uptime: float) -> float:
        """Of one core: since the last look, of a newcomer since its start."""
        before = self._before.get((process.pid, process.started))
        since = self._looked if before is not None else process.started / TICKS
        return (process.ticks - (before or 0)) / TICKS / max(uptime - since, 0.01)

    def _all(self) -> Iterator[Seen]:
        for entry in os.scandir(self._proc):
            if entry.name.isdecimal():
                with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
                    yield _seen(int(entry.name), Path(entry.path, "stat").read_bytes())

    def _user(self, pid: int) -> str:
        try:
            uid = os.stat(self._proc / str(pid)).st_uid
        except OSError:
            return ""
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]


def _seen(pid: int, stat: bytes) -> Seen:
    """The name may hold blanks and brackets: it ends at the last one."""
    head, _, tail = stat.rpartition(b")")
    fields = tail.split()
    name = head.partition(b"(")[2].decode(errors="replace")
    ticks = int(fields[11]) + int(fields[12])
    return Seen(pid, name, fields[0].decode(), ticks, int(fields[19]), int(fields[21]) * PAGE)
