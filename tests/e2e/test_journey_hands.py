"""What a real agent does to its host when it is told to: a process of its own, real engines, a real registry."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from .bed import Agent, free_port, unique, wait_for
from .desk import Desk, desk
from .engines import COMPOSE_PROJECT, SecondHost, connect, remove_labelled, unavailable

NewAgent = Callable[..., Agent]
ALLOW = ("--allow", "exec,reboot")


@pytest.fixture
async def server() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made


@pytest.fixture
def host(server: Desk, new_agent: NewAgent) -> Agent:
    """An agent that may run commands; without an engine, which those do not need."""
    return new_agent(server.url, unique("hands"), options=ALLOW, docker_host="unix:///nowhere/engine.sock")


@pytest.fixture
def docked(server: Desk, new_agent: NewAgent, engine: str) -> Agent:
    return new_agent(server.url, unique("hands"), options=ALLOW, docker_host=engine)


def is_gone(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def memory(agent: Agent) -> int:
    """MiB that the agent's process takes."""
    assert agent.process
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


# --- commands ----------------------------------------------------------------------


async def test_what_must_be_asked_for_by_name_is_neither_offered_nor_done(server: Desk, new_agent: NewAgent) -> None:
    new_agent(server.url, unique("hands"), docker_host="unix:///nowhere/engine.sock")
    offered = set((await server.joined())["capabilities"])
    assert {"container", "logs", "image_pull", "prune", "prune_preview", "registry_login"} <= offered
    assert not {"exec", "reboot", "terminal"} & offered
    for type, fields in (("exec", {"command": "touch /tmp/never"}), ("reboot", {})):
        result = await server.do(type, **fields)
        assert (result["success"], result["exit_code"]) == (False, 126)
        assert f"does not allow {type}" in result["output"]


async def test_a_gibibyte_of_output_is_read_in_little_memory_while_heartbeats_go_on(server: Desk, host: Agent) -> None:
    line = "head -c 1073741824 /dev/zero | tr '\\0' x; echo; echo the end; echo err >&2"
    running = await server.begin("exec", command=line, timeout_seconds=300)
    first = await server.until(lambda: server.of(running, "output"))
    before = server.heartbeats
    await server.until(lambda: server.heartbeats >= before + 3 or server.of(running, "result"))
    assert not server.of(running, "result"), "the heartbeats went on while it ran"
    result = await server.result(running, 280)
    assert (result["exit_code"], result["truncated"], result["stderr"]) == (0, True, "err\n")
    assert result["stdout"].endswith("x\nthe end\n") and len(result["stdout"]) == 64 * 1024
    assert first[0].get("seq", 0) == 0
    assert memory(host) < 100


async def test_a_command_out_of_time_is_ended_with_children_that_ignore_it(server: Desk, host: Agent) -> None:
    line = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done' & echo $$; wait; wait; sleep 100"
    result = await server.do("exec", command=line, timeout_seconds=3)
    assert (result["exit_code"], result["data"]["timed_out"], result["success"]) == (124, True, False)
    pids = [int(word) for word in result["stdout"].split()]
    assert len(pids) == 2, "what it had printed is kept"
    await asyncio.to_thread(wait_for, lambda: all(map(is_gone, pids)), 60, "their end")


async def test_a_cancelled_command_ends_and_says_so(server: Desk, host: Agent) -> None:
    running = await server.begin("exec", command="echo $$; sleep 100")
    pid = int(await server.until(lambda: server.text(running)))
    await server.cancel(running)
    assert (await server.result(running))["data"]["cancelled"] is True
    assert is_gone(pid)


async def test_a_command_outlives_its_connection(server: Desk, host: Agent, tmp_path: Path) -> None:
    running = await server.begin("exec", command=f"echo up; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; echo on")
    await server.until(lambda: server.text(running))
    await server.hang_up()
    (tmp_path / "go").touch()
    assert (await server.result(running))["stdout"] == "up\non\n"


