"""People at work on a server, several at a time: lists are read, applications deployed, a log is followed, passwords
are checked."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator

import ground

from tests.e2e.bed import PASSWORD

COMPOSE = "services:\n  web:\n    image: roci-test/busybox:1\n"


@contextlib.contextmanager
def at_work(server: ground.Server) -> Iterator[list[float]]:
    """Somebody reads lists ten times a second and a host's history twice, one deploys twice a second, one signs in
    once, one follows a log. Yields how long the questions for the history of an hour took; a failure of one ends all.
    """
    over = threading.Event()
    asked: list[float] = []
    client = ground.client(server)
    hosts = client.get("/api/v1/agents")[1]["agents"]
    new = {"name": "bench", "compose_yaml": COMPOSE, "agent_id": hosts[0]["id"]}
    status, application = client.post("/api/v1/applications", new)
    assert status == 201, application
    uses: list[tuple[Callable[[], None], float]] = [
        (_reader(server), 0.1),
        (_historian(server, hosts[0]["id"], asked), 0.5),
        (_deployer(server, application["id"]), 0.5),
        (_newcomer(server), 1.0),
    ]
    with concurrent.futures.ThreadPoolExecutor(len(uses) + 1) as people:
        using = [people.submit(_repeat, work, every, over) for work, every in uses]
        using.append(people.submit(_follow, server, hosts[-1]["id"], over))
        try:
            yield asked
        finally:
            over.set()
        for use in using:
            use.result()


def _reader(server: ground.Server) -> Callable[[], None]:
    client = ground.client(server)

    def read() -> None:
        for path in ("/api/v1/agents", "/api/v1/applications", "/api/v1/operations", "/api/v1/health"):
            _succeed(client.get(path))

    return read


def _historian(server: ground.Server, host: str, asked: list[float]) -> Callable[[], None]:
    client = ground.client(server)

    def look() -> None:
        asked.append(ground.timed(client, f"/api/v1/agents/{host}/metrics/history"))

    return look


def _deployer(server: ground.Server, application: str) -> Callable[[], None]:
    client = ground.client(server)

    def deploy() -> None:
        operation = _succeed(client.post(f"/api/v1/applications/{application}/deploy", {}))
        ground.ended(client, operation["operation_id"])

    return deploy


def _newcomer(server: ground.Server) -> Callable[[], None]:
    client = ground.client(server)

    def sign_in() -> None:
        _succeed(client.post("/login", {"username": "admin", "password": PASSWORD}))

    return sign_in


def _follow(server: ground.Server, host: str, over: threading.Event) -> None:
    """Read what a container prints until all is over; lines must come."""
    client = ground.client(server)
    path = f"{server.url}/api/v1/agents/{host}/containers/web/logs?follow=true"
    lines = 0
    with client.session.get(path, stream=True, timeout=60) as answer:
        assert answer.status_code == 200, answer.text
        for line in answer.iter_lines(chunk_size=1):
            lines += line.startswith(b"data: ")
            if over.is_set():
                break
    assert lines, "a followed log said nothing"


def _repeat(work: Callable[[], None], every: float, over: threading.Event) -> None:
    while not over.wait(every):
        work()


def _succeed(answer: tuple[int, dict[str, str]]) -> dict[str, str]:
    assert answer[0] < 300, answer
    return answer[1]
