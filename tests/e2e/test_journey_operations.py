"""What is done to hosts, from the native surface to a real engine: commands, containers, lines that are followed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from .bed import Agent, Client, Server, unique, wait_for
from .journey import QUICK, App, admit, agent, containers, ended, files_with, get, stack

NewServer = Callable[..., Server]
NewAgent = Callable[..., Agent]
PATIENCE = 60.0
MIB = 1024 * 1024


class Host:
    """An agent that allows everything, and its page of the native surface."""

    def __init__(self, server: Server, process: Agent) -> None:
        self.server, self.process = server, process
        self.id = agent(server.api, process.name, PATIENCE)["id"]
        self.path = f"/api/v1/agents/{self.id}"

    def do(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> dict[str, Any]:
        """Something done to its end."""
        status, answer = self.server.api.request(method, f"{self.path}/{path}", json={"wait": 20, **(body or {})})
        assert status in (200, 202), answer
        return answer["operation"] or ended(self.server.api, answer["operation_id"], PATIENCE)

    def run(self, command: str, **more: Any) -> dict[str, Any]:
        return self.do("exec", {"command": command, **more})


@pytest.fixture
def host(new_server: NewServer, new_agent: NewAgent, engine: str) -> Host:
    server = new_server(environment=QUICK)
    admit(server.api, {"type": "any"})
    options = ("--allow", "exec,reboot")
    return Host(server, new_agent(server.url, unique("h"), docker_host=engine, options=options))


def memory(server: Server) -> int:
    """Bytes that the server's process has in memory."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


# --- commands ---


def test_a_command_runs_and_its_secret_is_only_for_who_gave_it(host: Host) -> None:
    done = host.run('echo "$TOKEN"; echo careful >&2; exit 3', env={"TOKEN": "verysecret1"}, working_directory="/tmp")
    assert (done["status"], done["exit_code"]) == ("failed", 3)
    assert (done["stdout"], done["stderr"]) == ("verysecret1\n", "careful\n")
    assert "verysecret1" not in done["output"] and "***" in done["output"]
    assert host.run("pwd", working_directory="/tmp")["stdout"] == "/tmp\n"
    host.server.stop()
    assert files_with("verysecret1", host.server.data_dir, host.server.log, host.process.log) == []
    host.server.start()
    agent(host.server.api, host.process.name, PATIENCE)
    again = get(host.server.api, f"/api/v1/operations/{done['id']}")
    assert (again["stdout"], again["stderr"]) == ("***\n", "careful\n"), "nobody knows it any more"


def test_a_command_is_killed_at_its_time_with_all_it_began(host: Host, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    done = host.run(f"sleep 1000 & echo $! $$ > {pids}; echo begun; wait", timeout_seconds=3)
    assert (done["status"], done["exit_code"], done["stdout"]) == ("timed_out", 124, "begun\n")
    for pid in pids.read_text().split():
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists(), PATIENCE, f"the end of process {pid}")


def test_a_gibibyte_of_output_leaves_its_end_and_the_server_answers_meanwhile(host: Host) -> None:
    host.run("true")
    before = memory(host.server)
    command = "head -c 1073741824 /dev/zero | tr '\\0' 'x'; echo end"
    status, begun = host.server.api.post(f"{host.path}/exec", {"command": command, "timeout_seconds": 300})
    assert status == 202
    answered = 0
    while get(host.server.api, f"/api/v1/operations/{begun['operation_id']}")["status"] == "running":
        assert requests.get(f"{host.server.url}/api/v1/health/lite", timeout=10).ok
        answered += 1
    done = ended(host.server.api, begun["operation_id"], 300)
    assert (done["status"], done["truncated"], len(done["stdout"])) == ("succeeded", True, 64 * 1024)
    assert done["stdout"].endswith("xxx" + "end\n") and answered > 1
    assert memory(host.server) - before < 64 * MIB
    assert agent(host.server.api, host.process.name)["connected"]