async def test_an_agent_killed_during_a_command_tells_of_it_and_ends_what_was_left(server: Desk, host: Agent) -> None:
    running = await server.begin("exec", command="sh -c 'echo $$; sleep 1000' & sleep 1000")
    pid = int(await server.until(lambda: server.text(running)))
    host.kill9()
    assert not is_gone(pid)
    host.start()
    result = await server.result(running)
    assert result["data"]["interrupted"] is True
    await asyncio.to_thread(wait_for, lambda: is_gone(pid), 60, "the end of what the command had started")


# --- a reboot ------------------------------------------------------------------------


def programs(folder: Path, **scripts: str) -> str:
    """A PATH with these shell scripts and nothing else."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


async def test_a_reboot_is_acknowledged_then_done_and_has_no_result(
    server: Desk, new_agent: NewAgent, tmp_path: Path
) -> None:
    path = programs(tmp_path / "bin", systemctl=f'echo "$@" > {tmp_path}/asked')
    host = new_agent(server.url, unique("hands"), options=ALLOW, environment={"PATH": path})
    await server.joined()
    assert not (tmp_path / "asked").exists()
    running = await server.begin("reboot")
    await server.until(lambda: server.of(running, "ack"))
    assert not (tmp_path / "asked").exists(), "the answer goes first"
    await asyncio.to_thread(wait_for, (tmp_path / "asked").exists, 60, "the reboot")
    await asyncio.to_thread(wait_for, lambda: (tmp_path / "asked").read_text() == "reboot\n", 60, "how it was asked")
    await asyncio.to_thread(host.stop)
    host.start()
    await server.until(lambda: server.registered)
    seen = server.heartbeats
    await server.until(lambda: server.heartbeats > seen + 2)
    assert server.of(running, "result") == []


async def test_a_reboot_that_cannot_be_done_says_why(server: Desk, new_agent: NewAgent, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", systemctl="echo no systemd here >&2; exit 1")
    new_agent(server.url, unique("hands"), options=ALLOW, environment={"PATH": path})
    result = await server.do("reboot")
    assert (result["success"], result["exit_code"]) == (False, 126)
    assert "no systemd here" in result["stderr"] and "systemctl ended with exit code 1" in result["stderr"]


async def test_a_host_that_has_nothing_to_reboot_with_says_so(
    server: Desk, new_agent: NewAgent, tmp_path: Path
) -> None:
    path = programs(tmp_path / "bin")
    new_agent(server.url, unique("hands"), options=ALLOW, environment={"PATH": path})
    result = await server.do("reboot")
    assert result["exit_code"] == 127 and "neither systemctl nor shutdown" in result["stderr"]


# --- containers and their logs -----------------------------------------------------------


class Box:
    """Containers of one test, removed after it."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.client, self.image, self.label = client, image, unique("box")

    def run(self, script: str, **options: Any) -> Any:
        name = unique("hands")
        labels = {"roci.test": self.label}
        return self.client.containers.run(
            self.image, ["sh", "-c", script], name=name, labels=labels, detach=True, **options
        )


@pytest.fixture
def box(docker_client: docker.DockerClient, image: str) -> Iterator[Box]:
    made = Box(docker_client, image)
    yield made
    remove_labelled(docker_client, f"roci.test={made.label}")


async def test_a_container_is_stopped_started_paused_and_removed(server: Desk, docked: Agent, box: Box) -> None:
    one = box.run("sleep 1000")

    async def act(action: str, container: str = one.name, **fields: Any) -> str:
        result = await server.do("container", action=action, container=container, **fields)
        assert (result["success"], result["stdout"]) == (True, f"{one.name}\n"), result
        one.reload()
        return str(one.status)

    assert await act("stop", timeout_seconds=0) == "exited"
    assert await act("stop") == "exited", "twice is once"
    assert await act("start", one.id[:12]) == "running"
    started = one.attrs["State"]["StartedAt"]
    assert await act("restart", one.id, timeout_seconds=0) == "running" and started != one.attrs["State"]["StartedAt"]
    assert await act("pause") == "paused"
    assert await act("unpause") == "running"
    result = await server.do("container", action="remove", container=one.name)
    assert (result["exit_code"], result["success"]) == (1, False) and "running container" in result["stderr"]
    result = await server.do("container", action="remove", container=one.name, force=True)
    assert result["stdout"] == f"{one.name}\n"
    result = await server.do("container", action="start", container=one.name)
    assert (result["exit_code"], result["stdout"]) == (1, "") and one.name in result["stderr"]


