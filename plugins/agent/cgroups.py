"""What containers use, from the kernel's own files: a hundred of them in a few milliseconds, where the engine takes
seconds. Both versions of cgroups, both ways in which engines name them. Below any root.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

PARENTS = ("docker", "system.slice", "machine.slice")  # where engines put containers, unless told otherwise
FOLDER = re.compile(r"(?:docker-|libpod-)?([0-9a-f]{12})[0-9a-f]{52}(?:\.scope)?")
NO_LIMIT = 2**60  # what version 1 says where there is none, or more


class Reading(NamedTuple):
    """What one container has used."""

    cpu: int  # nanoseconds of processor time so far
    memory: int  # bytes, without the file caches that are given back at once
    limit: int | None


class Cgroups:
    """Found once for each container, and read from then on."""

    def __init__(self, root: Path, proc: Path) -> None:
        self._proc = proc
        self._v2 = (root / "cgroup.controllers").exists()
        names = [""] if self._v2 else ["cpuacct", "cpu,cpuacct"]
        self._cpu = next((root / name for name in names if (root / name).is_dir()), root)
        self._memory = root if self._v2 else root / "memory"
        self._paths: dict[str, str] = {}  # by container

    def find(self, ids: Collection[str]) -> set[str]:
        """Look for containers' folders where they usually are; those that are not found."""
        self._paths = {id: path for id, path in self._paths.items() if id in ids}
        if self._paths.keys() < set(ids):
            for parent in PARENTS:
                with contextlib.suppress(OSError), os.scandir(self._memory / parent) as entries:
                    found = ((FOLDER.fullmatch(entry.name), entry.name) for entry in entries)
                    self._paths |= {match[1]: f"{parent}/{name}" for match, name in found if match and match[1] in ids}
        return set(ids) - self._paths.keys()

    def note(self, id: str, pid: int) -> bool:
        """Find a container by its first process; whether that worked."""
        with contextlib.suppress(OSError):
            for line in (self._proc / str(pid) / "cgroup").read_text().splitlines():
                _, controllers, path = line.split(":", 2)
                wanted = "" if self._v2 else "memory"
                if wanted in controllers.split(",") and ".." not in path and path != "/":
                    self._paths[id] = path.strip("/")
                    return self.read(id) is not None
        return False

    def read(self, id: str) -> Reading | None:
        """None: it is gone, or cannot be read."""
        if id not in self._paths:
            return None
        path = self._paths[id]
        try:
            return self._second(path) if self._v2 else self._first(path)
        except (OSError, ValueError):
            del self._paths[id]
            return None

    def _first(self, path: str) -> Reading:
        memory = f"{self._memory}/{path}"
        limit = int(_text(f"{memory}/memory.limit_in_bytes"))
        used = int(_text(f"{memory}/memory.usage_in_bytes"))
        cache = _field(f"{memory}/memory.stat", "total_inactive_file")
        cpu = int(_text(f"{self._cpu}/{path}/cpuacct.usage"))
        return Reading(cpu, max(used - cache, 0), limit if limit < NO_LIMIT else None)

    def _second(self, path: str) -> Reading:
        folder = f"{self._memory}/{path}"
        limit = _text(f"{folder}/memory.max").strip()
        used = int(_text(f"{folder}/memory.current"))
        cache = _field(f"{folder}/memory.stat", "inactive_file")
        cpu = _field(f"{folder}/cpu.stat", "usage_usec") * 1000
        return Reading(cpu, max(used - cache, 0), None if limit == "max" else int(limit))


def _text(path: str) -> str:
    """os.open and no more: there are hundreds of these every few seconds."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 16_384).decode()
    finally:
        os.close(handle)


def _field(path: str, name: str) -> int:
    """One number of a file of `name number` lines; 0 where it is not there."""
    text = "\n" + _text(path)
    start = text.find(f"\n{name} ")
    return int(text[start + len(name) + 2 :].split("\n", 1)[0]) if start >= 0 else 0
