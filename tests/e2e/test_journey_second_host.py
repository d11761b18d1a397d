"""A host elsewhere: an engine and an agent in a network of their own, admitted by its address over a real cable."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from .bed import Agent, Server, unique, wait_for
from .engines import COMPOSE_PROJECT, IMAGE, SecondHost, remove_labelled
from .journey import (
    QUICK,
    App,
    address,
    admit,
    agent,
    containers,
    ended,
    files_with,
    gated,
    get,
    is_silent,
    open_gate,
    page,
    shell,
    stack,
    web,
)

NewServer = Callable[..., Server]
NewAgent = Callable[..., Agent]
ANYWHERE = "8080"  # published on every address of the host


@pytest.fixture
def there(second_host: SecondHost) -> Iterator[docker.DockerClient]:
    with contextlib.closing(second_host.connect()) as client:
        yield client


@pytest.fixture
def project(there: docker.DockerClient) -> Iterator[str]:
    """A name for an application there; what is left of it is removed after the test."""
    name = unique("far")
    yield name
    remove_labelled(there, f"{COMPOSE_PROJECT}={name}")


def the_agent(second_host: SecondHost, server: Server, new_agent: NewAgent, **options: Any) -> Agent:
    return new_agent(server.url, "far", netns=second_host.name, docker_host=second_host.docker_host, **options)


def test_policies_go_by_the_address_an_agent_really_has(
    second_host: SecondHost, new_server: NewServer, new_agent: NewAgent
) -> None:
    server = new_server(bind=f"{second_host.here}:0")
    admit(server.api, {"type": "cidr", "network": f"{second_host.there}/32"}, "approve", 10)
    admit(server.api, {"type": "cidr", "network": f"{second_host.here}/32"}, "reject", 20)
    the_agent(second_host, server, new_agent)
    admitted = agent(server.api, "far")
    assert (admitted["peer_ip"], admitted["effective_ip"]) == (second_host.there, second_host.there)
    refused = new_agent(server.url, "near")
    found = agent(server.api, "near", status="rejected", connected=False)
    assert found["effective_ip"] == second_host.here
    assert "reject" in found["decision_reason"]
    refused.wait_for_output(r"4003")
    assert refused.is_running, "it stays away for some minutes and then asks again"


def test_a_secret_reaches_the_containers_and_no_disk(
    second_host: SecondHost,
    there: docker.DockerClient,
    project: str,
    new_server: NewServer,
    new_agent: NewAgent,
    tmp_path: Path,
) -> None:
    secret = unique("hush-hush")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**QUICK, "TMPDIR": str(temporary), "ROCI_LOG_LEVEL": "debug"}
    server = new_server(bind=f"{second_host.here}:0", environment=environment)
    admit(server.api, {"type": "cidr", "network": f"{second_host.there}/24"})
    far = the_agent(second_host, server, new_agent, environment=environment)

    given = {"environment": {"PASSWORD": "${PASSWORD}"}}
    tell = {"command": shell('echo -n "$$PASSWORD" | rev > /www/index.html; echo "it is $$PASSWORD"')}
    services = {
        "web": web(IMAGE, port=ANYWHERE, **given) | tell,
        "worker": {"image": IMAGE, "depends_on": ["web"], **given},
    }
    app = App(server.api, project, stack(services), agent(server.api, "far")["id"])
    deployed = app.run("deploy", {"secrets": [{"name": "PASSWORD", "value": secret}]})
    assert deployed["status"] == "succeeded", deployed
    assert deployed["args"] == {"secrets": ["PASSWORD"]}
    assert len(containers(there, project)) == 2
    assert page(address(there, project, host=second_host.there)) == secret[::-1]

    before = address(there, project, host=second_host.there)
    assert app.run("stop")["status"] == "succeeded"
    assert is_silent(before)
    assert app.run("start")["status"] == "succeeded"
    assert page(address(there, project, host=second_host.there)) == secret[::-1], "a start keeps what it was given"

    # A deploy that fails prints what Compose made of the file: the secret with it, if nobody hid it.
    app.run("stop")
    services["worker"]["ports"] = ["${PASSWORD}:8080"]
    assert app.edit(compose_yaml=stack(services))[0] == 200
    failed = app.run("deploy", {"secrets": [{"name": "PASSWORD", "value": secret}]})
    assert failed["status"] == "failed" and "***" in failed["output"]

    answers = [get(server.api, path) for path in (app.path, f"{app.path}/revisions", "/api/v1/agents")]
    answers += [get(server.api, f"/api/v1/operations/{one['id']}") for one in app.operations]
    answers += [get(server.api, f"/api/v1/agents/{agent(server.api, 'far')['id']}/containers")]
    assert secret not in json.dumps(answers)
    assert files_with(project, server.data_dir), "the search finds what is there"
    assert files_with(secret, server.data_dir, server.log, far.state_dir, far.volume_base, far.log, tmp_path) == []

    assert app.remove()["status"] == "succeeded"
    assert containers(there, project) == []
    assert files_with(secret, tmp_path) == []


def test_while_the_link_is_cut_a_host_is_unknown_and_then_tells_what_happened(
    second_host: SecondHost, there: docker.DockerClient, project: str, new_server: NewServer, new_agent: NewAgent
) -> None:
    times = {"ROCI_LINKS__STALE_AFTER": "6", "ROCI_LINKS__HEARTBEAT_INTERVAL": "0.5"}
    server = new_server(bind=f"{second_host.here}:0", environment=times)
    admit(server.api, {"type": "any"})
    the_agent(second_host, server, new_agent)
    host = agent(server.api, "far")
    app = App(server.api, project, stack(gated(IMAGE, port=ANYWHERE)), host["id"])
    operation = app.begin("deploy")
    open_or_wait = f"/api/v1/agents/{host['id']}/containers"
    wait_for(lambda: project in json.dumps(get(server.api, open_or_wait)["containers"]), 20, "the gate in a heartbeat")

    second_host.cut()
    wait_for(lambda: not get(server.api, f"/api/v1/agents/{host['id']}")["connected"], 30, "the silence being noticed")
    last = get(server.api, open_or_wait)
    assert last["current"] is False
    assert last["total"] > 0 and project in json.dumps(last["containers"]), "unknown is not empty"
    assert app.state["containers"] is None
    assert app.status == "deploying"
    other = App(server.api, unique("other"), stack(gated("x")))
    status, refused = server.api.post(f"{other.path}/deploy", {"agent_id": host["id"]})
    assert (status, refused["error"]["code"]) == (400, "bad_request"), refused
    open_gate(there, project)
    wait_for(lambda: [one.status for one in containers(there, project, "web")] == ["running"], 20, "the end of it")

    second_host.mend()
    again = agent(server.api, "far", seconds=30)
    assert again["id"] == host["id"]
    assert ended(server.api, operation)["status"] == "succeeded"
    assert app.status == "running"
    assert [one["kind"] for one in app.operations] == ["deploy"], "it is told once"
    wait_for(lambda: get(server.api, open_or_wait)["current"], 10, "a heartbeat")
    wait_for(lambda: len(app.state["containers"] or ()) == 2, 10, "both containers")
