"""A service of a Compose file as the engine's request to create a container, and networks and volumes likewise.

Pure. The server uses it to refuse what plain Docker cannot do, the host to make the request, once variables are
filled in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from . import values
from .values import Mount, Port, Wrong

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
DEPENDS_ON = "com.docker.compose.depends_on"  # "db:service_healthy:false,…": the order outlives the file
HASH = "roci.config-hash"
COMPOSE_HASH = "com.docker.compose.config-hash"

READERS: dict[str, Callable[[Any], Any]] = {
    "image": values.text,
    "command": values.words,
    "entrypoint": values.entrypoint,
    "environment": values.pairs,
    "ports": values.ports,
    "volumes": values.mounts,
    "networks": values.networks,
    "restart": values.restart,
    "labels": values.labels,
    "healthcheck": values.healthcheck,
    "depends_on": lambda value: value,
    "user": values.text,
    "working_dir": values.text,
    "read_only": values.boolean,
    "tmpfs": values.tmpfs,
    "cap_add": values.texts,
    "cap_drop": values.texts,
    "mem_limit": values.size,
    "cpus": values.cpus,
    "container_name": values.text,
    "hostname": values.text,
    "init": values.boolean,
    "stop_grace_period": values.duration,
}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a service runs: what its definition alone does not say."""

    project: str
    folder: str  # the application's, on the host: relative binds begin there
    variables: Mapping[str, str]
    networks: Mapping[str, Any]  # their definitions in the file, by key
    volumes: Mapping[str, Any]
    after: Mapping[str, str]  # the services it depends on, and the condition of each


def read(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of a service, read. Raises Wrong for the first key or value plain Docker cannot use."""
    known = values.known(dict(definition), *READERS)
    return {key: read_key(key, value) for key, value in known.items()}


def read_key(key: str, value: Any) -> Any:
    try:
        return READERS[key](value)
    except Wrong as error:
        raise Wrong(f"`{key}`: {error}", key, *error.path) from None


def container_name(project: str, service: str, definition: Mapping[str, Any]) -> str:
    return values.text(definition.get("container_name") or f"{project}-{service}-1")


def create_body(service: str, definition: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """What `POST /containers/create` takes, without empty parts, and with a hash of itself among the labels."""
    given = read(definition)
    named = given.get("networks", {"default": []})
    first = next(iter(named), "none")
    endpoints = {resource_name(place.project, key, place.networks.get(key)): key for key in named}
    body: dict[str, Any] = {
        "Image": given["image"],
        "Cmd": given.get("command"),
        "Entrypoint": given.get("entrypoint"),
        "Env": _environment(given.get("environment", {}), place.variables),
        "ExposedPorts": {f"{port.inside}/{port.protocol}": {} for port in given.get("ports", ())},
        "Volumes": {mount.target: {} for mount in given.get("volumes", ()) if mount.kind == "anonymous"},
        "User": given.get("user"),
        "WorkingDir": given.get("working_dir"),
        "Hostname": given.get("hostname"),
        "Healthcheck": given.get("healthcheck"),
        "StopTimeout": _seconds(given.get("stop_grace_period")),
        "HostConfig": _host_config(given, place, next(iter(endpoints), first)),
        # An engine before API 1.44 takes one network at creation; the others are joined before the start.
        "NetworkingConfig": {
            "EndpointsConfig": {name: {"Aliases": [service, *named[key]]} for name, key in endpoints.items()}
        },
        "Labels": {
            **given.get("labels", {}),
            PROJECT: place.project,
            SERVICE: service,
            DEPENDS_ON: ",".join(f"{name}:{condition}:false" for name, condition in sorted(place.after.items())),
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
        },
    }
    body = {key: value for key, value in body.items() if value not in (None, {}, "") and (value or key != "Env")}
    # Compose knows its own containers by a hash: with one, it can take this one over when the backend changes.
    body["Labels"][HASH] = body["Labels"][COMPOSE_HASH] = _hash(body)
    return body


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _host_config(given: Mapping[str, Any], place: Place, network: str) -> dict[str, Any]:
    mounts: list[Mount] = given.get("volumes", [])
    tmpfs = {mount.target: "" for mount in mounts if mount.kind == "tmpfs"} | given.get("tmpfs", {})
    config = {
        "Binds": [_bind(mount, place) for mount in mounts if mount.kind in ("bind", "volume")],
        "PortBindings": _bindings(given.get("ports", [])),
        "RestartPolicy": given.get("restart"),
        "CapAdd": given.get("cap_add"),
        "CapDrop": given.get("cap_drop"),
        "Memory": given.get("mem_limit"),
        "NanoCpus": given.get("cpus"),
        "ReadonlyRootfs": given.get("read_only"),
        "Tmpfs": tmpfs,
        "Init": given.get("init"),
        "NetworkMode": network,
    }
    return {key: value for key, value in config.items() if value not in (None, [], {})}


def _environment(given: Mapping[str, str | None], variables: Mapping[str, str]) -> list[str]:
    """A name without a value takes this run's variable of that name, where there is one."""
    filled = {name: variables.get(name) if value is None else value for name, value in given.items()}
    return [f"{name}={value}" for name, value in sorted(filled.items()) if value is not None]


def _bind(mount: Mount, place: Place) -> str:
    if mount.kind == "volume":
        source = resource_name(place.project, mount.source, place.volumes.get(mount.source))
    else:
        source = posixpath.normpath(posixpath.join(place.folder, mount.source))
    return f"{source}:{mount.target}" + (f":{mount.mode}" if mount.mode else "")


def _bindings(ports: list[Port]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        found.setdefault(f"{port.inside}/{port.protocol}", []).append({"HostIp": port.ip, "HostPort": port.host})
    return found


def _seconds(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else -(-nanoseconds // 10**9)


# --- networks and volumes ------------------------------------------------------


def read_resource(kind: str, definition: Any) -> dict[str, Any]:
    """A top-level network or volume. Raises Wrong for what plain Docker does not know here."""
    keys = ("name", "external", "driver", "driver_opts", "labels")
    given = values.known(definition, *keys, *(("internal",) if kind == "network" else ()))
    return {
        "name": values.text(given["name"]) if given.get("name") else None,
        "external": values.boolean(given.get("external", False)),
        "internal": values.boolean(given.get("internal", False)),
        "driver": values.text(given["driver"]) if given.get("driver") else None,
        "options": {name: value or "" for name, value in values.pairs(given.get("driver_opts")).items()},
        "labels": values.labels(given.get("labels")),
    }


def resource_name(project: str, key: str, definition: Any) -> str:
    """The engine's name of a network or volume: an external one has its own."""
    given = definition or {}
    return values.text(
        given.get("name") or (key if values.boolean(given.get("external", False)) else f"{project}_{key}")
    )
