"""Installing the agent on another host with one line: the script, and the program as a wheel. Both are public.

The script runs as root over there, so nothing of a request gets into it but an address of the strictest form.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from quart import Blueprint, Response

from roci import Answer, Malformed, NotFound, Roci, RociError, StartupError, Surface, hookimpl

from ..agent.worker import own_address
from ..core.serve import Listening
from ..core.settings import is_loopback
from ..surfaces.http import base_url, public
from . import wheel

SCRIPT = Path(__file__).with_name("install.sh")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"({_LABEL}(\.{_LABEL}){{0,20}}|\[[0-9A-Fa-f:.]{{2,45}}\])(:[0-9]{{1,5}})?"
ADDRESS = re.compile(rf"https?://{_HOST}(/[A-Za-z0-9._~-]+)*/?")

routes = Blueprint("install", __name__)


def install_line(address: str, options: Iterable[str] = ()) -> str:
    """The line that installs the agent on another host and joins it to the server at this address."""
    given = list(options)
    arguments = f" -s -- {shlex.join(given)}" if given else ""
    return f"curl -fsSL {checked(address)}/install.sh | sudo sh{arguments}"


def line_here() -> str:
    """The line for a page, to this server as the request calls it; as a comment why, where there can be none."""
    try:
        return install_line(base_url())
    except Malformed as error:
        return f"# {error.message}"


def checked(address: str) -> str:
    """An address that may stand in a script, without a slash at its end. Raises Malformed."""
    if not ADDRESS.fullmatch(address):
        raise Malformed("the address of this server, as the request gives it, is not one: set public_url")
    return address.rstrip("/")


def script(address: str, program: wheel.Wheel) -> str:
    """The installation script for agents of the server at this address."""
    text = SCRIPT.read_text()
    for name, value in (("SERVER", checked(address)), ("WHEEL", program.name), ("SHA256", program.sha256)):
        text = text.replace(f"@{name}@", value)
    return text


@routes.get("/install.sh")
@public
async def show() -> Response:
    """The script that installs the agent."""
    text = script(checked(base_url()), await asyncio.to_thread(wheel.build))
    return Response(text, content_type="text/x-shellscript; charset=utf-8", headers={"Cache-Control": "no-store"})


@routes.get("/install/<name>")
@public
async def program(name: str) -> Response:
    """The program itself, the one that runs here."""
    made = await asyncio.to_thread(wheel.build)
    if name != made.name:
        raise NotFound(f"this server has {made.name} only")
    return Response(made.content, content_type="application/octet-stream")


def answer(error: RociError) -> Answer:
    """Plain text: curl shows it, and a shell that got it by mistake does nothing."""
    return f"# {error.message}\n", error.status


def reachable(urls: Iterable[str], own_address: str | None) -> str | None:
    """The first of the addresses that other machines can reach; None when this server hears itself only."""
    for url in urls:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in ("0.0.0.0", "::"):  # noqa: S104
            return f"http://{own_address}:{parts.port}" if own_address else None
        if not is_loopback(host):
            return url
    return None


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    if listening := roci.find(Listening):
        address = roci.settings.public_url or reachable(listening.urls, own_address())
        alone = f"Only this machine can reach this server; further hosts need it with ROCI_BIND={listening.for_others}"
        listening.notices.append(f"Add a host, there: {install_line(address)}" if address else alone)
    yield


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    if roci.settings.public_url and not ADDRESS.fullmatch(roci.settings.public_url):
        raise StartupError(f"public_url: {roci.settings.public_url!r} is no address, such as https://roci.example.org")
    return [Surface("install", "", routes, answer)]
