"""How late the event loop is while 500 agents beat at their interval and people use the API."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator

import ground
from table import Figure, at_most, median, ms, percentile

from tests.e2e.bed import PASSWORD

AGENTS = 500
INTERVAL = 15.0
COMPOSE = "services:\n  web:\n    image: roci-test/busybox:1\n"


def run(quick: bool) -> Iterator[Figure]:
    with ground.server() as server:
        ground.admit_all(server)
        with ground.fleet(server.url, AGENTS, "--capability", "ack") as fleet:
            fleet.order("beat", interval=INTERVAL)
            client = ground.client(server)
            client.get("/bench/lateness")  # from now on it looks
            before, began = ground.cpu(server), time.monotonic()
            _use(server, 8 if quick else 30)
            busy = (ground.cpu(server) - before) / (time.monotonic() - began)
            late = client.get("/bench/lateness")[1]["samples"]
            connected = fleet.order("rest")["connected"]
    what = f"event-loop lag with {AGENTS} agents, lists, deploys and sign-ins"
    yield Figure(f"{what}: median", ms(median(late)))
    yield Figure(f"{what}: p99", ms(percentile(late, 99)), **at_most(percentile(late, 99) * 1000, 5, "ms"))
    yield Figure(f"{what}: worst", ms(max(late)), **at_most(max(late) * 1000, 50, "ms"))
    yield Figure("of the 500, still connected at the end", f"{connected}", goal=f"{AGENTS}", met=connected == AGENTS)
    yield Figure("processor of the server meanwhile, share of a core", f"{busy:.0%}")


def _use(server: ground.Server, seconds: float) -> None:
    """Three people: one reads lists ten times a second, one deploys twice, one signs in once."""
    over = threading.Event()
    reader, deployer, newcomer = (ground.client(server) for _ in range(3))
    _, body = deployer.get("/api/v1/agents")
    new = {"name": "bench", "compose_yaml": COMPOSE, "agent_id": body["agents"][0]["id"]}
    status, application = deployer.post("/api/v1/applications", new)
    assert status == 201, application

    def read() -> None:
        for path in ("/api/v1/agents", "/api/v1/applications", "/api/v1/operations", "/api/v1/health"):
            _succeed(reader.get(path))

    def deploy() -> None:
        operation = _succeed(deployer.post(f"/api/v1/applications/{application['id']}/deploy", {}))
        ground.ended(deployer, operation["operation_id"])

    def sign_in() -> None:
        _succeed(newcomer.post("/login", {"username": "admin", "password": PASSWORD}))

    with concurrent.futures.ThreadPoolExecutor(3) as people:
        uses = ((read, 0.1), (deploy, 0.5), (sign_in, 1.0))
        using = [people.submit(_repeat, work, every, over) for work, every in uses]
        concurrent.futures.wait(using, seconds, concurrent.futures.FIRST_EXCEPTION)
        over.set()
        for use in using:
            use.result()


def _repeat(work: Callable[[], None], every: float, over: threading.Event) -> None:
    while not over.wait(every):
        work()


def _succeed(answer: tuple[int, dict[str, str]]) -> dict[str, str]:
    assert answer[0] < 300, answer
    return answer[1]