def test_a_command_is_cancelled_and_tells_what_it_had_said(host: Host) -> None:
    _, begun = host.server.api.post(f"{host.path}/exec", {"command": "echo half; sleep 1000"})
    operation = f"/api/v1/operations/{begun['operation_id']}"
    wait_for(lambda: "half" in get(host.server.api, operation)["output"], PATIENCE, "its first words")
    assert host.server.api.post(f"{operation}/cancel")[0] == 200
    done = ended(host.server.api, begun["operation_id"], PATIENCE)
    assert (done["status"], done["stdout"]) == ("cancelled", "half\n")


def test_a_hundred_commands_at_once_run_sixteen_at_a_time(host: Host, tmp_path: Path) -> None:
    """Each counts how many there are while it runs."""
    command = (
        f"mkdir -p {tmp_path}/on; touch {tmp_path}/on/$N; ls {tmp_path}/on | wc -l; sleep 0.3; rm {tmp_path}/on/$N"
    )
    session = host.server.api.session.cookies

    def begin(number: int) -> str:
        client = Client(host.server.url)
        client.session.cookies.update(session)
        body = {"command": command, "env": {"N": str(number)}, "timeout_seconds": 120}
        status, answer = client.post(f"{host.path}/exec", body)
        assert status == 202, answer
        return str(answer["operation_id"])

    with ThreadPoolExecutor(20) as pool:
        begun = list(pool.map(begin, range(100)))
    rows = [ended(host.server.api, operation, 120) for operation in begun]
    assert {row["status"] for row in rows} == {"succeeded"}
    at_once = [int(row["stdout"]) for row in rows]
    assert 1 < max(at_once) <= 16, at_once


# --- containers ---


@pytest.fixture
def app(host: Host, image: str, cleanup: Callable[[str], str]) -> App:
    project = cleanup("hands")
    talk = ["sh", "-c", "echo to-out; echo to-err >&2; trap 'exit 0' TERM; n=0; while true; do sleep 1; done"]
    return App(host.server.api, project, stack({"web": {"image": image, "command": talk}}), host.id)


def container_of(host: Host, docker_client: docker.DockerClient, app: App) -> str:
    """Its name, once the host has told of it."""
    found = wait_for(lambda: containers(docker_client, app.name), PATIENCE, "the container")
    name = str(found[0].name)

    def is_told() -> bool:
        listed = get(host.server.api, f"{host.path}/containers")["containers"] or []
        return any(one["name"] == name for one in listed)

    wait_for(is_told, PATIENCE, "a heartbeat with it")
    return name


def test_a_container_is_controlled_by_name_and_nothing_else_is_done_to_its_application_meanwhile(
    host: Host, app: App, docker_client: docker.DockerClient
) -> None:
    assert app.run("deploy")["status"] == "succeeded"
    name = container_of(host, docker_client, app)
    container = docker_client.containers.get(name)
    for action, state in (("pause", "paused"), ("unpause", "running"), ("stop", "exited"), ("start", "running")):
        done = host.do(f"containers/{name}/{action}", {"timeout_seconds": 1} if action == "stop" else {})
        assert (done["status"], done["application_name"]) == ("succeeded", app.name), done
        container.reload()
        assert container.status == state
    started = container.attrs["State"]["StartedAt"]
    assert host.do(f"containers/{str(container.id)[:12]}/restart", {"timeout_seconds": 1})["exit_code"] == 0
    container.reload()
    assert container.attrs["State"]["StartedAt"] > started
    status, answer = host.server.api.post(f"{app.path}/restart", {"timeout_seconds": 1, "wait": 20})
    assert status in (200, 202), answer
    whole = ended(host.server.api, answer["operation_id"], PATIENCE)
    assert (whole["kind"], whole["status"], whole["stdout"]) == ("restart", "succeeded", f"{name}\n")
    ghost = host.do("containers/ghost/restart")
    assert (ghost["status"], ghost["exit_code"]) == ("failed", 1) and "ghost" in ghost["stderr"]
    assert [row["kind"] for row in app.operations][:2] == ["restart", "container"]
    assert app.status == "running"
    assert host.do(f"containers/{name}?force=true", method="DELETE")["status"] == "succeeded"
    assert containers(docker_client, app.name) == []