async def logs_of(server: Desk, container: str, **fields: Any) -> str:
    running = await server.begin("logs", container=container, **fields)
    result = await server.result(running)
    assert result["success"], result
    return server.text(running)


async def test_logs_are_the_last_lines_of_both_streams_in_order(server: Desk, docked: Agent, box: Box) -> None:
    one = box.run("for i in 1 2 3; do echo out $i; sleep 0.1; echo err $i >&2; sleep 0.1; done")
    one.wait()
    assert await logs_of(server, one.name, tail=4) == "out 2\nerr 2\nout 3\nerr 3\n"
    stamped = (await logs_of(server, one.name, timestamps=True)).splitlines()
    moment = stamped[3].split()[0]
    later = moment[:23] + "Z"  # of the engine's nine digits three
    assert (await logs_of(server, one.name, since=later)).endswith("err 2\nout 3\nerr 3\n")
    assert (await logs_of(server, one.name, until=stamped[1].split()[0])).startswith("out 1\n")
    result = await server.do("logs", container="no-such")
    assert (result["exit_code"], result["success"]) == (1, False) and "'no-such'" in result["output"]


@pytest.mark.parametrize("tty", [False, True], ids=["framed", "terminal"])
async def test_a_line_of_ten_mebibytes_comes_whole(server: Desk, docked: Agent, box: Box, tty: bool) -> None:
    one = box.run("head -c 10485760 /dev/zero | tr '\\0' x; echo; printf '€\\n'", tty=tty)
    one.wait()
    text = (await logs_of(server, one.name, tail=-1)).replace("\r", "")
    assert text == "x" * 10485760 + "\n€\n"
    assert memory(docked) < 120


async def test_logs_are_followed_until_it_is_cancelled(server: Desk, docked: Agent, box: Box) -> None:
    one = box.run("echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; printf 'a\\nb\\n'; sleep 1000")
    for _ in range(40):  # more than an agent may have at a time, if they did not end
        running = await server.begin("logs", container=one.name, follow=True)
        await server.until(lambda running=running: server.text(running) == "first\n")
        await server.cancel(running)
        assert (await server.result(running))["data"]["cancelled"] is True
    running = await server.begin("logs", container=one.name, follow=True)
    await server.until(lambda: server.text(running) == "first\n")
    one.exec_run(["touch", "/tmp/go"])
    await server.until(lambda: server.text(running).endswith("a\nb\n"))
    await server.hang_up()  # what follows ends with its connection
    assert (await server.joined())["hostname"] == docked.name
    assert await logs_of(server, one.name, tail=1) == "b\n"
    assert server.of(running, "result") == []


async def test_following_ends_when_the_container_is_removed(server: Desk, docked: Agent, box: Box) -> None:
    one = box.run("echo up; sleep 1000")
    running = await server.begin("logs", container=one.name, follow=True)
    await server.until(lambda: server.text(running))
    await asyncio.to_thread(one.remove, force=True)
    assert (await server.result(running))["success"] is True


# --- a registry ----------------------------------------------------------------------------

USER, PASSWORD = "ci", "correct-horse-registry"
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuh///epdHQZwkyTKGlToETzrkQpNPqvS\n"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry that wants a name and a password."""
    program = shutil.which("docker-registry")
    if program is None or not shutil.which("docker"):
        unavailable("a registry login needs docker-registry and the docker program")
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    (tmp_path / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}/blobs}}}}\n"
        f"auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}\n"
    )
    running = subprocess.Popen([program, "serve", str(tmp_path / "registry.yml")], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1), 30, "a registry")
        yield address
    finally:
        running.kill()
        running.wait()


