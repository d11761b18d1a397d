"""What this host is doing, sampled for heartbeats: psutil for the machine, /proc and the kernel's cgroups for the rest.

Each sample is taken in a thread of its own, which may hang with a disk that does: then there is none, and the
heartbeat goes on. What changes slowly is looked at with every fourth sample only.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from roci import RociError

from . import procfs, sample
from .cgroups import Cgroups, Reading
from .complaints import Complaints
from .sample import ContainerUse, Disk, Memory, Sample

T = TypeVar("T")
log = logging.getLogger("roci.agent")
LIMIT = 5.0  # seconds a sample may take
SELDOM = 4  # samples from one look at processes, mounts and the clock rate to the next
SOON = 0.1  # seconds; over less than that nobody can tell how busy the machine is
ASKED = 50  # containers of which the engine is asked, where the kernel does not tell


class Listing(Protocol):
    """The engine: what it listed for this heartbeat, and what else it can be asked."""

    listed: list[dict[str, Any]]

    async def call(self, work: Callable[[Any], Any]) -> Any: ...


class Busy:
    """How busy something was since the last time, from an ever growing count of its processor time."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def share(self, name: str, used: float, at: float, cores: int) -> float | None:
        """Percent of the machine; all in seconds. None: it was not seen before."""
        before = self._before.get(name)
        self._before[name] = used, at
        if before is None or at <= before[1] or used < before[0]:
            return None
        return round(min(100 * (used - before[0]) / (at - before[1]) / cores, 100.0), 1)

    def keep(self, names: Mapping[str, Any]) -> None:
        """Forget all others."""
        self._before = {name: seen for name, seen in self._before.items() if name in names}


