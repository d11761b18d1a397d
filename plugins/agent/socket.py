"""The websocket `/ws/agent`, as a channel of the hub. Public: the hub asks who it is before anything else."""

from __future__ import annotations

from quart import Blueprint, Websocket, current_app, websocket

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


@routes.websocket("/ws/agent")
async def agent() -> None:
    hub = current_app.extensions["roci"].part(Hub)
    await hub.serve(Socket(websocket._get_current_object()))  # type: ignore[attr-defined]


agent.access = "public"  # type: ignore[attr-defined]


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [Surface("agents", "", routes, answer)]


def answer(error: RociError) -> Answer:
    return error.message, error.status