def argvs() -> set[bytes]:
    """The command line of every process there is."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(file.read_bytes())
    return found


@pytest.fixture
def private(docker_client: docker.DockerClient, image: str, registry: str) -> Iterator[str]:
    """An image that only those who are logged in can pull, and that is not here."""
    name = f"{registry}/private"
    docker_client.images.get(image).tag(name, "1")
    pushed = docker_client.images.push(name, "1", auth_config={"username": USER, "password": PASSWORD})
    assert "digest" in pushed, pushed
    docker_client.images.remove(f"{name}:1")
    yield f"{name}:1"
    with contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.images.remove(f"{name}:1")


async def test_a_login_lets_pulls_and_deploys_in_and_its_password_is_in_no_argument(
    server: Desk,
    new_agent: NewAgent,
    engine: str,
    registry: str,
    private: str,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    noting = programs(tmp_path / "bin", docker=f'echo "$@" >> {tmp_path}/asked; exec {shutil.which("docker")} "$@"')
    environment = {"DOCKER_CONFIG": str(tmp_path / "docker-config"), "PATH": f"{noting}:{os.environ['PATH']}"}
    host = new_agent(server.url, unique("hands"), options=ALLOW, docker_host=engine, environment=environment)
    refused = await server.do("image_pull", image=private)
    assert refused["exit_code"] == 1 and "no basic auth credentials" in refused["stderr"]

    wrong = await server.do("registry_login", registry_url=registry, username=USER, password="wrong-password")
    assert wrong["exit_code"] == 1 and "unauthorized" in wrong["stderr"].lower()

    seen: set[bytes] = set()
    running = await server.begin("registry_login", registry_url=registry, username=USER, password=PASSWORD)
    while not server.of(running, "result"):
        seen |= await asyncio.to_thread(argvs)
    result = await server.result(running)
    assert (result["exit_code"], "Login Succeeded" in result["stdout"]) == (0, True), result
    asked = (tmp_path / "asked").read_text()
    assert "--password-stdin" in asked and PASSWORD not in asked
    assert not any(PASSWORD.encode() in argv for argv in seen)
    assert not any(PASSWORD in json.dumps(frame) for frame in server.frames)
    assert not any(PASSWORD.encode() in file.read_bytes() for file in host.state_dir.rglob("*") if file.is_file())

    pulled = await server.do("image_pull", image=private)
    assert pulled["success"] and "Digest: sha256:" in pulled["stdout"], pulled
    for backend in ("compose", "docker"):
        docker_client.images.remove(private)
        name = unique("private")
        compose = f"services: {{w: {{image: '{private}', command: [sleep, '1000'], init: true}}}}"
        deploy = {"app_id": name, "secrets": [], "timeout_seconds": 120, "backend": backend}
        result = await server.do("deploy", compose_yml=compose, **deploy)
        remove_labelled(docker_client, f"{COMPOSE_PROJECT}={name}")
        assert result["success"], result
    docker_client.images.remove(private)

    assert (await server.do("registry_logout", registry_url=registry))["exit_code"] == 0
    assert (await server.do("image_pull", image=private))["exit_code"] == 1


async def test_a_host_without_the_docker_program_says_what_a_login_needs(
    server: Desk, new_agent: NewAgent, tmp_path: Path
) -> None:
    new_agent(server.url, unique("hands"), environment={"PATH": programs(tmp_path / "bin")})
    result = await server.do("registry_login", registry_url="ghcr.io", username="u", password=PASSWORD)
    assert result["exit_code"] == 127 and "the docker program is not installed" in result["stderr"]


# --- pruning, on an engine of its own ----------------------------------------------------------

APP = """
services:
  w: {image: IMAGE, command: [sleep, '1000'], init: true, volumes: ['data:/data']}
