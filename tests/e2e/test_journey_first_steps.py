"""The first evening with ROCI: a server, its own engine, an application from the first deploy to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from .bed import Server, wait_for
from .journey import QUICK, App, address, agent, containers, is_silent, page, stack, web

NewServer = Callable[..., Server]


@pytest.fixture
def server(engine: str, new_server: NewServer, tmp_path: Path) -> Server:
    settings = {"ROCI_AGENT__VOLUME_BASE": str(tmp_path / "volumes"), "ROCI_AGENT__DOCKER_HOST": engine}
    return new_server(local_agent=True, environment={**QUICK, **settings})


def test_an_application_is_created_deployed_stopped_started_edited_and_deleted(
    server: Server, docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str], tmp_path: Path
) -> None:
    name = cleanup("shop")
    top = {"volumes": {"data": {}}}
    first = stack({"web": web(image, "one", volumes=["data:/data"])}, **top)
    app = App(server.api, name, first, agent(server.api)["id"])
    assert app.status == "stopped"

    deployed = app.run("deploy")
    assert deployed["status"] == "succeeded", deployed
    assert app.status == "running"
    assert page(address(docker_client, name)) == "one"
    before = address(docker_client, name)

    assert app.run("stop")["status"] == "succeeded"
    assert app.status == "stopped"
    assert is_silent(before)

    assert app.run("start")["status"] == "succeeded"
    assert page(address(docker_client, name)) == "one"

    second = stack({"web": web(image, "two", volumes=["data:/data"])}, **top)
    assert app.edit(compose_yaml=second)[0] == 409  # it runs: stop it first
    app.run("stop")
    assert app.edit(compose_yaml=second)[0] == 200
    assert app.run("deploy")["revision"] == 2
    assert page(address(docker_client, name)) == "two"
    _, listed = server.api.get(f"{app.path}/revisions")
    assert [(one["number"], one["compose_yaml"], one["deployed"]) for one in listed["revisions"]] == [
        (2, second, True),
        (1, first, False),
    ]

    assert app.remove()["status"] == "succeeded"
    assert server.api.get(app.path)[0] == 404
    assert containers(docker_client, name) == []
    assert docker_client.volumes.get(f"{name}_data"), "what it had stored is kept"
    assert not (tmp_path / "volumes" / name / "docker-compose.yml").exists()


def test_the_backend_docker_runs_an_application_without_compose(
    server: Server, docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]
) -> None:
    name = cleanup("plain")
    services = {"web": web(image, "one", volumes=["data:/data"]), "other": {"image": image}}
    app = App(server.api, name, stack(services, volumes={"data": {}}), agent(server.api)["id"], backend="docker")

    deployed = app.run("deploy")
    assert deployed["status"] == "succeeded", deployed
    assert page(address(docker_client, name)) == "one"
    assert len(containers(docker_client, name)) == 2

    assert app.run("stop")["status"] == "succeeded"
    assert {one.status for one in containers(docker_client, name)} == {"exited"}
    services["web"] = web(image, "two", volumes=["data:/data"])
    del services["other"]
    assert app.edit(compose_yaml=stack(services, volumes={"data": {}}))[0] == 200
    assert app.run("deploy")["status"] == "succeeded"
    assert page(address(docker_client, name)) == "two"
    assert len(containers(docker_client, name)) == 1, "the service that the file no longer has is gone"

    assert app.run("stop")["status"] == "succeeded"
    assert app.run("start")["status"] == "succeeded"
    assert page(address(docker_client, name)) == "two"
    assert app.remove()["status"] == "succeeded"
    assert containers(docker_client, name) == []
    assert docker_client.volumes.get(f"{name}_data")


def test_a_deployed_application_tells_its_containers_and_that_somebody_removed_them(
    server: Server, docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]
) -> None:
    name = cleanup("seen")
    app = App(server.api, name, stack({"web": web(image)}), agent(server.api)["id"])
    app.run("deploy")

    def seen() -> list[tuple[str, str]]:
        return [(one["image"], one["status"]) for one in app.state["containers"] or ()]

    wait_for(lambda: seen() == [(image, "running")], 10, "its container")
    assert app.state["drift"] is False
    containers(docker_client, name)[0].remove(force=True)
    wait_for(lambda: app.state["drift"], 10, "the drift being noticed")
    assert app.status == "running", "heartbeats never move the status"