class HostSampler:
    """Tells of the machine whose / is at `root`, and of the containers its engine listed last."""

    def __init__(self, engine: Listing, root: str | None = None) -> None:
        self._root = Path(root or ("/host" if os.path.isdir("/host/proc") else "/"))
        self._proc = self._root / "proc"
        self._of = "self" if self._root == Path("/") else "1"  # whose mounts and networks are the host's
        self._engine = engine
        self._cgroups = Cgroups(self._root / "sys/fs/cgroup", self._proc)
        self._processes = procfs.Processes(self._proc)
        self._containers = Busy()
        self._idle: tuple[float, float] | None = None
        self._percent: float | None = None
        self._mounts: list[str] = []
        self._frequency: float | None = None
        self._asked: dict[str, Reading] = {}
        self._unknown: set[str] = set()  # containers that no cgroup was found for, though the engine was asked
        self._complaints = Complaints()
        self._count = 0
        self._taking: concurrent.futures.Future[Sample] | None = None

    async def sample(self) -> msgspec.Raw | None:
        if self._taking and not self._taking.done():
            return None  # the one before still hangs
        names = {each["id"]: each["name"] for each in self._engine.listed if each["status"] in ("running", "paused")}
        try:
            await self._find(names)
            self._taking = self._begin(names, seldom=self._count % SELDOM == 0)
            self._count += 1
            async with asyncio.timeout(LIMIT):
                return sample.write(await asyncio.shield(asyncio.wrap_future(self._taking)))
        except TimeoutError:
            log.warning("no metrics this time: something on this host does not answer, a disk perhaps")
        except Exception:
            if self._complaints.may("metrics"):
                log.exception("metrics cannot be taken")
        return None

    def _begin(self, names: Mapping[str, str], seldom: bool) -> concurrent.futures.Future[Sample]:
        taken: concurrent.futures.Future[Sample] = concurrent.futures.Future()

        def run() -> None:
            try:
                taken.set_result(self.take(names, seldom))
            except Exception as error:
                taken.set_exception(error)

        threading.Thread(target=run, name="metrics", daemon=True).start()
        return taken

    def take(self, names: Mapping[str, str], seldom: bool = True) -> Sample:
        """One sample, now. Blocks. `names` are those of the running containers, by id."""
        import psutil

        psutil.PROCFS_PATH = str(self._proc)
        cores = psutil.cpu_count() or 1
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        uptime = max(time.time() - psutil.boot_time(), 0.0)
        if seldom:
            self._look_around(psutil)
        if self._idle is None:  # the first of all has nothing to compare with
            self._busy(psutil.cpu_times())
            time.sleep(2 * SOON)
        return Sample(
            timestamp=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            cpu_percent=self._busy(psutil.cpu_times()),
            memory_percent=round(memory.percent, 1),
            disk_usage=self._disks(),
            network=procfs.networks(self._proc, self._of),
            cores=cores,
            frequency_mhz=self._frequency,
            memory=Memory(memory.total, min(memory.total - memory.available, memory.total), memory.available),
            swap=Memory(swap.total, swap.used, swap.free),
            load=[float(each) for each in (self._proc / "loadavg").read_text().split()[:3]],
            uptime=round(uptime, 1),
            processes=self._processes.look(uptime, cores, memory.total) if seldom else [],
            containers=self._uses(names, cores),
        )

    def _busy(self, times: Any) -> float | None:
        """Percent of all cores since the last sample."""
        counted = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # in user already
        idle = times.idle + getattr(times, "iowait", 0.0)
        before, cores = self._idle, os.cpu_count() or 1
        if before is None or counted - before[0] >= SOON * cores:
            self._idle = counted, idle
            if before is not None:
                share = 1 - (idle - before[1]) / (counted - before[0])
                self._percent = round(min(max(100 * share, 0.0), 100.0), 1)
        return self._percent

    def _look_around(self, psutil: Any) -> None:
        with contextlib.suppress(OSError):
            try:
                self._mounts = procfs.real_mounts(self._proc, self._of)
            except PermissionError:  # the host's first process is not ours to look at
                self._mounts = procfs.real_mounts(self._proc, "self")
        with contextlib.suppress(Exception):  # many machines have none, each in its own way
            self._frequency = round(psutil.cpu_freq().current, 1)

    def _disks(self) -> list[Disk]:
        found = [disk for path in self._mounts if (disk := procfs.disk(self._root, path))]
        root = None if found else procfs.disk(self._root, "/")
        return [root] if root else found

    # --- containers ---

    async def _find(self, names: Mapping[str, str]) -> None:
        """Find the cgroups of containers: where they usually are, else by their first process, else ask the engine."""
        missing = self._cgroups.find(names)
        self._asked = {id: reading for id, reading in self._asked.items() if id in missing}
        new = sorted(missing - self._unknown)[:ASKED]
        self._unknown &= missing
        try:
            if new:
                pids = await self._engine.call(lambda api: _each(new, functools.partial(_pid, api)))
                self._unknown |= {id for id in new if not self._cgroups.note(id, pids.get(id, 0))}
            if (unknown := sorted(self._unknown)[:ASKED]) and self._count % SELDOM == 0:
                self._asked = await self._engine.call(lambda api: _each(unknown, functools.partial(_use, api)))
        except RociError:
            pass  # an engine that is silent is told of elsewhere
        except Exception:  # whatever it answers, the machine itself can be sampled
            if self._complaints.may("containers"):
                log.exception("the engine's answer about containers makes no sense")

    def _uses(self, names: Mapping[str, str], cores: int) -> list[ContainerUse]:
        found = []
        for id, name in names.items():
            reading = self._asked.get(id) or self._cgroups.read(id)
            if reading:
                share = self._containers.share(id, reading.cpu / 1e9, time.monotonic(), cores)
                found.append(ContainerUse(id, name, share, reading.memory, reading.limit))
        self._containers.keep(names)
        return found


def _each(ids: list[str], ask: Callable[[str], T]) -> dict[str, T]:
    """What the engine says of each. What it says no to, such as a container that is gone by now, is left out."""
    import docker.errors

    found = {}
    for id in ids:
        with contextlib.suppress(docker.errors.APIError):
            found[id] = ask(id)
    return found


def _pid(api: Any, id: str) -> int:
    """Of a container's first process; 0: there is none."""
    return api.inspect_container(id)["State"].get("Pid") or 0


def _use(api: Any, id: str) -> Reading:
    """The engine's own numbers, without the second that it takes to compare two."""
    said = api.stats(id, stream=False, one_shot=True)
    memory = said.get("memory_stats", {})
    details = memory.get("stats", {})
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    cpu = said.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)
    return Reading(cpu, max(memory.get("usage", 0) - cache, 0), memory.get("limit"))
