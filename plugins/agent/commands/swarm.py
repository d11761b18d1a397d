"""The commands behind the swarm backend: `docker stack` writes the services, the engine tells how they do.

Values of variables go to the docker program by its environment, never into a file or an argument.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ...backends.containers import PROJECT
from ..engine import Engine, Refused, engine
from .compose import FILE as COMPOSE_FILE
from .compose import environment
from .folders import folder, put
from .hints import advised
from .projects import STACK
from .replacing import name_of
from .stacks import State, halted, restarted, resumed, states

FILE = "docker-stack.json"
POLL = 0.5  # seconds
Change = Callable[
    [Mapping[str, Any]], dict[str, Any] | None
]  # a service's specification as it is to be; None: as it is
STABLE = 3.0  # seconds for which all services must run before a deploy counts as done
MISSING = "the docker program is not installed on this host, and stacks are deployed by it: `apt-get install docker.io`"


def argv(program: str, *words: str) -> list[str]:
    return [program, "stack", *words]


async def claim(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Raise StepFailed when the name is in use here for something that this application is not."""
    docker, project = engine(site.docker_host), args["project"]
    label = {"label": [f"{PROJECT}={project}"]}
    if found := await docker.call(lambda api: list(api.containers(all=True, filters=label))):
        names = ", ".join(sorted(map(name_of, found))[:5])
        raise StepFailed(
            f"a Compose project named {project!r} has containers on this host: {names}. Take it down first with "
            f"`docker compose -p {project} down`; its volumes stay"
        )
    at = folder(site.volume_base, args["app"])
    if not (at / FILE).exists() and (there := await _services(docker, project)):
        names = ", ".join(sorted(service["Spec"]["Name"] for service in there))
        raise StepFailed(f"a stack named {project!r} is in the swarm and is not this application's: {names}")
    yield ""  # there is nothing to tell


async def write(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    at = folder(site.volume_base, args["app"], make=True)
    put(at / FILE, args["text"])
    (at / COMPOSE_FILE).unlink(missing_ok=True)  # of an earlier backend
    yield f"wrote {at / FILE}\n"


async def up(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Ends when every service runs as it should, or one of them will not."""
    file = folder(site.volume_base, args["app"]) / FILE
    words = ("deploy", "--compose-file", str(file), "--prune", "--with-registry-auth", args["project"])
    async with aclosing(advised(_stack(site, *words))) as output:
        async for text in output:
            yield text
    async with aclosing(_converged(engine(site.docker_host), args["project"])) as progress:
        async for text in progress:
            yield text


async def _stack(site: Site, *words: str) -> AsyncGenerator[str, None]:
    program = shutil.which("docker", path=os.environ.get("PATH", os.defpath))
    if program is None:
        raise StepFailed(MISSING, exit_code=127)
    base = site.volume_base if site.volume_base.is_dir() else "/"
    running: Any = site.spawn(argv(program, *words), cwd=base, env=environment(site))
    async with aclosing(running) as output:
        async for text in output:
            yield text


async def _converged(docker: Engine, project: str) -> AsyncGenerator[str, None]:
    """Tell how far the services are, until all have run for a while. Raises StepFailed for one that will not."""
    clock = asyncio.get_running_loop().time
    told, since = "", None
    while True:
        found = states(await _services(docker, project), await _tasks(docker, project))
        for state in found:
            if state.error:
                raise StepFailed(f"{state.name}: {state.error}{await _last_words(docker, state)}", exit_code=1)
        if (text := "".join(f"{state}\n" for state in found)) != told:
            told = text
            yield text
        since = (since or clock()) if all(map(_is_up, found)) else None
        if since is not None and clock() - since >= STABLE:
            return
        await asyncio.sleep(POLL)


async def _last_words(docker: Engine, state: State) -> str:
    """What the container of a task that failed said at its end, if it ran on this machine and is here still."""
    if not state.container:
        return ""
    try:
        said = await docker.call(lambda api: api.logs(state.container, tail=10))
    except Refused:
        return ""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _is_up(state: State) -> bool:
    return state.is_up


async def stop(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Have every service run nowhere; ends when its containers are gone."""
    docker, project = engine(site.docker_host), args["project"]
    async for text in _change(docker, project, halted, "stopped"):
        yield text
    label = {"label": [f"{STACK}={project}"]}
    await _gone(docker, lambda api: api.containers(filters=label))  # those that run


async def start(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    async with aclosing(_run_anew(site, args, resumed, "started")) as output:
        async for text in output:
            yield text


async def restart(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Have new containers in the place of all, by the rules that each service has for updates, and wait for them."""
    async with aclosing(_run_anew(site, args, restarted, "restarting")) as output:
        async for text in output:
            yield text


async def _run_anew(site: Site, args: Mapping[str, Any], to: Change, done: str) -> AsyncGenerator[str, None]:
    docker, project = engine(site.docker_host), args["project"]
    async for text in _change(docker, project, to, done):
        yield text
    async with aclosing(_converged(docker, project)) as progress:
        async for text in progress:
            yield text


async def _change(docker: Engine, project: str, to: Change, done: str) -> AsyncGenerator[str, None]:
    found = await _services(docker, project)
    if not found:
        raise StepFailed("no service of the application is in the swarm: deploy it again")
    for service in found:
        if (spec := to(service["Spec"])) is not None:
            await docker.change(lambda api, old=service, new=spec: _update(api, old, new))  # type: ignore[misc]
            yield f"{done} {service['Spec']['Name']}\n"


def _update(api: Any, service: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    from docker.errors import create_api_error_from_http_exception
    from requests import HTTPError

    url = f"{api.base_url}/v{api.api_version}/services/{service['ID']}/update"
    response = api.post(url, params={"version": service["Version"]["Index"]}, json=spec, timeout=api.timeout)
    try:
        response.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)


async def remove(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Remove services, networks, configs and secrets, and wait until they are gone; volumes stay."""
    docker, project = engine(site.docker_host), args["project"]
    async for text in _stack(site, "rm", project):
        yield text
    label = {"label": f"{STACK}={project}"}
    await _gone(docker, lambda api: api.services(filters=label))
    await _gone(docker, lambda api: api.containers(all=True, filters=label))
    await _gone(docker, lambda api: api.networks(filters=label))
    file = folder(site.volume_base, args["app"]) / FILE
    if file.is_file() or file.is_symlink():
        file.unlink()
        yield f"removed {file}; everything else in its folder stays\n"


async def _gone(docker: Engine, there: Callable[[Any], Sequence[Any]]) -> None:
    """Wait until nothing is there. The run's own time limit ends the waiting."""
    while await docker.call(there):  # noqa: ASYNC110  the engine tells of it only when it is asked
        await asyncio.sleep(POLL)


async def _services(docker: Engine, project: str) -> list[dict[str, Any]]:
    return await docker.call(lambda api: list(api.services(filters={"label": f"{STACK}={project}"})))


async def _tasks(docker: Engine, project: str) -> list[dict[str, Any]]:
    """The oldest first."""
    found = await docker.call(lambda api: list(api.tasks(filters={"label": f"{STACK}={project}"})))
    return sorted(found, key=lambda task: str(task["CreatedAt"]))


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {
        "swarm.claim": claim,
        "swarm.write": write,
        "swarm.up": up,
        "swarm.stop": stop,
        "swarm.start": start,
        "swarm.restart": restart,
        "swarm.remove": remove,
    }
