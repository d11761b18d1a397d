"""What hosts do, as seen from the server: a real agent, a real container that works, a file that is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker

from .bed import Agent, Client, Server, unique, wait_for
from .engines import COMPOSE_PROJECT
from .journey import QUICK, admit, agent, get

NewServer = Callable[..., Server]
NewAgent = Callable[..., Agent]


def latest(api: Client, host: str) -> dict[str, Any] | None:
    """The newest sample, once there is one."""
    status, body = api.get(f"/api/v1/agents/{host}/metrics")
    return dict(body) if status == 200 else None


def history(api: Client, host: str, part: str = "metrics/history") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(api, f"/api/v1/agents/{host}/{part}")["metrics"]
    return found


def test_an_agent_tells_of_its_machine_and_of_a_container_that_works(
    engine: str,
    image: str,
    docker_client: docker.DockerClient,
    cleanup: Callable[[str], str],
    new_server: NewServer,
    new_agent: NewAgent,
) -> None:
    project = cleanup("busy")
    container = docker_client.containers.run(
        image, ["sh", "-c", "while :; do :; done"], detach=True, labels={COMPOSE_PROJECT: project}, name=project
    )
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    new_agent(server.url, "near", docker_host=engine)
    host = agent(server.api, "near")["id"]

    def busy() -> dict[str, Any] | None:
        sample = (latest(server.api, host) or {"metrics": {"containers": []}})["metrics"]
        found = [use for use in sample["containers"] if use["name"] == project and (use["cpu_percent"] or 0) > 1]
        return sample if found and found[0]["memory_bytes"] else None

    sample = wait_for(busy, 60, "a sample in which the container works")
    assert sample and 0 < sample["cpu_percent"] <= 100 and 0 < sample["memory"]["used"] < sample["memory"]["total"]
    assert [disk for disk in sample["disk_usage"] if disk["path"] == "/"] and len(sample["load"]) == 3
    assert 0 < len(sample["processes"]) <= 50
    wait_for(lambda: len(history(server.api, host)) > 2, 60, "history")
    assert any(point["cpu_percent"] for point in history(server.api, host, f"containers/{project}/metrics"))
    assert history(server.api, host, f"containers/{container.id}/metrics")


def test_a_lost_file_of_metrics_is_begun_anew_while_the_server_runs(new_server: NewServer, new_agent: NewAgent) -> None:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    new_agent(server.url, unique("near"))
    host = wait_for(lambda: get(server.api, "/api/v1/agents")["agents"], 60, "the agent")[0]["id"]
    wait_for(lambda: len(history(server.api, host)) > 1, 60, "history")
    for path in server.data_dir.glob("metrics.db*"):
        path.unlink()
    wait_for(lambda: "metrics.db is made anew" in server.output, 60, "the line in the log")
    wait_for(lambda: len(history(server.api, host)) > 1, 60, "a new history")
    before = history(server.api, host)
    server.stop()
    server.start()
    after = history(server.api, host)
    assert [point["timestamp"] for point in after][: len(before)] == [point["timestamp"] for point in before]
    assert latest(server.api, host)


def test_a_host_that_was_switched_off_still_shows_its_last_sample(new_server: NewServer, new_agent: NewAgent) -> None:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    near = new_agent(server.url, "near")
    host = agent(server.api, "near")["id"]
    assert wait_for(lambda: (latest(server.api, host) or {}).get("current"), 60, "a current sample")
    near.stop()
    agent(server.api, "near", connected=False, seconds=60)
    shown = latest(server.api, host)
    assert shown and not shown["current"] and shown["metrics"]["memory"]
