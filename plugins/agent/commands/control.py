"""One container, by what people call it: start, stop, restart, pause, unpause, remove."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from .. import naming
from ..engine import CHANGE, Engine, Refused, engine
from ..process import Stderr
from .replacing import GRACE, name_of

SHOWN = 5  # names in a message


def found(containers: Sequence[Mapping[str, Any]], text: str) -> Mapping[str, Any]:
    """The listed container that somebody calls so: by its id, its name, or the beginning of its id.

    Raises StepFailed that names what was looked for, or those that it could mean.
    """
    meant = naming.meant(text, containers, _told)
    if not meant:
        raise StepFailed(f"there is no container {text!r} on this host", exit_code=1)
    if len(meant) > 1:
        names = ", ".join(sorted(map(name_of, meant))[:SHOWN])
        raise StepFailed(f"{text!r} is the beginning of more than one container's id: {names}", exit_code=1)
    return meant[0]


def _told(container: Mapping[str, Any]) -> tuple[str, list[str]]:
    return container["Id"], [name.removeprefix("/") for name in container["Names"] or ()]


async def find(docker: Engine, text: str) -> Mapping[str, Any]:
    """Raises StepFailed."""
    return found(await docker.call(lambda api: list(api.containers(all=True))), text)


async def control(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Prints the container's name when it is done."""
    docker = engine(site.docker_host)
    try:
        one = await find(docker, args["container"])
        await _do(docker, args, one["Id"])
    except StepFailed as error:
        yield Stderr(f"{error.message}\n")
        raise StepFailed("", exit_code=error.details.get("exit_code", 1)) from None
    yield f"{name_of(one)}\n"


async def _do(docker: Engine, args: Mapping[str, Any], container: str) -> None:
    action, grace = args["action"], args["timeout_seconds"]
    if action in ("stop", "restart") and grace is None:
        grace = await _own_grace(docker, container)
    works: Mapping[str, Callable[[Any], object]] = {
        "start": lambda api: api.start(container),
        "stop": lambda api: api.stop(container, timeout=grace),
        "restart": lambda api: api.restart(container, timeout=grace),
        "pause": lambda api: api.pause(container),
        "unpause": lambda api: api.unpause(container),
        "remove": lambda api: api.remove_container(container, force=args["force"]),
    }
    if action not in works:
        raise StepFailed(f"nothing called {action!r} can be done to a container")
    try:
        await docker.change(works[action], limit=CHANGE + (grace or 0))
    except Refused as error:
        if not (action == "remove" and error.is_missing):  # somebody else was faster
            raise


async def _own_grace(docker: Engine, container: str) -> int:
    """Seconds that a container wants between being asked and being killed."""
    seconds = (await docker.call(lambda api: dict(api.inspect_container(container))))["Config"].get("StopTimeout")
    return GRACE if seconds is None else int(seconds)


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"container": control}
