"""What goes wrong in every homelab sooner or later. Each failure ends in a clear state and says what to do next."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from .bed import Agent, Client, Server, unique, wait_for
from .journey import (
    QUICK,
    App,
    address,
    admit,
    agent,
    at_gate,
    containers,
    ended,
    fill,
    gated,
    get,
    open_gate,
    page,
    stack,
    tiny_disk,
    web,
)

NewServer = Callable[..., Server]
NewAgent = Callable[..., Agent]


@pytest.fixture
def server(engine: str, new_server: NewServer, tmp_path: Path) -> Server:
    return _server(new_server, engine, tmp_path, deploy_timeout=60)


def _server(new_server: NewServer, engine: str, tmp_path: Path, deploy_timeout: int) -> Server:
    settings = {
        "ROCI_AGENT__VOLUME_BASE": str(tmp_path / "volumes"),
        "ROCI_AGENT__DOCKER_HOST": engine,
        "ROCI_OPERATIONS__DEPLOY_TIMEOUT": str(deploy_timeout),
    }
    return new_server(local_agent=True, environment={**QUICK, **settings})


@pytest.fixture
def project(engine: str, cleanup: Callable[[str], str]) -> str:
    return cleanup("bad")


def failure(app: App, status: str = "failed") -> str:
    """What a failed deploy leaves for people to read: the same in the operation and in the application."""
    operation = app.run("deploy")
    assert (operation["status"], app.status) == (status, "failed"), operation
    error = str(app.state["last_error"])
    assert error in operation["output"].strip() or error == operation["reason"]
    return error


# --- what the engine and Compose refuse -----------------------------------------


@pytest.mark.parametrize("backend", ["compose", "docker"])
def test_an_image_that_cannot_be_pulled(server: Server, project: str, backend: str) -> None:
    services = {"web": {"image": "127.0.0.1:1/nowhere:1"}}
    app = App(server.api, project, stack(services), agent(server.api)["id"], backend=backend)
    error = failure(app)
    assert "127.0.0.1:1" in error and "connection refused" in error
    assert "hint: the registry cannot be reached" in error


@pytest.mark.parametrize("backend", ["compose", "docker"])
def test_a_port_that_is_taken(
    server: Server, docker_client: docker.DockerClient, image: str, project: str, backend: str
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        text = stack({"web": web(image, port=f"127.0.0.1:{port}:8080")})
        app = App(server.api, project, text, agent(server.api)["id"], backend=backend)
        error = failure(app)
        assert str(port) in error and "hint: a port is taken" in error
    assert app.run("deploy")["status"] == "succeeded", "once the port is free, the same deploy goes through"
    assert page(address(docker_client, project)) == "one"
    assert app.state["last_error"] is None


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"volumes": ["missing:/data"]}, "missing"),
        ({"networks": ["nowhere"]}, "nowhere"),
        ({"mem_limit": "much"}, "much"),
    ],
)
def test_a_file_that_only_compose_can_judge(
    server: Server, docker_client: docker.DockerClient, image: str, project: str, fault: dict[str, Any], says: str
) -> None:
    status, body = server.api.post(
        "/api/v1/applications", {"name": project, "compose_yaml": stack({"web": {"image": image, **fault}})}
    )
    if status == 400:  # even better: it is refused before anything is stored
        assert says in body["error"]["message"]
        return
    app = App(server.api, f"{project}-2", stack({"web": {"image": image, **fault}}), agent(server.api)["id"])
    assert says in failure(app)
    assert containers(docker_client, app.name) == []


@pytest.mark.parametrize(
    ("compose", "says"),
    [
        ("services: [", "line 2"),
        ("services: {}", "services"),
        ("a: &a [*a]", "line 1"),
        ("services:\n  web:\n    image: x\n    build: .\n    cap_ad: []\n", "cap_ad"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(server: Server, compose: str, says: str) -> None:
    status, body = server.api.post("/api/v1/applications", {"name": unique("none"), "compose_yaml": compose})
    if status == 201:  # only Compose can tell
        status, body = server.api.post(
            f"/api/v1/applications/{body['id']}/deploy", {"agent_id": agent(server.api)["id"]}
        )
        operation = ended(server.api, body["operation_id"])
        assert operation["status"] == "failed" and says in operation["output"]
        return
    assert (status, body["error"]["code"]) == (400, "validation_error")
    assert says in body["error"]["message"]


def test_a_deploy_that_takes_too_long_is_ended(
    new_server: NewServer, engine: str, tmp_path: Path, image: str, project: str
) -> None:
    server = _server(new_server, engine, tmp_path, deploy_timeout=5)
    app = App(server.api, project, stack(gated(image)), agent(server.api)["id"])
    error = failure(app, "timed_out")
    assert "5 s" in error
    assert app.run("stop")["status"] == "succeeded"


def test_a_deploy_is_cancelled(server: Server, docker_client: docker.DockerClient, image: str, project: str) -> None:
    app = App(server.api, project, stack(gated(image)), agent(server.api)["id"])
    operation = app.begin("deploy")
    at_gate(docker_client, project)
    assert server.api.post(f"/api/v1/operations/{operation}/cancel")[0] == 200
    assert ended(server.api, operation)["status"] == "cancelled"
    assert app.status == "failed"


# --- engines and programs that are not there --------------------------------------


@pytest.fixture
def silent_engine(tmp_path: Path) -> Iterator[str]:
    """An engine that takes every call and never answers one."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.bind(str(tmp_path / "silent.sock"))
        sock.listen(128)
        yield f"unix://{tmp_path}/silent.sock"


