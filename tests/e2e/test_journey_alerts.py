"""Alerts of real things: a container falls ill, a host is switched off, a registry has something newer; people hear of
it by a webhook of their own, and hear again when it is over."""

from __future__ import annotations

import http.server
import io
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from roci import Roci, Settings
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import until
from roci_plugins.domain import alerts
from roci_plugins.work.alerts.live import Judge
from roci_plugins.work.updates import Updates

from .bed import Agent, Client, Server, free_port, unique, wait_for
from .engines import archive, unavailable
from .journey import QUICK, admit, agent, get

NewServer = Callable[..., Server]
NewAgent = Callable[..., Agent]
AT_ONCE = {"ROCI_ALERTS__UNHEALTHY_AFTER": "0", "ROCI_ALERTS__STOPPED_AFTER": "0", "ROCI_ALERTS__OFFLINE_AFTER": "2"}


class Receiver(http.server.ThreadingHTTPServer):
    """Somebody's own webhook: keeps what it is sent."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Hook)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def of(self, alert_id: str) -> list[str]:
        """What came of an alert, in order."""
        told = {each["id"]: str(each["kind"]) for each in self.heard if each["alert_id"] == alert_id}
        return list(told.values())


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    hook = Receiver()
    yield hook
    hook.shutdown()
    hook.server_close()


def told_by(receiver: Receiver, server: Server) -> None:
    channel = {"name": "mine", "kind": "webhook", "settings": {"url": receiver.url}}
    status, body = server.api.post("/api/v1/alerting/channels", channel)
    assert status == 201, body


def the_alert(api: Client, type: str, subject: str = "", status: str = "active") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = get(api, f"/api/v1/alerting/alerts?status={status}&limit=1000")["alerts"]
        return next((one for one in found if (one["type"], one["subject"]) == (type, subject)), None)

    found = wait_for(look, 60, f"an alert {type} {subject} that is {status}")
    assert found
    return found


def over(api: Client, receiver: Receiver, alert: dict[str, Any]) -> None:
    """It ended by itself, and people heard of both its ends."""
    path = f"/api/v1/alerting/alerts/{alert['id']}"
    wait_for(lambda: get(api, path)["status"] == "resolved", 60, "the alert to resolve by itself")
    both = ["alert.fired", "alert.resolved"]
    wait_for(lambda: receiver.of(alert["id"]) == both, 60, f"both notices; there are {receiver.heard}")


@pytest.fixture
def box(docker_client: docker.DockerClient, image: str) -> Iterator[Callable[..., Any]]:
    """`box(name, …)`: a container that somebody runs beside ROCI; removed after the test."""
    made: list[Any] = []

    def run(name: str, **options: Any) -> Any:
        given: Any = {"image": image, "detach": True, **options}
        made.append(docker_client.containers.run(name=name, **given))
        return made[-1]

    yield run
    for container in made:
        container.remove(force=True)


def test_a_container_that_falls_ill_is_told_of_and_resolves_when_it_is_well(
    new_server: NewServer, new_agent: NewAgent, engine: str, box: Callable[..., Any], receiver: Receiver
) -> None:
    second = 10**9
    health = {"test": ["CMD-SHELL", "test ! -e /tmp/ill"], "interval": second, "retries": 1, "timeout": 30 * second}
    ill, dead = unique("ill"), unique("dead")
    patient, victim = box(ill, healthcheck=health), box(dead, command=until_told("sh -c 'exit 3'"))
    server = new_server(environment={**QUICK, **AT_ONCE})
    told_by(receiver, server)
    admit(server.api, {"type": "any"})
    host = unique("ward")
    new_agent(server.url, host, docker_host=engine)
    agent(server.api, host, 60)
    wait_for(lambda: "(healthy)" in state_of(server.api, host, ill), 60, "the container's good health")

    assert patient.exec_run(["touch", "/tmp/ill"]).exit_code == 0
    alert = the_alert(server.api, "container_unhealthy", ill)
    assert (alert["hostname"], alert["severity"]) == (host, "warning")
    wait_for(lambda: receiver.of(alert["id"]) == ["alert.fired"], 60, "the notice of it")
    assert patient.exec_run(["rm", "/tmp/ill"]).exit_code == 0
    over(server.api, receiver, alert)

    assert victim.exec_run(["touch", "/tmp/die"]).exit_code == 0
    alert = the_alert(server.api, "container_stopped", dead)
    assert alert["message"] == f"the container {dead} stopped with exit code 3 on {host}"
    victim.start()
    over(server.api, receiver, alert)


def test_a_container_that_takes_too_much_memory_is_told_of_and_one_that_is_stopped_by_hand_is_not(
    new_server: NewServer, new_agent: NewAgent, engine: str, box: Callable[..., Any]
) -> None:
    hungry, stubborn = unique("hungry"), unique("stubborn")
    deaf = ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]
    greedy, deaf_one = box(hungry, command=until_told("tail /dev/zero"), mem_limit="32m"), box(stubborn, command=deaf)
    server = new_server(environment={**QUICK, **AT_ONCE})
    admit(server.api, {"type": "any"})
    host = unique("ward")
    new_agent(server.url, host, docker_host=engine)
    agent(server.api, host, 60)
    for name in (hungry, stubborn):
        wait_for(lambda name=name: state_of(server.api, host, name).startswith("Up"), 60, "what runs")

    deaf_one.stop(timeout=1)
    assert deaf_one.wait()["StatusCode"] == 137
    wait_for(lambda: "(137)" in state_of(server.api, host, stubborn), 60, "its end")
    assert greedy.exec_run(["touch", "/tmp/die"]).exit_code == 0
    alert = the_alert(server.api, "container_stopped", hungry)
    assert alert["message"] == f"the container {hungry} ran out of memory on {host}"
    assert stubborn not in {each["subject"] for each in get(server.api, "/api/v1/alerting/alerts")["alerts"]}


def until_told(then: str) -> list[str]:
    """A command that waits for a file, and then does this in its own place."""
    return ["sh", "-c", f"rm -f /tmp/die; while [ ! -e /tmp/die ]; do sleep 0.1; done; exec {then}"]


def state_of(api: Client, host: str, container: str) -> str:
    found = get(api, f"/api/v1/agents/{agent(api, host)['id']}/containers")["containers"] or ()
    return next((str(one["state"]) for one in found if one["name"] == container), "")


def test_a_host_that_is_switched_off_is_told_of_and_resolves_when_it_is_back(
    new_server: NewServer, new_agent: NewAgent, receiver: Receiver
) -> None:
    server = new_server(environment={**QUICK, **AT_ONCE})
    told_by(receiver, server)
    admit(server.api, {"type": "any"})
    host = unique("far")
    machine = new_agent(server.url, host, docker_host="unix:///nowhere/engine.sock")
    agent(server.api, host, 60)
    machine.kill9()
    alert = the_alert(server.api, "host_offline")
    assert (alert["hostname"], alert["severity"]) == (host, "critical")
    wait_for(lambda: receiver.of(alert["id"]) == ["alert.fired"], 60, "the notice of it")

    server.kill9()  # a restart neither forgets it nor tells of it anew
    server.start()
    assert [one["id"] for one in get(server.api, "/api/v1/alerting/alerts")["alerts"]] == [alert["id"]]
    machine.start()
    over(server.api, receiver, alert)
    assert get(server.api, "/api/v1/alerting/alerts")["total"] == 1


# --- a registry ----------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry that anybody may use."""
    program = shutil.which("docker-registry")
    if program is None:
        unavailable("newer images need docker-registry")
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}/blobs}}}}\n"
    )
    running = subprocess.Popen([program, "serve", str(tmp_path / "registry.yml")], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1), 60, "a registry")
        yield address
    finally:
        running.kill()
        running.wait()


