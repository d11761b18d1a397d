"""What this process and its machine use: memory, processor, disk. What cannot be read is None."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

LIMITS = tuple(map(Path, ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")))


@dataclass(frozen=True)
class Memory:
    """Of this process, and how much its container may have; None: as much as there is."""

    current_bytes: int
    limit_bytes: int | None


@dataclass(frozen=True)
class Cpu:
    """Of the machine: how many there are, and how many were busy on average over the last minute."""

    count: int
    load: float | None


@dataclass(frozen=True)
class Disk:
    """Of the file system that the data is on."""

    total_bytes: int
    used_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Usage:
    memory: Memory
    cpu: Cpu
    disk: Disk | None


def measure(data: Path) -> Usage:
    """Reads files, and asks a file system that may be slow: not for the event loop."""
    return Usage(Memory(memory(), _limit()), Cpu(os.cpu_count() or 1, _load()), _disk(data))


def memory() -> int:
    """Of this process. Reads no disk: quick enough for the event loop."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # elsewhere than on Linux the most there was has to do
    return most if sys.platform == "darwin" else most * 1024


def _limit() -> int | None:
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            said = int(path.read_text())  # the word "max" is no number
            return said if said < 2**60 else None
    return None


def _load() -> float | None:
    with contextlib.suppress(OSError):
        return round(os.getloadavg()[0], 2)
    return None


def _disk(data: Path) -> Disk | None:
    with contextlib.suppress(OSError):
        found = shutil.disk_usage(data)
        return Disk(found.total, found.used, found.free)
    return None
