"""Memory: of an idle server and an idle agent, and what each connected agent adds. Resident, says the kernel."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import ground
from table import Figure, at_most

from tests.e2e.bed import Agent, wait_for


def run(quick: bool) -> Iterator[Figure]:
    yield from _idle(10 if quick else 40)
    yield from _each(300 if quick else 1000)


def _idle(seconds: float) -> Iterator[Figure]:
    with ground.server(local_agent=True) as server, agent_of(server) as agent:
        time.sleep(5)  # what the start leaves behind is over
        before, began = ground.cpu(agent), time.monotonic()
        server_before = ground.cpu(server)
        time.sleep(seconds)
        took = time.monotonic() - began
        share, server_share = (ground.cpu(agent) - before) / took, (ground.cpu(server) - server_before) / took
        size, agent_size = ground.rss(server) / 2**20, ground.rss(agent) / 2**20
        yield Figure("idle server, with its own machine as a host", f"{size:.1f} MiB", **at_most(size, 80, "MiB"))
        yield Figure("idle server, share of a core", f"{server_share:.2%}")
        yield Figure("roci agent, connected", f"{agent_size:.1f} MiB", **at_most(agent_size, 32, "MiB"))
        yield Figure(
            f"roci agent, share of a core in {seconds:g} s", f"{share:.2%}", goal="<= 0.10%", met=share <= 0.001
        )


@contextlib.contextmanager
def agent_of(server: ground.Server, environment: Mapping[str, str] | None = None) -> Iterator[Agent]:
    ground.admit_all(server)
    client = ground.client(server)
    with tempfile.TemporaryDirectory(prefix="roci-bench-") as folder:
        agent = Agent(Path(folder), server.url, "bench", environment=environment)
        try:
            agent.start()
            wait_for(lambda: "bench" in _connected(client), 20, "the agent")
            yield agent
        finally:
            agent.end()


def _connected(client: ground.Client) -> list[str]:
    _, body = client.get("/api/v1/agents")
    return [host["hostname"] for host in body["agents"] if host["connected"]]


def _each(count: int) -> Iterator[Figure]:
    with ground.server() as server, ground.bare() as bare:
        ground.admit_all(server)
        each, bare_each = _added(server, server.url, count), _added(bare, f"{bare.url}/sink", count)
    yield Figure(
        f"memory of each of {count:,} connected agents, against a bare connection that takes the same heartbeats",
        f"{each:.1f} KiB",
        f"{bare_each:.1f} KiB",
        f"{each / bare_each:.2f} x",
        **at_most(each, 48, "KiB"),
    )


def _added(process: ground.Process, url: str, count: int) -> float:
    """KiB that each of so many agents adds to a process, after some heartbeats."""
    with ground.fleet(url, 20) as few:  # what the first agents of all load is not theirs
        few.order("flood", seconds=1)
        few.order("leave")
    before = ground.rss(process)
    with ground.fleet(url, count) as fleet:
        fleet.order("beat", interval=2)
        time.sleep(6)
        fleet.order("rest")
        return (ground.rss(process) - before) / count / 1024
