"""Where what a container publishes is found from the reader's browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from quart import request

from ....agent import wire
from ....domain.hosts import Host

PUBLISHED = re.compile(r"(?P<at>\[[0-9a-fA-F:.]+\]|[0-9.]+):(?P<port>\d+)->(?P<inside>\d+)/(?P<kind>\w+)")
ANY = ("0.0.0.0", "[::]")  # noqa: S104  read, not listened on
HERE = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Place:
    """A port, as it is shown; `url` is empty where a browser cannot go."""

    text: str
    url: str


def places(container: wire.Container, host: Host) -> list[Place]:
    """A container's ports: those that are published lead there, on whatever protocol a browser would try first."""
    found = {_place(port, host): None for port in container.ports}
    return list(found)


def _place(port: str, host: Host) -> Place:
    match = PUBLISHED.fullmatch(port)
    if match is None:
        return Place(port, "")
    text = f"{match['port']} → {match['inside']}" if match["kind"] == "tcp" else f"{match['port']}/{match['kind']}"
    name = _name(match["at"], host)
    return Place(text, f"http://{name}:{match['port']}/" if name and match["kind"] == "tcp" else "")


def _name(at: str, host: Host) -> str:
    """The name to reach an address of a host by; empty where only the host itself can."""
    asked = urlsplit(f"//{request.host}").hostname or ""
    here = f"[{asked}]" if ":" in asked else asked
    if at in HERE:
        return here if host.local and here in HERE else ""
    if at not in ANY:
        return at
    address = host.effective_ip
    return here if host.local else f"[{address}]" if ":" in address else address
