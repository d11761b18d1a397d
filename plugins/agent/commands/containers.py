"""The commands behind the docker backend: networks, volumes and containers by the engine's own interface.

A changed container is replaced so that a failure changes nothing: the old one is renamed, the new one made and
started, the old one removed last. Whatever goes wrong between, cancellation included, puts the old one back.
"""

from __future__ import annotations

import contextlib
import functools
import graphlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ...backends.containers import (
    DEPENDS_ON,
    HASH,
    PROJECT,
    SERVICE,
    Place,
    container_name,
    create_body,
    read_resource,
    resource_name,
)
from ...backends.interpolation import fill
from ..engine import Engine, Refused, engine
from .folders import folder, put
from .hints import advised
from .pulling import fetch, pull
from .replacing import create, health, inherit, name_of, remove, replace, settle, start, stop

MARK = ".roci-application"  # in the folder of an application whose file only the server has
Work = Callable[[Engine, Site, Mapping[str, Any]], AsyncGenerator[str, None]]


def command(work: Work) -> Command:
    """An agent command from work on an engine; well-known failures end with advice."""

    @functools.wraps(work)
    def run(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        return advised(work(engine(site.docker_host), site, args))

    return run


async def mark(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Note down that the project is an application's, even while it has no container. It does not need this to run."""
    try:
        put(folder(site.volume_base, args["app"], make=True) / MARK, f"{args['project']}\n")
    except StepFailed as error:
        yield f"{error.message}: without its containers only the server knows whose the volumes are\n"


@command
async def network(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    name, given = _resource("network", site, args)
    found = await docker.call(lambda api: [one for one in api.networks(names=[name]) if one["Name"] == name])
    if found:
        _refuse_foreign("network", name, given, args["project"], found[0].get("Labels"))
        return
    if given["external"]:
        raise StepFailed(f"there is no network {name!r} here: make it with `docker network create {name}`")
    labels = {**given["labels"], PROJECT: args["project"], "com.docker.compose.network": args["key"]}
    await docker.change(
        lambda api: api.create_network(
            name, driver=given["driver"], options=given["options"], internal=given["internal"], labels=labels
        )
    )
    yield f"made the network {name}\n"


@command
async def volume(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    name, given = _resource("volume", site, args)
    try:
        found = await docker.call(lambda api: api.inspect_volume(name))
    except Refused as error:
        if not error.is_missing:
            raise
    else:
        _refuse_foreign("volume", name, given, args["project"], found.get("Labels"))
        return
    if given["external"]:
        raise StepFailed(f"there is no volume {name!r} here: make it with `docker volume create {name}`")
    labels = {**given["labels"], PROJECT: args["project"], "com.docker.compose.volume": args["key"]}
    await docker.change(
        lambda api: api.create_volume(name, driver=given["driver"], driver_opts=given["options"], labels=labels)
    )
    yield f"made the volume {name}\n"


def _resource(kind: str, site: Site, args: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A network's or volume's name on the engine, and its definition with variables filled in."""
    try:
        definition = fill(args["definition"], site.variables)
        return resource_name(args["project"], args["key"], definition), read_resource(kind, definition)
    except ValueError as error:
        raise StepFailed(f"the {kind} {args['key']}: {error}") from None


def _refuse_foreign(
    kind: str, name: str, given: Mapping[str, Any], project: str, labels: Mapping[str, str] | None
) -> None:
    if not given["external"] and (labels or {}).get(PROJECT) != project:
        raise StepFailed(
            f"a {kind} named {name!r} exists and is not this application's: "
            "choose another name, or say `external: true`"
        )


@command
async def container(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Bring one service to what its definition says. An unchanged container is left alone."""
    project, service = args["project"], args["service"]
    missing: set[str] = set()
    name, body = _wanted(site, args, missing)
    for variable in sorted(missing):
        yield f"{service}: the variable {variable} has no value; it is left empty\n"
    for other, condition in args["after"].items():
        if condition == "service_healthy":
            yield f"{service}: waits until {other} is healthy\n"
            await health(docker, project, other)
    async for text in (fetch if args.get("pull") else pull)(docker, body["Image"]):
        yield text
    old = await settle(docker, project, service, name)
    image = await docker.call(lambda api: api.inspect_image(body["Image"]))
    if old and _is_same(old, body, image["Id"]):
        if not old["State"]["Running"]:
            await start(docker, old["Id"], service)
        yield f"{service}: {'unchanged' if old['State']['Running'] else 'started'}\n"
        return
    if old:
        yield f"{service}: changed, replacing it\n"
        await replace(docker, old, name, service, inherit(body, old))
    else:
        await create(docker, name, service, body)
    yield f"{service}: started\n"


def _is_same(old: Mapping[str, Any], body: Mapping[str, Any], image: str) -> bool:
    """Whether a container was made by this very request, of the image that its name means today."""
    return bool(old["Config"]["Labels"].get(HASH) == body["Labels"][HASH] and old["Image"] == image)


def _wanted(site: Site, args: Mapping[str, Any], missing: set[str]) -> tuple[str, dict[str, Any]]:
    """The container's name and the request that makes it."""
    try:
        definition = fill(args["definition"], site.variables, missing)
        place = Place(
            args["project"],
            str(folder(site.volume_base, args["app"])),
            site.variables,
            fill(args["networks"], site.variables),
            fill(args["volumes"], site.variables),
            args["after"],
        )
        body = create_body(args["service"], definition, place)
        return container_name(args["project"], args["service"], definition), body
    except ValueError as error:
        raise StepFailed(f"the service {args['service']}: {error}") from None


# --- the whole project ---------------------------------------------------------


async def _members(docker: Engine, args: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The project's containers, each after those it depends on."""
    label = f"{PROJECT}={args['project']}"
    return in_order(await docker.call(lambda api: api.containers(all=True, filters={"label": [label]})))


def in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Listed containers in the order their services start, as their labels tell."""
    needs: dict[str, list[str]] = {}
    for one in found:
        names = [entry.partition(":")[0] for entry in one["Labels"].get(DEPENDS_ON, "").split(",")]
        needs[one["Labels"].get(SERVICE, "")] = [name for name in names if name]
    with contextlib.suppress(graphlib.CycleError):  # labels of different revisions may contradict each other
        order = list(graphlib.TopologicalSorter(needs).static_order())
        return sorted(found, key=lambda one: order.index(one["Labels"].get(SERVICE, "")))
    return found


@command
async def prune_orphans(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Remove the containers of services that the file no longer has."""
    for one in await _members(docker, args):
        if one["Labels"].get(SERVICE) not in args["services"]:
            await stop(docker, one["Id"])
            await remove(docker, one["Id"])
            yield f"removed {name_of(one)}, which the file no longer has\n"


@command
async def stop_all(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    for one in reversed(await _members(docker, args)):
        if one["State"] in ("running", "restarting", "paused"):
            await stop(docker, one["Id"])
            yield f"stopped {name_of(one)}\n"


@command
async def start_all(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    members = await _members(docker, args)
    if not members:
        raise StepFailed("no container of the application is here: deploy it again")
    for one in members:
        if one["State"] != "running":
            await start(docker, one["Id"], name_of(one))
            yield f"started {name_of(one)}\n"


@command
async def remove_all(docker: Engine, site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Remove the project's containers and networks, never its volumes."""
    for one in reversed(await _members(docker, args)):
        await stop(docker, one["Id"])
        await remove(docker, one["Id"])
        yield f"removed {name_of(one)}\n"
    label = f"{PROJECT}={args['project']}"
    for found in await docker.call(lambda api: api.networks(filters={"label": [label]})):
        await _remove_network(docker, found["Id"])
        yield f"removed the network {found['Name']}\n"
    (folder(site.volume_base, args["app"]) / MARK).unlink(missing_ok=True)


async def _remove_network(docker: Engine, network: str) -> None:
    await docker.change(lambda api: api.remove_network(network))


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {
        "docker.mark": mark,
        "docker.network": network,
        "docker.volume": volume,
        "docker.container": container,
        "docker.prune_orphans": prune_orphans,
        "docker.stop": stop_all,
        "docker.start": start_all,
        "docker.remove": remove_all,
    }
