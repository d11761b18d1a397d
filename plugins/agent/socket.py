"""The websocket `/ws/agent`, as a channel of the hub. Public: the hub asks who it is before anything else."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from quart import Blueprint, Websocket, current_app, websocket
from werkzeug.datastructures import Headers

from roci import Answer, Roci, RociError, Surface, hookimpl

from .hub import Hub

routes = Blueprint("agents", __name__)


class Socket:
    """A websocket of Quart's."""

    def __init__(self, socket: Websocket) -> None:
        self._socket = socket
        self.peer = socket.remote_addr or ""
        self.forwarded_for = ", ".join(socket.headers.getlist("X-Forwarded-For")) or None

    async def receive(self) -> str | bytes:
        return await self._socket.receive()

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)


FORBIDDEN = 1008  # close code: against the rules


def is_browser(headers: Headers, own: Collection[str]) -> bool:
    """Whether a web page opened this socket: any page may, from any machine it is shown on. No agent is a browser."""
    origin = headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc not in own
    return foreign or "Sec-Fetch-Site" in headers or headers.get("User-Agent", "").startswith("Mozilla/")


@routes.websocket("/ws/agent")
async def agent() -> None:
    roci: Roci = current_app.extensions["roci"]
    socket: Websocket = websocket._get_current_object()  # type: ignore[attr-defined]
    own = {socket.host, urlsplit(roci.settings.public_url or "").netloc}
    if is_browser(socket.headers, own):
        await socket.accept()
        return await socket.close(FORBIDDEN, "this socket is for agents")
    await roci.part(Hub).serve(Socket(socket))


agent.access = "public"  # type: ignore[attr-defined]


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [Surface("agents", "", routes, answer)]


def answer(error: RociError) -> Answer:
    return error.message, error.status
