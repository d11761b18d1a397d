"""Metrics: what a sample costs the host, what taking it in costs the server, how quickly history is told."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ground
from cases.memory import agent_of
from table import Figure, at_least, at_most, median, mib, ms, percentile

import roci  # noqa: F401 - first: it mounts the plugins of a checkout
from roci_plugins.agent.metrics import HostSampler
from roci_plugins.agent.sample import ContainerUse, Disk, Memory, Nic, Sample
from roci_plugins.work.series import Row, Series

DAY = 86_400_000
CONTAINERS = 100


def run(quick: bool) -> Iterator[Figure]:
    yield from _sweep(10 if quick else 50)
    yield from _agent(30 if quick else 120)
    yield from _intake(1.5 if quick else 3, 3 if quick else 5)
    yield from _history(2 if quick else 10)


# --- on the host ---


class _Listing:
    """An engine that lists containers and is asked nothing."""

    def __init__(self, ids: list[str]) -> None:
        self.listed = [{"id": id, "name": f"web-{id}", "status": "running"} for id in ids]


def _sweep(rounds: int) -> Iterator[Figure]:
    """The kernel's files, on a disk in memory: a hundred containers beside this machine's own figures."""
    with tempfile.TemporaryDirectory(prefix="roci-bench-", dir="/dev/shm") as folder:
        ids = [f"{number:012x}" for number in range(CONTAINERS)]
        for id in ids:
            _cgroup(Path(folder) / "sys/fs/cgroup", id)
        (Path(folder) / "proc").symlink_to("/proc")
        sampler = HostSampler(_Listing(ids), folder)
        names = {each["id"]: each["name"] for each in sampler._engine.listed}
        assert sampler._cgroups.find(names) == set()
        sampler.take(names)
        whole, swept = [], []
        for number in range(rounds):
            whole.append(_timed(lambda seldom=number % 4 == 0: sampler.take(names, seldom=seldom)))  # type: ignore[misc]
            swept.append(_timed(lambda: sampler._uses(names, 4)))
        assert len(sampler._uses(names, 4)) == CONTAINERS
    yield Figure(
        f"metrics of {CONTAINERS} containers swept: median of {rounds}",
        ms(median(swept)),
        **at_most(median(swept) * 1000, 50, "ms"),
    )
    yield Figure("the same, worst", ms(max(swept)))
    yield Figure("a whole sample with them, every fourth time with the processes: median", ms(median(whole)))


def _cgroup(root: Path, id: str) -> None:
    folder = root / "system.slice" / f"docker-{id}{'c' * 52}.scope"
    folder.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu memory\n")
    (folder / "cpu.stat").write_text(f"usage_usec {random.randrange(10**9)}\nuser_usec 1\nsystem_usec 1\n")
    (folder / "memory.current").write_text("123456789\n")
    (folder / "memory.max").write_text("max\n")
    lines = "".join(f"field_{number} 123456\n" for number in range(40))  # as many as the kernel has
    (folder / "memory.stat").write_text(f"anon 1\n{lines}inactive_file 12345\n")


def _agent(seconds: float) -> Iterator[Figure]:
    """`roci agent` with this machine's engine, with its samples and without."""
    figures = {}
    for told in (True, False):
        environment = {"ROCI_AGENT__METRICS": str(told).lower()}
        with ground.server() as server, agent_of(server, environment) as agent:
            time.sleep(5)  # what the start leaves behind is over
            size, before, began = ground.rss(agent), ground.cpu(agent), time.monotonic()
            time.sleep(seconds)
            figures[told] = (ground.cpu(agent) - before) / (time.monotonic() - began), size, ground.rss(agent) - size
    (share, size, growth), (without, size_without, _) = figures[True], figures[False]
    yield Figure(
        "roci agent with metrics at 15 s, share of a core",
        f"{share:.2%}",
        f"{without:.2%}",
        goal="<= 1.00%",
        met=share <= 0.01,
    )
    yield Figure("roci agent with metrics, resident", mib(size), mib(size_without), **at_most(size / 2**20, 32, "MiB"))
    yield Figure(f"the same, growth in {seconds:g} s", mib(growth))


# --- on the server ---


def _intake(seconds: float, rounds: int) -> Iterator[Figure]:
    """Heartbeats with samples as fast as they are taken, against those without, in turns."""
    rates: dict[str, list[float]] = {"with": [], "without": []}
    with ground.server() as server, contextlib.ExitStack() as stack:
        ground.admit_all(server)
        fleets = {
            "without": stack.enter_context(ground.fleet(server.url, 50)),
            "with": stack.enter_context(ground.fleet(server.url, 100, "--first", "1000", "--metrics")),
        }
        for _ in range(rounds):
            for name, fleet in fleets.items():
                flood = fleet.order("flood", seconds=seconds)
                rates[name].append(flood["heartbeats"] / flood["seconds"])
        time.sleep(2)
        size = sum(path.stat().st_size for path in server.data_dir.glob("metrics.db*"))
    yield Figure(
        "heartbeats of 4 KB, with metrics, taken in, 100 agents, against those of 1.4 KB without",
        f"{median(rates['with']):,.0f}/s",
        f"{median(rates['without']):,.0f}/s",
        **at_least(median(rates["with"]), median(rates["without"])),
    )
    yield Figure("metrics.db after that", mib(size))


def _history(days: int) -> Iterator[Figure]:
    """One host with ten containers, a sample every 15 seconds, asked for as the charts of a page ask."""
    now = int(time.time() * 1000)
    with tempfile.TemporaryDirectory(prefix="roci-bench-") as folder:
        series = Series(Path(folder) / "metrics.db", (DAY, 7 * DAY, 30 * DAY))
        began = time.perf_counter()
        for day in range(days, 0, -1):
            start = now - day * DAY
            series.add(Row("h", at, _sample(at)) for at in range(start, start + DAY, 15_000))
        rate = days * DAY / 15_000 / (time.perf_counter() - began)
        began = time.perf_counter()
        series.roll_up("h", now)
        rolled = time.perf_counter() - began
        series.purge("h", now)
        series.give_back()
        yield Figure("samples of ten containers written, on the writing thread", f"{rate:,.0f}/s")
        yield Figure(f"{days} days of one host averaged", ms(rolled), f"{ms(rolled / days / 24)} an hour")
        for name, span in (("hour", DAY // 24), ("day", DAY), ("week", 7 * DAY), ("month", 30 * DAY)):
            taken = [_timed(lambda span=span: series.points("h", now - span, now, 500, None, now)) for _ in range(10)]
            yield Figure(f"history of the last {name}, 500 points: p95", ms(percentile(taken, 95)))
        taken = [_timed(lambda: series.uses("h", "web-3", now - DAY, now, 500, None, now)) for _ in range(10)]
        yield Figure("a container's last day, 500 points: p95", ms(percentile(taken, 95)))
        yield Figure("metrics.db of that host", mib(series.path.stat().st_size))
        series.close()


def _sample(at: int) -> Sample:
    return Sample(
        cpu_percent=float(at % 97),
        memory_percent=41.5,
        memory=Memory(2**34, 2**33, 2**33),
        swap=Memory(2**31, 0, 2**31),
        load=[0.5, 0.25, 0.125],
        uptime=at / 1000,
        cores=4,
        disk_usage=[Disk(path, 2**40, 2**39, 2**39, 50.0) for path in ("/", "/srv")],
        network=[Nic("eth0", at, at, at // 1000, at // 1000)],
        containers=[ContainerUse(f"{number:012x}", f"web-{number}", 1.5, 10**8) for number in range(10)],
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
