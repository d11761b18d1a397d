"""Power cuts: kill -9 in the middle of a deploy, on either side. Every deploy ends once, and says how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from .bed import Agent, Server, wait_for
from .journey import (
    QUICK,
    App,
    address,
    admit,
    agent,
    at_gate,
    containers,
    ended,
    gated,
    get,
    open_gate,
    page,
    stack,
    web,
)

NewServer = Callable[..., Server]
NewAgent = Callable[..., Agent]


@pytest.fixture
def project(engine: str, cleanup: Callable[[str], str]) -> str:
    return cleanup("cut")


def deploying(app: App, docker_client: docker.DockerClient) -> str:
    """A deploy that has begun and cannot end before its gate is opened."""
    operation = app.begin("deploy")
    at_gate(docker_client, app.name)
    assert app.status == "deploying"
    assert get(app.api, f"/api/v1/operations/{operation}")["status"] == "running"
    return operation


def compose_runs_for(project: str) -> bool:
    """Whether a Compose process is still at work on a project."""
    return any(f"\0{project}\0".encode() in line for line in map(_argv, Path("/proc").glob("[0-9]*/cmdline")))


def _argv(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def finished_once(app: App, operation: str) -> dict[str, Any]:
    """The operation's end, the only one the application has had."""
    outcome = ended(app.api, operation)
    assert [one["id"] for one in app.operations] == [operation]
    return outcome


def test_an_agent_killed_during_a_deploy_tells_so_when_it_is_back(
    new_server: NewServer, new_agent: NewAgent, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    host = new_agent(server.url, "box")
    app = App(server.api, project, stack(gated(image)), agent(server.api, "box")["id"])
    operation = deploying(app, docker_client)
    assert compose_runs_for(project)

    host.kill9()
    agent(server.api, "box", connected=False)
    assert app.status == "deploying", "it has the grace time to come back"
    host.start()
    outcome = finished_once(app, operation)
    assert (outcome["status"], app.status) == ("interrupted", "failed")
    assert "restarted" in outcome["reason"]
    assert "restarted" in app.state["last_error"]
    assert not compose_runs_for(project), "what it had started is ended"

    assert app.edit(compose_yaml=stack({"web": web(image, "again")}))[0] == 200
    assert app.run("deploy")["status"] == "succeeded"
    assert page(address(docker_client, project)) == "again"
    assert len(containers(docker_client, project)) == 1


def test_an_agent_stopped_during_a_deploy_ends_it_and_tells(
    new_server: NewServer, new_agent: NewAgent, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    host = new_agent(server.url, "box")
    app = App(server.api, project, stack(gated(image)), agent(server.api, "box")["id"])
    operation = deploying(app, docker_client)
    assert host.stop() == 0
    assert not compose_runs_for(project)
    host.start()
    assert finished_once(app, operation)["status"] == "interrupted"
    assert app.status == "failed"


def test_a_server_killed_during_a_deploy_hears_the_end_of_it(
    new_server: NewServer, new_agent: NewAgent, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    new_agent(server.url, "box")
    app = App(server.api, project, stack(gated(image)), agent(server.api, "box")["id"])
    operation = deploying(app, docker_client)

    server.kill9()
    open_gate(docker_client, project)
    wait_for(lambda: not compose_runs_for(project), 20, "the end of the deploy, with nobody to tell it to")
    server.start()
    assert finished_once(app, operation)["status"] == "succeeded"
    assert app.status == "running"
    assert app.run("stop")["status"] == "succeeded"


def test_a_server_killed_during_a_deploy_that_goes_on_waits_for_it(
    new_server: NewServer, new_agent: NewAgent, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    server = new_server(environment={**QUICK, "ROCI_LINKS__GRACE": "30"})
    admit(server.api, {"type": "any"})
    new_agent(server.url, "box")
    host = agent(server.api, "box")
    app = App(server.api, project, stack(gated(image)), host["id"])
    operation = deploying(app, docker_client)
    server.kill9()
    server.start()
    agent(server.api, "box")
    seen = f"/api/v1/agents/{host['id']}/containers"
    wait_for(lambda: get(server.api, seen)["current"], 60, "a heartbeat that lists the containers")
    assert app.status == "deploying"
    open_gate(docker_client, project)
    assert finished_once(app, operation)["status"] == "succeeded"
    assert app.status == "running"


def test_a_server_whose_agent_never_comes_back_gives_the_deploy_up(
    new_server: NewServer, new_agent: NewAgent, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    server = new_server(environment={**QUICK, "ROCI_LINKS__GRACE": "3"})
    admit(server.api, {"type": "any"})
    host = new_agent(server.url, "box")
    app = App(server.api, project, stack(gated(image)), agent(server.api, "box")["id"])
    operation = deploying(app, docker_client)
    host.kill9()
    server.kill9()
    server.start()
    outcome = finished_once(app, operation)
    assert (outcome["status"], outcome["reason"]) == ("interrupted", "agent lost")
    assert app.status == "failed" and app.state["last_error"].splitlines()[0] == "agent lost"  # then what was printed
    status, refused = server.api.post(f"{app.path}/deploy")
    assert (status, refused["error"]["code"]) == (400, "bad_request")


def test_a_server_killed_with_its_own_agent_explains_what_became_of_the_deploy(
    new_server: NewServer, docker_client: docker.DockerClient, image: str, project: str
) -> None:
    server = new_server(local_agent=True, environment=QUICK)
    app = App(server.api, project, stack(gated(image)), agent(server.api)["id"])
    operation = deploying(app, docker_client)
    server.kill9()
    server.start()
    outcome = finished_once(app, operation)
    assert (outcome["status"], app.status) == ("interrupted", "failed")
    assert "restarted" in outcome["reason"]
    assert not compose_runs_for(project)
    assert app.edit(compose_yaml=stack({"web": web(image)}))[0] == 200
    assert app.run("deploy")["status"] == "succeeded"