volumes: {data: {}}
"""
EVERYTHING = ["containers", "networks", "volumes", "images", "build_cache"]


async def test_pruning_takes_what_nothing_uses_and_leaves_stopped_applications_whole(
    second_host: SecondHost, new_agent: NewAgent, image: str
) -> None:
    async with desk(second_host.here) as server:
        agent = new_agent(server.url, unique("hands"), netns=second_host.name, docker_host=second_host.docker_host)
        with contextlib.closing(connect(second_host.docker_host)) as client:
            await prune_there(server, client, image)
            await prune_what_lost_its_containers(server, client, image, agent)


async def prune_what_lost_its_containers(server: Desk, client: docker.DockerClient, image: str, agent: Agent) -> None:
    name = unique("lost")
    given = {"app_id": name, "backend": "docker", "timeout_seconds": 120}
    deploy = {"compose_yml": APP.replace("IMAGE", image), "secrets": [], **given}
    assert (await server.do("deploy", **deploy))["success"]
    client.containers.get(f"{name}-w-1").remove(force=True)
    await server.do("prune", what=["volumes"])
    client.volumes.get(f"{name}_data")  # the agent knows whose it is
    (agent.volume_base / name / ".roci-application").unlink()
    await server.do("prune", what=["volumes"], keep=[name])
    client.volumes.get(f"{name}_data")  # the server does too
    assert (await server.do("deploy", **deploy))["success"] and (await server.do("delete", **given))["success"]
    assert not (agent.volume_base / name / ".roci-application").exists()
    done = json.loads((await server.do("prune", what=["volumes"]))["stdout"])
    assert f"{name}_data" in done["volumes"]["removed"], "it is nobody's any more"


async def prune_there(server: Desk, client: docker.DockerClient, image: str) -> None:
    apps = {"compose": unique("App.C"), "docker": unique("app.d")}
    for backend, name in apps.items():
        text = APP.replace("IMAGE", image)
        for type, more in (("deploy", {"compose_yml": text, "secrets": []}), ("stop", {})):
            result = await server.do(type, app_id=name, backend=backend, timeout_seconds=120, **more)
            assert result["success"], result
    projects = [name.lower().replace(".", "_") for name in apps.values()]
    once = client.containers.run(image, ["true"], name=unique("once"), detach=True)
    once.wait()
    used = client.containers.run(image, ["sleep", "1000"], name=unique("used"), detach=True, init=True)
    network, volume = client.networks.create(unique("lonely")), client.volumes.create(unique("lonely"))
    nameless = client.images.build(fileobj=io.BytesIO(f"FROM {image}\nLABEL {once.name}=1\n".encode()), rm=True)[0]

    running = await server.begin("prune_preview", what=EVERYTHING)
    await server.result(running)
    told = json.loads(server.text(running))
    names = {kind: {one["name"] for one in told[kind]} for kind in EVERYTHING}
    assert once.name in names["containers"] and network.name in names["networks"] and volume.name in names["volumes"]
    assert nameless.id in {one["id"] for one in told["images"]}
    spared = {one["name"]: one["why"] for one in told["spared"]}
    assert {f"{project}-w-1" for project in projects} <= spared.keys()

    without = await server.do("prune", what=["containers", "networks", "images", "build_cache"])
    assert "volumes" not in json.loads(without["stdout"])
    client.volumes.get(volume.name)
    done = json.loads((await server.do("prune", what=EVERYTHING))["stdout"])
    assert volume.name in done["volumes"]["removed"] and done["volumes"]["count"] == len(done["volumes"]["removed"])
    assert {one.name for one in client.containers.list(all=True)} == {f"{p}-w-1" for p in projects} | {used.name}
    assert {one.name for one in client.volumes.list()} == {f"{project}_data" for project in projects}
    assert {f"{project}_default" for project in projects} <= {one.name for one in client.networks.list()}
    for backend, name in apps.items():
        assert (await server.do("start", app_id=name, backend=backend, timeout_seconds=120))["success"]
        assert (await server.do("delete", app_id=name, backend=backend, timeout_seconds=120))["success"]
    done = json.loads((await server.do("prune", what=["volumes"]))["stdout"])
    assert {f"{project}_data" for project in projects} <= set(done["volumes"]["removed"]), "nobody owns them any more"
    used.remove(force=True)