@pytest.mark.parametrize("backend", ["compose", "docker"])
def test_an_engine_that_stops_answering(
    new_server: NewServer, new_agent: NewAgent, silent_engine: str, backend: str
) -> None:
    server = new_server(environment={**QUICK, "ROCI_OPERATIONS__DEPLOY_TIMEOUT": "25"})
    admit(server.api, {"type": "any"})
    new_agent(server.url, "mute", docker_host=silent_engine)
    host = agent(server.api, "mute")
    app = App(server.api, unique("mute"), stack({"web": {"image": "any"}}), host["id"], backend=backend)
    operation = app.begin("deploy")
    seen = f"/api/v1/agents/{host['id']}/containers"
    wait_for(lambda: get(server.api, seen)["engine_error"], 60, "word of the engine")
    found = get(server.api, seen)
    assert found["current"] is False and found["containers"] is None and "does not answer" in found["engine_error"]
    assert ended(server.api, operation)["status"] in ("failed", "timed_out")
    assert app.status == "failed"
    assert "engine" in app.state["last_error"] and "does not answer" in app.state["last_error"]
    assert agent(server.api, "mute")["connected"], "the agent is well"


def test_no_engine_at_all(new_server: NewServer, new_agent: NewAgent, tmp_path: Path) -> None:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    new_agent(server.url, "bare", docker_host=f"unix://{tmp_path}/none.sock")
    app = App(server.api, unique("bare"), stack({"web": {"image": "any"}}), agent(server.api, "bare")["id"])
    assert "no Docker engine" in failure(app)


@pytest.mark.parametrize("version", [None, "1.29.2"])
def test_a_host_without_compose_or_with_version_1(
    new_server: NewServer, new_agent: NewAgent, tmp_path: Path, version: str | None
) -> None:
    if any(Path("/usr").glob("l*/**/docker/cli-plugins/docker-compose")):
        pytest.skip("Compose is installed for every user of this machine")
    programs, shadow = tmp_path / "bin", tmp_path / "shadow" / "compose"
    programs.mkdir()
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()  # in the way of the package that brings a Compose along
    if version:
        (programs / "docker-compose").write_text(f"#!/bin/sh\necho {version}\n")
        (programs / "docker-compose").chmod(0o755)
    environment = {"PATH": str(programs), "HOME": str(tmp_path), "PYTHONPATH": str(shadow.parent)}
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    new_agent(server.url, "old", environment=environment)
    app = App(server.api, unique("old"), stack({"web": {"image": "any"}}), agent(server.api, "old")["id"])
    error = failure(app)
    assert "install Compose v2" in error
    assert (version or "no Docker Compose here") in error


# --- people ------------------------------------------------------------------------


def test_of_people_who_deploy_at_once_one_does(
    server: Server, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    app = App(server.api, project, stack(gated(image)), agent(server.api)["id"])

    def person(_: int) -> tuple[int, Any]:
        mine = Client(server.url)
        mine.session.cookies.update(server.api.session.cookies)
        return mine.post(f"{app.path}/deploy")

    with ThreadPoolExecutor(6) as people:
        answers = list(people.map(person, range(6)))
    assert sorted(status for status, _ in answers) == [202] + 5 * [409]
    assert {body["error"]["code"] for status, body in answers if status == 409} == {"conflict"}
    open_gate(docker_client, project)
    [operation] = app.operations
    assert ended(server.api, operation["id"])["status"] == "succeeded"


# --- full disks ----------------------------------------------------------------------


def test_a_full_disk_under_the_applications(
    new_server: NewServer, image: str, project: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    with tiny_disk(tmp_path / "tiny", "64k") as disk:
        settings = {**QUICK, "ROCI_AGENT__VOLUME_BASE": str(disk)}
        server = new_server(local_agent=True, environment=settings)
        app = App(server.api, project, stack({"web": web(image)}), agent(server.api)["id"])
        filler = fill(disk)
        error = failure(app)
        assert "No space left on device" in error and "hint: the disk is full" in error
        filler.unlink()
        assert app.run("deploy")["status"] == "succeeded"
        server.end()


def test_a_full_disk_under_the_server_loses_nothing(
    new_server: NewServer, docker_client: docker.DockerClient, image: str, project: str, tmp_path: Path
) -> None:
    with tiny_disk(tmp_path / "tiny", "16m") as disk:
        settings = {"ROCI_DATA_DIR": str(disk / "data"), "ROCI_AGENT__VOLUME_BASE": str(tmp_path / "volumes")}
        server = new_server(local_agent=True, environment={**QUICK, **settings})
        app = App(server.api, project, stack(gated(image)), agent(server.api)["id"])
        operation = app.begin("deploy")
        at_gate(docker_client, project)
        filler = fill(disk)
        made = _add_until_it_is_full(server.api)
        open_gate(docker_client, project)
        wait_for(
            lambda: [one.status for one in containers(docker_client, project, "web")] == ["running"], 20, "its end"
        )
        status, health = server.api.get("/api/v1/health")
        assert status == 200, health

        filler.unlink()
        assert ended(server.api, operation)["status"] == "succeeded", "what happened meanwhile is told"
        assert app.status == "running"
        names = {one["name"] for one in get(server.api, "/api/v1/applications")["applications"]}
        assert names == {project, *made}
        agent(server.api)
        assert app.run("stop")["status"] == "succeeded"
        server.end()


def _add_until_it_is_full(api: Client) -> list[str]:
    """The names of what was still accepted."""
    made: list[str] = []
    text = stack({"web": {"image": "x", "labels": {"padding": "x" * 200_000}}})
    while len(made) < 100:
        name = unique("much")
        status, body = api.post("/api/v1/applications", {"name": name, "compose_yaml": text})
        if status != 201:
            assert (status, body["error"]["code"]) == (503, "unavailable"), body
            assert "full" in body["error"]["message"] and "free some space" in body["error"]["message"]
            return made
        made.append(name)
    raise AssertionError("the disk is never full")