@pytest.fixture
def published(docker_client: docker.DockerClient, image: str, registry: str) -> Iterator[Callable[[str], str]]:
    """`published("two")`: an image with this word in it goes to the registry; what is here stays the one before."""
    name, made = f"{registry}/app", list[Any]()

    def push(word: str) -> str:
        context = archive({"Dockerfile": f"FROM {image}\nLABEL word={word}-{registry}\n".encode()})
        new, _ = docker_client.images.build(fileobj=io.BytesIO(context), custom_context=True, rm=True)
        new.tag(name, "1")
        assert "digest" in docker_client.images.push(name, "1")
        made.append(new)
        made[0].tag(name, "1")
        return f"{name}:1"

    yield push
    for each in made:
        docker_client.images.remove(each.id, force=True)


async def test_a_newer_image_in_the_registry_is_told_of_until_it_is_pulled(
    tmp_path: Path,
    engine: str,
    docker_client: docker.DockerClient,
    published: Callable[[str], str],
    box: Callable[..., Any],
) -> None:
    name, image = unique("dated"), published("one")
    box(name, image=image)
    sections: dict[str, Any] = {"agent": {"docker_host": engine, "name": "here"}, "links": {"heartbeat_interval": 0.2}}
    roci = Roci(Settings(data_dir=str(tmp_path / "data"), sections=sections))
    async with roci.running():

        def runs() -> str:
            """The id of the host, once it tells of the container."""
            lives = roci.part(Hub).roster.values()
            return next((one.host.id for one in lives if name in [each.name for each in one.containers or ()]), "")

        async def outdated() -> list[str]:
            await roci.part(Updates).check(runs())
            await roci.part(Judge).board.flush()
            rows, _ = await roci.read(alerts.list_, "active")
            return [row.message for row in rows if row.type == "image_update" and row.subject == image]

        await until(runs, 60)
        assert await outdated() == []
        published("two")
        assert await outdated() == [f"the registry has a newer {image} ({name}) on here"]
        docker_client.images.pull(image)
        assert await outdated() == []
