"""Containers on the wire. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from ...agent import wire
from .shapes import Body

WORDS = {"created", "running", "paused", "restarting", "removing", "exited", "dead"}
PORT = re.compile(r"(?:.*:(?P<public>\d+)->)?(?P<private>\d+)/(?P<type>\w+)")


class Grace(Body):
    timeout: int = Field(10, ge=0, le=600)


class Tail(Body):
    tail: int = Field(100, ge=1, le=5000)


class Port(TypedDict):
    private_port: int
    public_port: NotRequired[int]
    type: str


class ContainerOut(BaseModel):
    id: str
    name: str
    image: str
    status: str
    state: str
    created: str | None
    ports: list[Port]


class Done(BaseModel):
    status: str
    message: str


def container(found: wire.Container) -> dict[str, Any]:
    state, text = _state(found)
    return {
        "id": found.id,
        "name": found.name,
        "image": found.image,
        "status": text,
        "state": state,
        "created": found.created,
        "ports": ports(found.ports),
    }


def _state(found: wire.Container) -> tuple[str, str]:
    """The engine's word and its text for people. Agents disagree which of the two is called status."""
    said = [found.status, found.state or ""]
    word = next((each for each in said if each.lower() in WORDS), "")
    text = next((each for each in said if each and each is not word), word)
    if not word:
        word = "running" if text.startswith("Up") else "exited" if text.startswith("Exited") else text
    return word, text


def ports(published: Iterable[str]) -> list[Port]:
    """`0.0.0.0:8080->80/tcp` and its like, each once, whatever address it is published on."""
    found: dict[tuple[int, int | None, str], Port] = {}
    for text in published:
        if match := PORT.fullmatch(text):
            private, public = int(match["private"]), match["public"] and int(match["public"])
            port: Port = {"private_port": private, "type": match["type"]}
            if public:
                port = {"private_port": private, "public_port": public, "type": match["type"]}
            found[private, public or None, match["type"]] = port
    return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1] or 0, key[2]))]
