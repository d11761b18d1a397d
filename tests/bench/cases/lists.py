"""`GET /api/v1/agents` against a hello route behind the same sign-in, in turns, while the agents beat."""

from __future__ import annotations

from collections.abc import Iterator

import ground
from table import Figure, at_least, median, ms, percentile, times

INTERVAL = 15.0  # seconds between an agent's heartbeats


def run(quick: bool) -> Iterator[Figure]:
    for agents in (100,) if quick else (100, 1000):
        yield from _lists(agents, rounds=3 if quick else 5, seconds=1 if quick else 3)


def _lists(agents: int, rounds: int, seconds: float) -> Iterator[Figure]:
    taken: dict[str, list[float]] = {"/bench/hello": [], "/api/v1/agents": []}
    rates: dict[str, list[float]] = {"/bench/hello": [], "/api/v1/agents": []}
    with ground.server() as server:
        ground.admit_all(server)
        headers = {"Authorization": f"Bearer {ground.token(server)}"}
        with ground.fleet(server.url, agents) as fleet:
            fleet.order("beat", interval=INTERVAL)
            for _ in range(rounds):
                for path in taken:
                    answers = ground.ask_for(server.url, path, headers, seconds)
                    rates[path].append(len(answers) / seconds)
                    taken[path] += answers
    hello, listed = (median(rates[path]) for path in ("/bench/hello", "/api/v1/agents"))
    yield Figure(
        f"GET /api/v1/agents, {agents:,} hosts beating, against a hello behind the same sign-in",
        f"{listed:,.0f}/s",
        f"{hello:,.0f}/s",
        **at_least(listed, hello, 0.6 if agents == 100 else None),
    )
    slow, slow_hello = (percentile(taken[path], 99) for path in ("/api/v1/agents", "/bench/hello"))
    yield Figure(
        f"the same, p99 of 8 connections, {agents:,} hosts",
        ms(slow),
        ms(slow_hello),
        **times(slow, slow_hello, 5),
    )