def events(response: requests.Response) -> Iterator[tuple[str, Any]]:
    """The name and the data of each server-sent event."""
    name = ""
    for line in response.iter_lines(decode_unicode=True):
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def test_lines_are_read_and_followed_until_the_container_goes(
    host: Host, app: App, docker_client: docker.DockerClient
) -> None:
    app.run("deploy")
    name = container_of(host, docker_client, app)
    logs = f"{host.path}/containers/{name}/logs"

    def both() -> bool:
        return sorted(get(host.server.api, f"{logs}?tail=10")["lines"]) == ["to-err", "to-out"]

    wait_for(both, PATIENCE, "both lines")
    assert len(get(host.server.api, f"{logs}?tail=1")["lines"]) == 1
    status, body = host.server.api.get(f"{host.path}/containers/ghost/logs")
    assert (status, body["error"]["code"]) == (404, "not_found")
    with host.server.api.session.get(f"{host.server.url}{logs}?follow=true", stream=True, timeout=PATIENCE) as followed:
        coming = events(followed)
        seen: list[str] = []
        while len(seen) < 2:
            _, data = next(coming)
            seen += data["lines"]
        docker_client.containers.get(name).exec_run(["sh", "-c", "echo later > /proc/1/fd/1"])
        assert next(coming) == ("lines", {"lines": ["later"]})
        docker_client.containers.get(name).remove(force=True)
        assert [event for event, _ in coming][-1] == "end"


def test_a_follower_hears_that_the_host_left(host: Host, app: App, docker_client: docker.DockerClient) -> None:
    app.run("deploy")
    logs = f"{host.path}/containers/{container_of(host, docker_client, app)}/logs?follow=true"
    with host.server.api.session.get(f"{host.server.url}{logs}", stream=True, timeout=PATIENCE) as followed:
        coming = events(followed)
        assert next(coming)[0] == "lines"
        host.process.kill9()
        event, data = list(coming)[-1]
        assert event == "end" and "left" in data["reason"]


def test_a_follower_that_stops_reading_costs_a_bounded_amount(
    host: Host, image: str, cleanup: Callable[[str], str], docker_client: docker.DockerClient
) -> None:
    project = cleanup("flood")
    flood = ["sh", "-c", "yes 'a line that says nothing at all, again and again, and will not stop' | head -n 2000000"]
    app = App(host.server.api, project, stack({"web": {"image": image, "command": flood}}), host.id)
    app.run("deploy")
    name = container_of(host, docker_client, app)
    before = memory(host.server)
    cookie = "; ".join(f"{each.name}={each.value}" for each in host.server.api.session.cookies)
    where, port = host.server.url.removeprefix("http://").split(":")
    lazy: list[socket.socket] = []
    for _ in range(3):
        lazy.append(socket.create_connection((where, int(port)), 10))
        lazy[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET {host.path}/containers/{name}/logs?follow=true&tail=10000 HTTP/1.1\r\nHost: {where}:{port}\r\n"
        lazy[-1].sendall(f"{request}Cookie: {cookie}\r\n\r\n".encode())
    most = before
    docker_client.containers.get(name).wait(timeout=120)
    for _ in range(20):  # the others are served meanwhile
        assert get(host.server.api, f"{host.path}/containers/{name}/logs?tail=5")["lines"]
        most = max(most, memory(host.server))
    for each in lazy:
        assert b"text/event-stream" in each.recv(4096)
        each.close()
    assert most - before < 64 * MIB, f"{(most - before) // MIB} MiB more"
    assert agent(host.server.api, host.process.name)["connected"]


def test_a_prune_is_previewed_and_spares_what_an_application_owns(
    host: Host, app: App, docker_client: docker.DockerClient, image: str
) -> None:
    app.run("deploy")
    assert app.run("stop")["status"] == "succeeded"
    litter = docker_client.containers.create(image, ["true"], name=unique("litter"))
    try:
        litter.start()
        litter.wait(timeout=60)
        preview = get(host.server.api, f"{host.path}/prune?what=containers")["preview"]
        text = json.dumps(preview)
        assert str(litter.name) in text
        names = [one["name"] for one in preview["containers"]]
        assert str(litter.name) in names and not any(name.startswith(app.name) for name in names)
    finally:
        litter.remove(force=True)
    assert containers(docker_client, app.name), "the stopped application is still there"
