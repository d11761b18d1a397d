"""Both backends on a real engine: what is deployed, what stays, and what a failure leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from roci import Backend, Invalid, Site, Spec, StepFailed
from roci_plugins.agent import process
from roci_plugins.agent.commands import compose as compose_commands
from roci_plugins.agent.commands import containers as docker_commands
from roci_plugins.agent.commands import projects
from roci_plugins.agent.steps import perform
from roci_plugins.backends.compose import Compose
from roci_plugins.backends.docker import Docker

from ...e2e.bed import unique
from ...e2e.engines import COMPOSE_PROJECT, connect, find_engine, make_image, remove_labelled

pytestmark = pytest.mark.docker
COMMANDS = {
    name: command
    for plugin in (projects, compose_commands, docker_commands)
    for name, command in plugin.register_agent_commands().items()
}
BOTH = pytest.mark.parametrize("backend", [Compose(), Docker()], ids=["compose", "docker"])


@pytest.fixture(scope="module")
def address() -> str:
    return find_engine()


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(connect(address)) as found:
        yield found


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    return make_image(client)


class App:
    """One application under one backend, on the real engine."""

    def __init__(self, client: docker.DockerClient, address: str, image: str, base: Path) -> None:
        self.client, self.address, self.image, self.base = client, address, image, base
        self.name = unique("real")
        self.started: set[int] = set()

    def site(self, **variables: str) -> Site:
        def spawn(*args: Any, **options: Any) -> Any:
            return process.spawn(*args, **options, on_start=self.started.add, on_end=self.started.discard)

        return Site(self.base, self.address, variables, spawn)

    async def do(self, backend: Backend, action: Any, text: str = "", **variables: str) -> str:
        plan = backend.plan(action, Spec(self.name, text.replace("IMAGE", self.image)))
        return "".join([text async for text in perform(plan, COMMANDS, self.site(**variables))])

    def containers(self) -> dict[str, Any]:
        found = self.client.containers.list(all=True, filters={"label": f"{COMPOSE_PROJECT}={self.name}"})
        return {one.name: one for one in found}

    def listed(self) -> dict[str, dict[str, Any]]:
        """In one call: nothing can vanish between two."""
        found = self.client.api.containers(all=True, filters={"label": f"{COMPOSE_PROJECT}={self.name}"})
        return {one["Names"][0].removeprefix("/"): one for one in found}

    def states(self) -> dict[str, str]:
        return {name.removeprefix(f"{self.name}-"): one["State"] for name, one in self.listed().items()}

    def ids(self) -> dict[str, str]:
        return {name: one["Id"] for name, one in self.listed().items()}


@pytest.fixture
def app(client: docker.DockerClient, address: str, image: str, tmp_path: Path) -> Iterator[App]:
    made = App(client, address, image, tmp_path)
    yield made
    remove_labelled(client, f"{COMPOSE_PROJECT}={made.name}")


WEB = """
services:
  web:
    image: IMAGE
    command: httpd -f -p 8080 -h /data
    environment:
      GREETING: ${GREETING:-hello}
      TOKEN:
    volumes: ["data:/data", "./conf:/conf"]
    stop_grace_period: 1s
volumes:
  data:
