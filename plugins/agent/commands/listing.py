"""What lies on this host's engine: images, volumes and networks, and which containers use each. Changes nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from roci import Command, Site, StepFailed, Unavailable, hookimpl

from ...backends.containers import PROJECT
from ..engine import Engine, engine
from .projects import STACK
from .replacing import name_of
from .unused import NAMELESS, Listed

KINDS = ("images", "volumes", "networks")
ADDING_UP = 60.0  # seconds that an engine has to say how big volumes are
MOST = 5000  # of one kind that are told
NAMED = 20  # containers that are named as the users of one thing
Users = Mapping[str, Sequence[str]]  # names of containers, by what they use


async def inventory(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """One JSON object of one kind: {"count", "things": [...]}. `sizes`: of volumes, which takes an engine long."""
    kind = args["what"]
    if kind not in KINDS:
        raise StepFailed(f"what: one of {', '.join(KINDS)}", exit_code=1)
    docker = engine(site.docker_host)
    found = await docker.call(lambda api: READ[kind](api, api.containers(all=True)))
    if kind == "volumes" and args["sizes"]:
        await _measure(docker, found)
    yield json.dumps({"count": len(found), "things": found[:MOST]})


async def _measure(docker: Engine, volumes: Iterable[dict[str, Any]]) -> None:
    """Where the engine takes too long, they stay unknown."""
    try:
        told = (await docker.call(lambda api: api.df(), limit=ADDING_UP)).get("Volumes") or ()
    except Unavailable:
        return
    sizes = {one["Name"]: (one.get("UsageData") or {}).get("Size", -1) for one in told}
    for volume in volumes:
        size = sizes.get(volume["name"], -1)
        volume["size"] = size if size >= 0 else None


def images(api: Any, containers: Sequence[Listed]) -> list[dict[str, Any]]:
    """The newest first; without those that only others are built on."""
    users = _users((one, [one["ImageID"]]) for one in containers)
    told = [
        {
            "id": one["Id"],
            "tags": [tag for tag in one.get("RepoTags") or () if NAMELESS not in tag],
            "digests": [digest for digest in one.get("RepoDigests") or () if NAMELESS not in digest],
            "size": one.get("Size"),
            "created": one.get("Created"),
            **_used(users, one["Id"]),
        }
        for one in api.images()
    ]
    return sorted(told, key=lambda image: -(image["created"] or 0))


def volumes(api: Any, containers: Sequence[Listed]) -> list[dict[str, Any]]:
    """By name. The size of none is known yet."""
    users = _users((one, [mount.get("Name") for mount in one.get("Mounts") or ()]) for one in containers)
    told = [
        {
            "name": one["Name"],
            "driver": one.get("Driver", ""),
            "project": _project(one),
            "size": None,
            "created": one.get("CreatedAt"),
            **_used(users, one["Name"]),
        }
        for one in api.volumes().get("Volumes") or ()
    ]
    return sorted(told, key=lambda volume: str(volume["name"]))


def networks(api: Any, containers: Sequence[Listed]) -> list[dict[str, Any]]:
    """By name."""
    users = _users((one, _joined(one)) for one in containers)
    told = [
        {
            "id": one["Id"],
            "name": one["Name"],
            "driver": one.get("Driver", ""),
            "scope": one.get("Scope", ""),
            "project": _project(one),
            "internal": bool(one.get("Internal")),
            "subnets": [each["Subnet"] for each in (one.get("IPAM") or {}).get("Config") or () if each.get("Subnet")],
            **_used(users, one["Name"]),
        }
        for one in api.networks()
    ]
    return sorted(told, key=lambda network: str(network["name"]))


READ = {"images": images, "volumes": volumes, "networks": networks}


def _project(one: Listed) -> str | None:
    labels = one.get("Labels") or {}
    return labels.get(PROJECT) or labels.get(STACK)


def _joined(container: Listed) -> Iterable[str]:
    return (container.get("NetworkSettings") or {}).get("Networks") or ()


def _users(pairs: Iterable[tuple[Listed, Iterable[str | None]]]) -> Users:
    found: dict[str, list[str]] = defaultdict(list)
    for container, things in pairs:
        for thing in things:
            if thing:
                found[thing].append(name_of(container))
    return found


def _used(users: Users, thing: str) -> dict[str, Any]:
    names = sorted(users.get(thing, ()))
    return {"users": len(names), "used_by": names[:NAMED]}


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"inventory": inventory}
