"""Many agents with metrics on one server for a long time, and people at work: what stays flat? A command:

    python tests/bench/load.py --agents 500 --minutes 30

It starts a server of its own; every half minute it prints a line of figures, at the end what grew since the first five.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(1, str(Path(__file__).parents[2]))  # for tests.e2e.bed

import ground
import people
from cases.lag import TALKATIVE
from table import mib, ms, percentile

EVERY = 30.0  # seconds between two lines
SETTLED = 300.0  # seconds after which nothing should grow


class Line(NamedTuple):
    """What was seen at one moment."""

    at: float
    resident: int
    samples: float  # taken in a second, since the line before
    busy: float  # share of a core
    late: list[float]
    own: list[float]  # of that, what the server itself worked meanwhile
    asked: list[float]  # how long each question for an hour of history took
    health: list[float]  # how long each look at the health took
    size: int  # of metrics.db


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--interval", type=float, default=15, help="seconds between an agent's heartbeats")
    parser.add_argument("--alone", action="store_true", help="nobody uses the server meanwhile")
    options = parser.parse_args()
    with ground.server() as server:
        ground.admit_all(server)
        with ground.fleet(server.url, options.agents, *TALKATIVE) as fleet:
            fleet.order("beat", interval=options.interval)
            working = contextlib.nullcontext([]) if options.alone else people.at_work(server)
            with working as asked:
                lines = list(_watch(server, fleet, asked, options.minutes * 60))
            connected = fleet.order("rest")["connected"]
    _conclude(lines, connected, options.agents)


def _watch(server: ground.Server, fleet: ground.Fleet, asked: list[float], seconds: float) -> Iterator[Line]:
    client = ground.client(server)
    client.get("/bench/lateness")  # from now on it looks
    print("   minute  resident   samples   core   lag p50 / p99 / worst, of that own work", end="")
    print("   health p99   history p95   metrics.db")
    began = last = time.monotonic()
    sent, used = fleet.order("count")["sent"], ground.cpu(server)
    while last - began < seconds:
        health = []
        while time.monotonic() - last < min(EVERY, seconds):
            health.append(ground.timed(client, "/api/v1/health/lite"))
            time.sleep(0.25)
        before, last = last, time.monotonic()
        sent_before, sent = sent, fleet.order("count")["sent"]
        used_before, used = used, ground.cpu(server)
        took = last - before
        lateness = client.get("/bench/lateness")[1]
        size = sum(path.stat().st_size for path in server.data_dir.glob("metrics.db*"))
        history, asked[:] = asked[:], []
        rate, busy = (sent - sent_before) / took, (used - used_before) / took
        late = lateness["samples"], lateness["own"]
        line = Line(last - began, ground.rss(server), rate, busy, *late, history, health, size)
        _show(line)
        yield line


def _show(line: Line) -> None:
    lag = " / ".join(ms(each) for each in (percentile(line.late, 50), percentile(line.late, 99), max(line.late)))
    lag += f", {ms(max(line.own))}"
    history = ms(percentile(line.asked, 95)) if line.asked else "-"
    print(
        f"{line.at / 60:9.1f} {mib(line.resident):>10} {line.samples:7.1f}/s {line.busy:6.0%}   {lag:<40}"
        f"{ms(percentile(line.health, 99)):>10} {history:>13} {mib(line.size):>12}",
        flush=True,
    )


def _conclude(lines: list[Line], connected: int, agents: int) -> None:
    for what, late in (
        ("lag over all", [each for line in lines for each in line.late]),
        ("of that, while the server itself worked", [each for line in lines for each in line.own]),
    ):
        print(f"{what}: p50 {ms(percentile(late, 50))}, p99 {ms(percentile(late, 99))}, worst {ms(max(late))}")
    print(f"connected at the end: {connected} of {agents}")
    settled = [line.resident for line in lines if line.at >= SETTLED]
    if len(settled) > 1:
        third = max(len(settled) // 3, 1)
        early, end = percentile(settled[:third], 50), percentile(settled[-third:], 50)
        print(f"resident after the first five minutes: {mib(early)}, at the end {mib(end)}: {end / early - 1:+.1%}")


if __name__ == "__main__":
    main()