"""
TWO = WEB.replace("services:", "services:\n  side:\n    image: IMAGE\n    depends_on: [web]\n    init: true")


def environment(container: Any) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in container.attrs["Config"]["Env"])}


@BOTH
async def test_a_deploy_runs_with_its_variables_and_its_folder(backend: Backend, app: App) -> None:
    await app.do(backend, "deploy", WEB, TOKEN="s3cret-token", GREETING="hi")
    web = app.containers()[f"{app.name}-web-1"]
    assert web.status == "running"
    assert (environment(web)["GREETING"], environment(web)["TOKEN"]) == ("hi", "s3cret-token")
    mounts = {mount["Destination"]: mount for mount in web.attrs["Mounts"]}
    assert mounts["/data"]["Name"] == f"{app.name}_data"
    assert mounts["/conf"]["Source"] == str(app.base / app.name / "conf")
    assert list(web.attrs["NetworkSettings"]["Networks"]) == [f"{app.name}_default"]


@BOTH
async def test_an_unchanged_redeploy_touches_no_container(backend: Backend, app: App) -> None:
    await app.do(backend, "deploy", TWO, TOKEN="x")
    before = app.ids()
    await app.do(backend, "deploy", TWO, TOKEN="x")
    assert app.ids() == before and len(before) == 2


@BOTH
async def test_a_changed_redeploy_replaces_what_changed_and_removes_what_is_gone(backend: Backend, app: App) -> None:
    await app.do(backend, "deploy", TWO)
    before = app.ids()
    await app.do(backend, "deploy", TWO, GREETING="other")
    after = app.ids()
    assert after.keys() == before.keys()
    assert after[f"{app.name}-web-1"] != before[f"{app.name}-web-1"]
    assert environment(app.containers()[f"{app.name}-web-1"])["GREETING"] == "other"
    await app.do(backend, "deploy", WEB, GREETING="other")
    assert app.states() == {"web-1": "running"}


@BOTH
async def test_stop_start_and_delete_need_no_variables_and_delete_keeps_data(backend: Backend, app: App) -> None:
    text = WEB.replace("TOKEN:", "TOKEN: ${TOKEN:?needed}")
    await app.do(backend, "deploy", text, TOKEN="x")
    app.containers()[f"{app.name}-web-1"].exec_run(["touch", "/data/kept"])
    id_ = app.ids()
    await app.do(backend, "stop", text)
    assert app.states() == {"web-1": "exited"}
    await app.do(backend, "start", text)
    assert app.states() == {"web-1": "running"} and app.ids() == id_
    await app.do(backend, "delete", text)
    assert app.states() == {}
    assert app.client.networks.list(filters={"label": f"{COMPOSE_PROJECT}={app.name}"}) == []
    assert not (app.base / app.name / "docker-compose.yml").exists() and (app.base / app.name / "conf").is_dir()
    await app.do(backend, "deploy", text, TOKEN="x")
    assert app.containers()[f"{app.name}-web-1"].exec_run(["ls", "/data"]).output == b"kept\n"


@BOTH
async def test_deleting_what_is_not_there_succeeds(backend: Backend, app: App) -> None:
    await app.do(backend, "delete", WEB)


@BOTH
async def test_a_required_variable_without_a_value_fails_by_name_and_starts_nothing(backend: Backend, app: App) -> None:
    with pytest.raises(StepFailed, match=r"TOKEN.*needed|needed.*TOKEN"):
        await app.do(backend, "deploy", WEB.replace("TOKEN:", "TOKEN: ${TOKEN:?needed}"))
    assert app.states() == {}


@BOTH
async def test_a_port_in_use_says_so_and_what_to_do(backend: Backend, app: App) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = WEB + f"  more:\nx-nothing: {taken.getsockname()[1]}\n"
        text = text.replace("    volumes:", f"    ports: ['127.0.0.1:{taken.getsockname()[1]}:8080']\n    volumes:")
        output: list[str] = []
        plan = backend.plan("deploy", Spec(app.name, text.replace("IMAGE", app.image)))
        with pytest.raises(StepFailed) as error:
            async for part in perform(plan, COMMANDS, app.site()):
                output.append(part)
    assert "address already in use" in error.value.message + "".join(output)
    assert "hint: a port is taken" in "".join(output)


@BOTH
async def test_an_image_that_cannot_be_had_says_so(backend: Backend, app: App) -> None:
    output: list[str] = []
    plan = backend.plan("deploy", Spec(app.name, "services: {w: {image: 'localhost:1/roci/nothing:1'}}"))
    with pytest.raises(StepFailed):
        async for part in perform(plan, COMMANDS, app.site()):
            output.append(part)
    assert "hint: the " in "".join(output)
    assert app.states() == {}


BROKEN = WEB.replace("httpd -f -p 8080 -h /data", "sh -c 'echo it broke; exit 7'")


async def test_a_new_container_that_does_not_start_leaves_the_old_one_running(app: App) -> None:
    await app.do(Docker(), "deploy", WEB)
    before = app.ids()
    with pytest.raises(StepFailed, match="web ended at once with exit code 7: it broke"):
        await app.do(Docker(), "deploy", BROKEN)
    assert app.ids() == before and app.states() == {"web-1": "running"}
    with pytest.raises(StepFailed, match="no-such-program"):
        await app.do(Docker(), "deploy", WEB.replace("httpd -f", "no-such-program"))
    assert app.ids() == before and app.states() == {"web-1": "running"}


async def test_a_first_container_that_does_not_start_is_not_left_behind(app: App) -> None:
    with pytest.raises(StepFailed, match="exit code 7"):
        await app.do(Docker(), "deploy", BROKEN)
    assert app.states() == {}


async def test_a_program_that_ends_well_is_no_failure(app: App) -> None:
    await app.do(Docker(), "deploy", WEB.replace("httpd -f -p 8080 -h /data", "true"))
    assert app.states() == {"web-1": "exited"}


async def test_data_in_a_volume_without_a_name_survives_the_replacement(app: App) -> None:
    text = WEB.replace('"data:/data"', '"/data"')
    await app.do(Docker(), "deploy", text)
    app.containers()[f"{app.name}-web-1"].exec_run(["touch", "/data/kept"])
    await app.do(Docker(), "deploy", text, GREETING="other")
    web = app.containers()[f"{app.name}-web-1"]
    assert web.exec_run(["ls", "/data"]).output == b"kept\n"
    nameless = next(mount["Name"] for mount in web.attrs["Mounts"] if mount["Destination"] == "/data")
    web.remove(force=True)
    app.client.volumes.get(nameless).remove()


@pytest.mark.parametrize("new_one", ["created", "running", None])
async def test_a_replacement_cut_short_is_ended_by_the_next_deploy(app: App, new_one: str | None) -> None:
    await app.do(Docker(), "deploy", WEB)
    name = f"{app.name}-web-1"
    old = app.containers()[name]
    old.rename(f"{name}_old_{old.id[:8]}")
    if new_one:
        labels = old.labels
        made = app.client.containers.create(app.image, ["sleep", "100"], name=name, labels=labels, detach=True)
        if new_one == "running":
            made.start()
    await app.do(Docker(), "deploy", WEB)
    assert list(app.ids()) == [name] and app.states() == {"web-1": "running"}
    assert (app.ids()[name] == old.id) == (new_one != "running")


async def test_services_wait_for_the_health_of_others(app: App) -> None:
    text = """
