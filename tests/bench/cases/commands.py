"""A command to a simulated agent and back: from the request to the stored result, on the one clock of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import ground
from table import Figure, at_most, median, ms, percentile

COMPOSE = "services:\n  web:\n    image: roci-test/busybox:1\n"
AGENTS = 100  # the others, which beat


def run(quick: bool) -> Iterator[Figure]:
    count = 100 if quick else 400
    with ground.server() as server:
        ground.admit_all(server)
        headers = {"Authorization": f"Bearer {ground.token(server)}"}
        hello = ground.ask_for(server.url, "/bench/hello", headers, 1, connections=1)
        with ground.fleet(server.url, AGENTS, "--capability", "ack") as fleet:
            fleet.order("beat", interval=15)
            sent, asked = _deploys(ground.client(server), count)
            seen = fleet.order("commands")
    arrived = [seen[id]["came"] - sent[id] for id in sent]
    stored = [seen[id]["acknowledged"] - sent[id] for id in sent]
    back = [seen[id]["acknowledged"] - seen[id]["came"] for id in sent]
    whole = f"with {AGENTS} agents beating"
    yield Figure(
        f"a deploy's frame to an agent and its result stored, from the request on, {whole}",
        ms(median(stored)),
        ms(median(hello)),
        f"{median(stored) / median(hello):.1f} x",
        **at_most(median(stored) * 1000, 3, "ms"),
    )
    yield Figure("the same, p95", ms(percentile(stored, 95)), **at_most(percentile(stored, 95) * 1000, 10, "ms"))
    yield Figure("of that, until the agent had the frame (one commit)", ms(median(arrived)))
    yield Figure("of that, from the frame to the acknowledged result (one commit)", ms(median(back)))
    yield Figure("the request of a deploy, until its 202", ms(median(asked)))


def _deploys(client: ground.Client, count: int) -> tuple[dict[str, float], list[float]]:
    """When each was asked for, by the command's id; and how long each request took."""
    _, body = client.get("/api/v1/agents")
    host = body["agents"][0]["id"]
    status, body = client.post("/api/v1/applications", {"name": "bench", "compose_yaml": COMPOSE, "agent_id": host})
    assert status == 201, body
    sent, asked = {}, []
    for _ in range(count):
        moment, began = time.time(), time.perf_counter()
        status, answer = client.post(f"/api/v1/applications/{body['id']}/deploy", {})
        asked.append(time.perf_counter() - began)
        assert status == 202, answer
        sent[answer["operation_id"]] = moment
        ground.ended(client, answer["operation_id"])
    return sent, asked
