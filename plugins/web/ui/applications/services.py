"""What an application's file asks for, beside what its host has of it."""

from __future__ import annotations

import asyncio
import functools
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from ....agent import wire
from ....agent.live import Live
from ....domain import applications
from ....domain.applications import Application
from ....domain.hosts import Host
from .. import shown
from .places import Place, places

REPLICA = r"[-_.](\d+)(?:[-_.].+)?"  # what follows a service in the name of one of its containers


@dataclass(frozen=True)
class Part:
    """One container, and what can be done to it."""

    id: str
    name: str
    status: str
    said: str  # for people: Up 3 minutes
    image: str
    is_running: bool
    is_well: bool
    places: list[Place]

    @property
    def tone(self) -> str:
        return shown.tone(self.status) if self.is_well else "bad"


@dataclass(frozen=True)
class Service:
    """One of a file, with its containers. `name` empty: containers that the file knows nothing of."""

    name: str
    image: str
    parts: list[Part] = field(default_factory=list)


def is_well(container: wire.Container) -> bool:
    """It runs, or has done what it was made for."""
    return container.is_running or (container.state or "").startswith("Exited (0)")


def service_of(name: str, key: str) -> str:
    """The service that the name of a container tells of; else that name."""
    told = re.fullmatch(rf"{re.escape(key)}[-_](.+?){REPLICA}", name)
    return told[1] if told else name


async def named(text: str) -> dict[str, dict[str, Any]]:
    """The services of a file with their definitions; a long file takes most of a second, so in a thread."""
    return await asyncio.to_thread(_named, text)


@functools.lru_cache(64)
def _named(text: str) -> dict[str, dict[str, Any]]:
    try:
        told = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    services = told.get("services") if isinstance(told, dict) else None
    found = services.items() if isinstance(services, dict) else ()
    return {str(name): definition if isinstance(definition, dict) else {} for name, definition in found}


def of(app: Application, definitions: dict[str, dict[str, Any]], live: Live | None) -> list[Service] | None:
    """Its services with what runs of each; None: nobody knows what runs."""
    key, rests = applications.project_key(app.name), app.status == "stopped"
    reported = live.containers_of(key) if live and live.is_current else None
    if live is None or reported is None:
        return None
    rest = sorted(reported, key=lambda each: each.name)
    found = []
    for name, definition in definitions.items():
        mine = [each for each in rest if _is_of(each, key, name, definition)]
        rest = [each for each in rest if each not in mine]
        image = definition.get("image")
        found.append(
            Service(name, image if isinstance(image, str) else "", [_part(each, live.host, rests) for each in mine])
        )
    return found + ([Service("", "", [_part(each, live.host, rests) for each in rest])] if rest else [])


def _is_of(container: wire.Container, key: str, service: str, definition: dict[str, Any]) -> bool:
    if container.name == definition.get("container_name"):
        return True
    return re.fullmatch(rf"{re.escape(key)}[-_]{re.escape(service)}{REPLICA}", container.name) is not None


def _part(container: wire.Container, host: Host, rests: bool) -> Part:
    """`rests`: it was stopped on purpose, so an end is none that ails."""
    return Part(
        id=container.id,
        name=container.name,
        status=container.status,
        said=container.state or "",
        image=container.image,
        is_running=container.is_running,
        is_well=is_well(container) or (rests and container.status == "exited"),
        places=places(container, host),
    )