services:
  late: {image: IMAGE, depends_on: {db: {condition: service_healthy}}}
  db:
    image: IMAGE
    command: sh -c 'sleep 1; touch /tmp/ready; sleep 100'
    healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 200ms, retries: 50}
"""
    output = await app.do(Docker(), "deploy", text)
    assert "late: waits until db is healthy" in output
    assert app.states() == {"late-1": "running", "db-1": "running"}
    with pytest.raises(StepFailed, match="db is unhealthy"):
        await app.do(Docker(), "deploy", text.replace("/tmp/ready]", "/never]").replace("retries: 50", "retries: 2"))


async def test_names_of_services_and_networks_resolve(app: App) -> None:
    text = """
services:
  one: {image: IMAGE, networks: {front: {aliases: [first]}, back: {}}}
  two: {image: IMAGE, networks: [back, front]}
networks: {front: {}, back: {internal: true}}
"""
    await app.do(Docker(), "deploy", text)
    two = app.containers()[f"{app.name}-two-1"]
    for name in ("one", "first"):
        assert two.exec_run(["wget", "-qO-", f"http://{name}:8080/"]).output.startswith(b"served by"), name


async def test_a_network_of_others_is_not_taken_over(app: App) -> None:
    name = f"{app.name}_default"
    foreign = app.client.networks.create(name)
    try:
        with pytest.raises(StepFailed, match=f"a network named '{name}' exists and is not this application's"):
            await app.do(Docker(), "deploy", WEB)
    finally:
        foreign.remove()


async def test_what_plain_docker_cannot_do_never_reaches_the_host(app: App) -> None:
    with pytest.raises(Invalid, match="line 5: plain Docker does not know `deploy`"):
        await app.do(Docker(), "deploy", "services:\n  w:\n    image: x\n    init: true\n    deploy: {}\n")


@pytest.mark.parametrize(
    ("first", "second"), [(Compose(), Docker()), (Docker(), Compose())], ids=["to-docker", "to-compose"]
)
async def test_an_application_can_change_its_backend_and_keeps_its_data(
    app: App, first: Backend, second: Backend
) -> None:
    await app.do(first, "deploy", WEB)
    app.containers()[f"{app.name}-web-1"].exec_run(["touch", "/data/kept"])
    await app.do(second, "deploy", WEB, GREETING="other")
    web = app.containers()[f"{app.name}-web-1"]
    assert app.states() == {"web-1": "running"} and environment(web)["GREETING"] == "other"
    assert web.exec_run(["ls", "/data"]).output == b"kept\n"


@BOTH
@pytest.mark.parametrize("action", ["deploy", "stop", "start", "delete"])
async def test_a_project_of_others_is_left_alone(backend: Backend, app: App, tmp_path: Path, action: str) -> None:
    elsewhere = App(app.client, app.address, app.image, tmp_path / "elsewhere")
    elsewhere.name = app.name
    await elsewhere.do(Compose(), "deploy", TWO.replace("web", "theirs"))
    before = app.ids()
    with pytest.raises(StepFailed) as error:
        await app.do(backend, action, WEB)
    for part in (f"{app.name}-side-1", f"{app.name}-theirs-1", str(tmp_path / "elsewhere" / app.name), "another name"):
        assert part in error.value.message
    assert app.ids() == before and set(app.states().values()) == {"running"}
    assert not (tmp_path / app.name).exists()


# --- cancelled -----------------------------------------------------------------


async def begin(app: App, backend: Backend, text: str, until: Callable[[str], bool]) -> asyncio.Task[None]:
    """A deploy that runs in a task of its own, far enough that its output says so."""
    there, seen = asyncio.Event(), ""
    plan = backend.plan("deploy", Spec(app.name, text.replace("IMAGE", app.image)))

    async def run() -> None:
        nonlocal seen
        async with contextlib.aclosing(perform(plan, COMMANDS, app.site())) as output:
            async for part in output:
                seen += part
                if until(seen):
                    there.set()

    task = asyncio.create_task(run())
    await asyncio.wait_for(there.wait(), 30)
    return task


async def test_a_cancelled_compose_deploy_leaves_no_program_behind(app: App) -> None:
    text = """
