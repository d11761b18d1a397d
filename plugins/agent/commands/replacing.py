"""One service's container: create it, start it, replace it, and put the old one back when that fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from roci import StepFailed

from ...backends.containers import PROJECT, SERVICE
from ..engine import CHANGE, Engine

SETTLING = 1.0  # seconds a new container must stay up, unless it ends well before
POLL = 0.1
GRACE = 10  # seconds a container has to stop, unless it says otherwise
_KEPT = "_old_"  # between the name of a container that is being replaced and its id


def name_of(container: Mapping[str, Any]) -> str:
    """Of a listed container."""
    return str(min(container["Names"] or [container["Id"][:12]], key=lambda name: name.count("/"))).lstrip("/")


async def inspect(docker: Engine, container: str) -> dict[str, Any]:
    return await docker.call(lambda api: dict(api.inspect_container(container)))


async def _of_service(docker: Engine, project: str, service: str) -> list[dict[str, Any]]:
    labels = [f"{PROJECT}={project}", f"{SERVICE}={service}"]
    return await docker.call(lambda api: list(api.containers(all=True, filters={"label": labels})))


async def settle(docker: Engine, project: str, service: str, name: str) -> dict[str, Any] | None:
    """The service's container under its proper name, inspected; None when it has none.

    A replacement that was cut short (by a power cut, say) is ended here: a new one that runs has won, else the
    old one is put back.
    """
    found = await _of_service(docker, project, service)
    current = next((one for one in found if name_of(one) == name), None)
    others = [one for one in found if one is not current]
    kept = next((one for one in others if _KEPT in name_of(one)), next(iter(others), None))
    if current and kept and current["State"] == "created":
        await remove(docker, current["Id"])
        current = None
    if not current and kept:
        await rename(docker, kept["Id"], name)
        current = kept
    for one in others:
        if one is not current:
            await stop(docker, one["Id"])
            await remove(docker, one["Id"])
    return await inspect(docker, current["Id"]) if current else None


def inherit(body: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The request, with the nameless volumes of the container it replaces: data in them is not lost."""
    binds = list(body["HostConfig"].get("Binds", []))
    taken = {bind.split(":")[1] for bind in binds} | set(body["HostConfig"].get("Tmpfs", {}))
    for mount in old.get("Mounts", []):
        nameless = mount.get("Type") == "volume" and re.fullmatch(r"[0-9a-f]{64}", mount.get("Name", ""))
        if nameless and mount["Destination"] not in taken:
            binds.append(f"{mount['Name']}:{mount['Destination']}")
    return {**body, "HostConfig": {**body["HostConfig"], **({"Binds": binds} if binds else {})}}


async def create(docker: Engine, name: str, service: str, body: Mapping[str, Any]) -> None:
    """Make and start a container where there is none; one that does not start is not left behind."""
    try:
        await start(docker, await _make(docker, name, body), service)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(_remove_named(docker, name, body)))
        raise


async def replace(docker: Engine, old: Mapping[str, Any], name: str, service: str, body: Mapping[str, Any]) -> None:
    """Put a new container in the place of the old one, which returns if that fails for any reason."""
    try:
        await rename(docker, old["Id"], f"{name}{_KEPT}{old['Id'][:8]}")
        new = await _make(docker, name, body)
        await stop(docker, old["Id"])  # they may want the same port
        await start(docker, new, service)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(_put_back(docker, old, name, body)))
        raise
    await remove(docker, old["Id"])


async def _put_back(docker: Engine, old: Mapping[str, Any], name: str, body: Mapping[str, Any]) -> None:
    await _remove_named(docker, name, body, but=old["Id"])
    if (await inspect(docker, old["Id"]))["Name"] != f"/{name}":
        await rename(docker, old["Id"], name)
    if old["State"]["Running"]:
        await docker.change(lambda api: api.start(old["Id"]))


async def _remove_named(docker: Engine, name: str, body: Mapping[str, Any], but: str = "") -> None:
    """Remove the new container, by name: a cancelled creation never told its id. Nobody else's is touched."""
    for one in await _of_service(docker, body["Labels"][PROJECT], body["Labels"][SERVICE]):
        if name_of(one) == name and one["Id"] != but:
            await remove(docker, one["Id"])


async def _make(docker: Engine, name: str, body: Mapping[str, Any]) -> str:
    """Create a container and join it to its networks; its id."""
    endpoints: dict[str, Any] = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    first, *others = endpoints
    config = {**body, "NetworkingConfig": {"EndpointsConfig": {first: endpoints[first]}}}
    made = await docker.change(lambda api: api.create_container_from_config(config, name))
    for other in others:
        await _join(docker, made["Id"], other, endpoints[other]["Aliases"])
    return str(made["Id"])


async def _join(docker: Engine, container: str, network: str, aliases: list[str]) -> None:
    await docker.change(lambda api: api.connect_container_to_network(container, network, aliases=aliases))


async def start(docker: Engine, container: str, service: str) -> None:
    """Start it, and see that it does not fall over at once. One that ends with 0 has done its work."""
    await docker.change(lambda api: api.start(container))
    deadline = asyncio.get_running_loop().time() + SETTLING
    while True:
        state = (await inspect(docker, container))["State"]
        if state["Status"] == "exited" and state["ExitCode"] == 0:
            return
        if state["Status"] != "running" or state.get("Restarting"):
            raise await _fallen(docker, container, service, state)
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(POLL)


async def _fallen(docker: Engine, container: str, service: str, state: Mapping[str, Any]) -> StepFailed:
    said = await docker.call(lambda api: api.logs(container, tail=10))
    tail = said.decode("utf-8", "replace").strip()
    code = state["ExitCode"]
    last = f": {tail.splitlines()[-1]}" if tail else ", and said nothing"
    return StepFailed(f"{service} ended at once with exit code {code}{last}", exit_code=code or 1, tail=tail)


async def stop(docker: Engine, container: str) -> None:
    """With the time it asks for; a container that does not run stays as it is."""
    seconds = (await inspect(docker, container))["Config"].get("StopTimeout")
    grace = GRACE if seconds is None else seconds
    await docker.change(lambda api: api.stop(container, timeout=grace), limit=grace + CHANGE)


async def remove(docker: Engine, container: str) -> None:
    """The container, running or not; volumes, nameless ones too, stay."""
    await docker.change(lambda api: api.remove_container(container, force=True))


async def rename(docker: Engine, container: str, name: str) -> None:
    await docker.change(lambda api: api.rename(container, name))


async def health(docker: Engine, project: str, service: str) -> None:
    """Wait until a service is healthy. The run's own time limit ends the waiting."""
    while True:
        found = [one for one in await _of_service(docker, project, service) if one["State"] == "running"]
        if not found:
            raise StepFailed(f"{service} does not run, so it cannot become healthy")
        state = (await inspect(docker, found[0]["Id"]))["State"].get("Health")
        if not state:
            raise StepFailed(f"{service} has no healthcheck to wait for")
        if state["Status"] == "healthy":
            return
        if state["Status"] == "unhealthy":
            said = (state.get("Log") or [{}])[-1].get("Output", "").strip()
            raise StepFailed(f"{service} is unhealthy{': ' + said if said else ''}")
        await asyncio.sleep(POLL * 5)
