"""Applications of a real swarm of one machine, by a real agent: an engine of its own, which leaves the swarm again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from .bed import Agent, unique, wait_for
from .desk import Desk, desk
from .engines import SecondHost, connect
from .journey import files_with

NewAgent = Callable[..., Agent]
SECRET = "s3cret-of-the-swarm"
STACK = "com.docker.stack.namespace"
WEB = """
services:
  web:
    image: IMAGE
    command: httpd -f -p 8080 -h /www
    environment: {TOKEN: "${TOKEN}", OTHER: }
    volumes: ["data:/data"]
    stop_grace_period: 1s
    deploy: {replicas: 2, restart_policy: {delay: 100ms}}
  every:
    image: IMAGE
    command: sleep 10000
    init: true
    deploy: {mode: global, restart_policy: {delay: 100ms}}
    depends_on: [web]
volumes: {data: {}}
"""


@pytest.fixture
async def server(second_host: SecondHost) -> AsyncIterator[Desk]:
    async with desk(second_host.here) as made:
        yield made


@pytest.fixture
def host(server: Desk, second_host: SecondHost, new_agent: NewAgent) -> Agent:
    return new_agent(server.url, unique("swarm"), netns=second_host.name, docker_host=second_host.docker_host)


@pytest.fixture
def swarm(second_host: SecondHost) -> Iterator[docker.DockerClient]:
    with contextlib.closing(connect(second_host.docker_host)) as client:
        client.swarm.init(advertise_addr="127.0.0.1")
        yield client
        client.swarm.leave(force=True)
        client.volumes.prune()


def services(client: docker.DockerClient, app: str) -> dict[str, Any]:
    found = client.services.list(filters={"label": f"{STACK}={app}"})
    return {one.name.removeprefix(f"{app}_"): one for one in found}


def running(client: docker.DockerClient, app: str) -> list[Any]:
    return list(client.containers.list(filters={"label": f"{STACK}={app}"}))


async def do(server: Desk, action: str, app: str, text: str = "", **secrets: str) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if action == "deploy":
        given = [{"name": name, "value": value} for name, value in secrets.items()]
        more = {"compose_yml": text, "secrets": given}
    result = await server.do(action, app_id=app, backend="swarm", timeout_seconds=120, **more)
    return result


async def test_an_application_lives_in_a_swarm(
    server: Desk, swarm: docker.DockerClient, host: Agent, image: str
) -> None:
    assert "backend:swarm" in (await server.joined())["capabilities"]
    app, text = unique("shop"), WEB.replace("IMAGE", image)
    result = await do(server, "deploy", app, text, TOKEN=SECRET, OTHER="more")
    assert result["success"], result
    assert f"{app}_web: 2/2 running" in result["output"] and f"{app}_every: 1/1 running" in result["output"]
    assert len(running(swarm, app)) == 3
    env = services(swarm, app)["web"].attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    assert sorted(env) == ["OTHER=more", f"TOKEN={SECRET}"]
    assert files_with(SECRET, host.volume_base, host.state_dir) == []
    assert SECRET not in json.dumps(server.frames)
    beat = await server.until(lambda: next((b for b in server.containers if b["app"] == app), None))
    assert beat["status"] == "running"

    result = await do(server, "deploy", app, text.replace("replicas: 2", "replicas: 1"), TOKEN=SECRET)
    assert result["success"] and len(running(swarm, app)) == 2, result
    before = {one.id for one in running(swarm, app)}
    result = await server.do("restart", project=app, app_id=app, backend="swarm", timeout_seconds=None)
    assert result["success"] and f"restarting {app}_web\n" in result["stdout"], result
    assert len(running(swarm, app)) == 2 and not before & {one.id for one in running(swarm, app)}
    for _ in range(2):
        assert (await do(server, "stop", app))["success"]
        assert running(swarm, app) == []
    result = await do(server, "start", app)
    assert result["success"] and len(running(swarm, app)) == 2, result
    assert (await do(server, "delete", app))["success"]
    assert services(swarm, app) == {}
    assert f"{app}_default" not in {one.name for one in swarm.networks.list()}
    assert f"{app}_data" in {one.name for one in swarm.volumes.list()}
    assert (await do(server, "delete", app))["success"], "twice is once"
    assert not (await do(server, "start", app))["success"]


async def test_the_data_of_a_stack_that_was_removed_by_hand_is_spared_by_a_prune(
    server: Desk, swarm: docker.DockerClient, host: Agent, image: str
) -> None:
    app, text = unique("lost"), WEB.replace("IMAGE", image)
    assert (await do(server, "deploy", app, text))["success"]
    for service in services(swarm, app).values():
        service.remove()
    filters = {"label": f"{STACK}={app}"}
    await asyncio.to_thread(wait_for, lambda: not swarm.api.containers(all=True, filters=filters), 60, "no container")
    await server.do("prune", what=["volumes"])
    swarm.volumes.get(f"{app}_data")  # the agent knows whose it is
    (host.volume_base / app / "docker-stack.json").unlink()
    await server.do("prune", what=["volumes"], keep=[app])
    swarm.volumes.get(f"{app}_data")  # the server does too
    done = json.loads((await server.do("prune", what=["volumes"]))["stdout"])
    assert f"{app}_data" in done["volumes"]["removed"], "without the application it is nobody's"


async def test_a_deploy_whose_tasks_fail_fails_with_their_own_words(
    server: Desk, swarm: docker.DockerClient, host: Agent, image: str
) -> None:
    app, text = unique("broken"), WEB.replace("IMAGE", image)
    result = await do(server, "deploy", app, text.replace("sleep 10000", "sh -c 'echo it broke; exit 7'"))
    assert not result["success"] and f"{app}_every: task: non-zero exit (7): it broke" in result["output"], result
    result = await do(server, "deploy", app, text)
    assert result["success"], "a good file mends it"
    result = await do(server, "deploy", app, text.replace(f"image: {image}", "image: roci-test/none:1"))
    assert not result["success"] and "No such image: roci-test/none:1" in result["output"], result
    assert (await do(server, "delete", app))["success"]


async def test_a_stack_or_a_project_of_others_is_left_alone(
    server: Desk, swarm: docker.DockerClient, host: Agent, image: str, tmp_path: Path
) -> None:
    app, text = unique("theirs"), WEB.replace("IMAGE", image)
    theirs = swarm.services.create(image, ["sleep", "1000"], name=f"{app}_x", labels={STACK: app})
    for action in ("deploy", "stop", "delete"):
        result = await do(server, action, app, text)
        assert not result["success"] and f"a stack named '{app}' is in the swarm" in result["output"], result
    theirs.remove()
    label = {"com.docker.compose.project": app}
    one = swarm.containers.run(image, ["sleep", "1000"], labels=label, detach=True, init=True)
    result = await do(server, "deploy", app, text)
    assert not result["success"] and one.name in result["output"], result
    one.remove(force=True)


async def test_a_host_offers_the_swarm_when_it_manages_one_and_without_is_told_so(
    server: Desk, second_host: SecondHost, host: Agent, image: str
) -> None:
    assert "backend:swarm" not in (await server.joined())["capabilities"]
    result = await do(server, "deploy", unique("none"), WEB.replace("IMAGE", image))
    assert not result["success"] and "swarm manager" in result["output"]
    with contextlib.closing(connect(second_host.docker_host)) as client:
        client.swarm.init(advertise_addr="127.0.0.1")
        try:
            server.registered = {}
            await server.hang_up()
            await server.until(lambda: "backend:swarm" in server.registered.get("capabilities", ()))
        finally:
            await asyncio.to_thread(client.swarm.leave, force=True)