services:
  db: {image: IMAGE, healthcheck: {test: [CMD, test, -e, /never], interval: 1s, retries: 1000}}
  late: {image: IMAGE, depends_on: {db: {condition: service_healthy}}}
"""
    task = await begin(app, Compose(), text, lambda seen: "Waiting" in seen)
    assert len(app.started) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not app.started


@pytest.mark.parametrize("phase", ["renamed", "created", "running"])
async def test_a_cancelled_replacement_puts_the_old_container_back(app: App, phase: str) -> None:
    await app.do(Docker(), "deploy", WEB)
    before, name = app.ids(), f"{app.name}-web-1"
    task = await begin(app, Docker(), WEB.replace("-h /data", "-h /www"), lambda seen: "replacing" in seen)
    deadline = asyncio.get_running_loop().time() + 20
    while phase != "renamed":
        new = await asyncio.to_thread(app.listed)
        if name in new and new[name]["Id"] != before[name] and new[name]["State"] in (phase, "running"):
            break
        assert asyncio.get_running_loop().time() < deadline, new
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.ids() == before and app.states() == {"web-1": "running"}


@BOTH
async def test_only_the_volumes_that_are_named_and_the_projects_own_go_along(app: App, backend: Backend) -> None:
    foreign = app.client.volumes.create(f"{app.name}_foreign")
    try:
        await app.do(
            backend,
            "deploy",
            "services: {web: {image: IMAGE, volumes: ['one:/a', 'two:/b']}}\nvolumes: {one: {}, two: {}}\n",
        )
        names = [f"{app.name}_one", foreign.name, "no-such-volume"]
        args = {"project": app.name, "names": names}
        with pytest.raises(StepFailed, match=r"not every volume could be removed: \S+_one"):  # a container has it
            await remove_volumes(app, args)
        await app.do(backend, "delete")
        said = await remove_volumes(app, args)
        assert f"removed the volume {names[0]}" in said and f"kept the volume {foreign.name}" in said
        left = {one.name for one in app.client.volumes.list() if one.name.startswith(app.name)}
        assert left == {f"{app.name}_two", foreign.name}
    finally:
        foreign.remove()


async def remove_volumes(app: App, args: dict[str, Any]) -> str:
    return "".join([text async for text in COMMANDS["project.volumes"](app.site(), args)])
