"""Whose is a Compose project on this host? An application never touches containers that somebody else made.

Compose and both of our backends find containers by the project's name alone, and remove those that the file does
not have. So every plan begins by claiming the name.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ...backends.containers import HASH, PROJECT
from ..engine import Refused, engine
from .compose import FILE
from .folders import folder
from .replacing import name_of

FILES = "com.docker.compose.project.config_files"
STACK = "com.docker.stack.namespace"
FOLDER = "com.docker.compose.project.working_dir"
SHOWN = 5  # names in a message


async def claim(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Raise StepFailed when the project's name is in use here for something else."""
    project, file = args["project"], str(folder(site.volume_base, args["app"]) / FILE)
    label = f"{PROJECT}={project}"
    found = await engine(site.docker_host).call(lambda api: list(api.containers(all=True, filters={"label": [label]})))
    if others := foreign(found, file):
        raise StepFailed(_refusal(project, others))
    stack = f"{STACK}={project}"
    if tasks := await engine(site.docker_host).call(lambda api: list(api.containers(filters={"label": [stack]}))):
        names = ", ".join(sorted(map(name_of, tasks))[:SHOWN])
        raise StepFailed(f"a stack named {project!r} runs in the swarm of this host: {names}. Remove that first")
    yield ""  # there is nothing to tell


def foreign(found: Sequence[Mapping[str, Any]], file: str) -> list[Mapping[str, Any]]:
    """Those of a project's listed containers that neither plain Docker nor Compose made from this file."""
    return [one for one in found if HASH not in one["Labels"] and one["Labels"].get(FILES) != file]


def _refusal(project: str, others: Sequence[Mapping[str, Any]]) -> str:
    names = sorted(name_of(one) for one in others)
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    places = {one["Labels"].get(FILES) or one["Labels"].get(FOLDER) or "an unknown place" for one in others}
    return (
        f"a Compose project named {project!r} is on this host already and is not this application's: {shown} "
        f"from {', '.join(sorted(places))}. Choose another name for the application, or take that project down "
        f"first with `docker compose -p {project} down`"
    )


async def volumes(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Remove some volumes of a project, for good. What is not labelled as its own stays, whatever its name."""
    docker, kept = engine(site.docker_host), []
    label = f"{PROJECT}={args['project']}"
    found = await docker.call(lambda api: api.volumes(filters={"label": [label]}).get("Volumes") or [])
    mine = {one["Name"] for one in found}
    for name in args["names"]:
        if name not in mine:
            yield f"kept the volume {name}: it is not here, or not this application's\n"
            continue
        try:
            await docker.change(functools.partial(_remove_volume, name))
            yield f"removed the volume {name}\n"
        except Refused as error:
            kept.append(f"{name}: {error.message}")
    if kept:
        raise StepFailed(f"not every volume could be removed: {'; '.join(kept)}")


def _remove_volume(name: str, api: Any) -> None:
    api.remove_volume(name)


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"project.claim": claim, "project.volumes": volumes}
