"""Heartbeats taken in, against a bare echo and a bare sink on the same libraries, in turns."""

from __future__ import annotations

from collections.abc import Iterator

import ground
from table import Figure, at_least, median

GOALS = {100: 0.85, 1000: 0.55}
UNPACED = {"ROCI_LINKS__PACED": "false"}  # agents that flood it are to be read as fast as it can


def run(quick: bool) -> Iterator[Figure]:
    for agents in (100,) if quick else (100, 1000):
        yield from _intake(agents, rounds=3 if quick else 5, seconds=1.5 if quick else 3)


def _intake(agents: int, rounds: int, seconds: float) -> Iterator[Figure]:
    rates: dict[str, list[float]] = {"roci": [], "echo": [], "sink": []}
    costs: dict[str, list[float]] = {"roci": [], "echo": [], "sink": []}
    with ground.server(UNPACED) as server, ground.bare() as bare:
        ground.admit_all(server)
        where = {
            "echo": (bare, ground.Fleet(f"{bare.url}/echo", agents, "--echoed")),
            "sink": (bare, ground.Fleet(f"{bare.url}/sink", agents)),
            "roci": (server, ground.Fleet(server.url, agents)),
        }
        try:
            joined = {name: agents_there.order("connect") for name, (_, agents_there) in where.items()}
            for _ in range(rounds):
                for name, (process, agents_there) in where.items():
                    before = ground.cpu(process)
                    flood = agents_there.order("flood", seconds=seconds)
                    rates[name].append(flood["heartbeats"] / flood["seconds"])
                    costs[name].append((ground.cpu(process) - before) / flood["heartbeats"])
        finally:
            for _, agents_there in where.values():
                agents_there.end()
    rate, cost = ({name: median(values) for name, values in each.items()} for each in (rates, costs))
    for name, goal in (("echo", GOALS[agents]), ("sink", None)):  # a sink sends nothing back: stricter than the goal
        yield Figure(
            f"heartbeats taken in, {agents:,} agents, against a bare {name}",
            f"{rate['roci']:,.0f}/s",
            f"{rate[name]:,.0f}/s",
            **at_least(rate["roci"], rate[name], goal),
        )
    yield Figure(
        f"processor time of a heartbeat, {agents:,} agents, against the echo",
        f"{cost['roci'] * 1e6:.0f} us",
        f"{cost['echo'] * 1e6:.0f} us",
        **at_least(cost["echo"], cost["roci"]),
    )
    yield Figure(
        f"{agents:,} agents enrolled and connected, against bare connections",
        f"{agents / joined['roci']['seconds']:,.0f}/s",
        f"{agents / joined['sink']['seconds']:,.0f}/s",
        **at_least(joined["sink"]["seconds"], joined["roci"]["seconds"]),
    )
