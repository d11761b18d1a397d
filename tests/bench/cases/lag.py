"""How late the event loop is while 500 agents beat with metrics and people use the API."""

from __future__ import annotations

import time
from collections.abc import Iterator

import ground
import people
from table import Figure, at_most, median, ms, percentile

AGENTS = 500
INTERVAL = 15.0
TALKATIVE = ("--capability", "ack", "--capability", "logs", "--metrics")


def run(quick: bool) -> Iterator[Figure]:
    with ground.server() as server:
        ground.admit_all(server)
        with ground.fleet(server.url, AGENTS, *TALKATIVE) as fleet:
            fleet.order("beat", interval=INTERVAL)
            client = ground.client(server)
            client.get("/bench/lateness")  # from now on it looks
            before, began = ground.cpu(server), time.monotonic()
            with people.at_work(server):
                time.sleep(8 if quick else 60)
            busy = (ground.cpu(server) - before) / (time.monotonic() - began)
            lateness = client.get("/bench/lateness")[1]
            connected = fleet.order("rest")["connected"]
    late, own = lateness["samples"], lateness["own"]
    what = f"event-loop lag with {AGENTS} agents and their metrics, lists, deploys, a followed log, sign-ins"
    yield Figure(f"{what}: median", ms(median(late)))
    yield Figure(f"{what}: p99", ms(percentile(late, 99)), **at_most(percentile(late, 99) * 1000, 5, "ms"))
    yield Figure(f"{what}: worst", ms(max(late)), **at_most(max(late) * 1000, 50, "ms"))
    yield Figure("of that, while this server itself worked: p99", ms(percentile(own, 99)))
    yield Figure("of that, while this server itself worked: worst", ms(max(own)))
    yield Figure(f"of the {AGENTS}, connected at the end", f"{connected}", goal=f"{AGENTS}", met=connected == AGENTS)
    yield Figure("processor of the server meanwhile, share of a core", f"{busy:.0%}")
