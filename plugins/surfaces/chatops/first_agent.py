"""/api/v1/agents/ws: the socket of the agent that this dialect's first product came with, as a channel of the hub.

Its frames are translated, nothing else: to the hub it is an agent that registers with a key of its host. What it
cannot do is answered here, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from quart import Blueprint, websocket

from roci import RociError, Unauthenticated

from ...agent import wire
from ...agent.address import normalise
from ...agent.hub import Hub
from ...agent.socket import Socket
from ...domain import hostkeys, hosts
from ...work import refusals
from ..http import public, roci
from . import heartbeats

routes = Blueprint("first_agent", __name__, url_prefix="/agents")
AUTH_WITHIN = 10.0  # seconds until the first frame
LONGEST_AUTH = 4096  # characters of it
REFUSED = 1008
CAN = ["exec", "container", "logs", "metrics"]
CONTAINER = {"start": "start_container", "stop": "stop_container", "restart": "restart_container"}
DONE = {"container_started", "container_stopped", "container_restarted"}


@routes.websocket("/ws")
@public
async def agent() -> None:
    """Frames of JSON; the first one is {"type": "auth", "api_key": …}."""
    await websocket.accept()
    socket = Socket(cast(Any, websocket)._get_current_object())
    key = await _key(socket)
    try:
        host = await roci.read(_host, key)
    except RociError as error:
        await refusals.note_agent(roci, error, normalise(socket.peer) or socket.peer, "", "/api/v1/agents/ws")
        return await socket.close(REFUSED, "Invalid API key")
    channel = Translated(socket, host.hostname, key)
    try:
        await roci.part(Hub).serve(channel)
    finally:
        channel.end()


def _host(key: str) -> hosts.Host:
    """Whose key it is. Raises Unauthenticated."""
    found = hostkeys.presented(key)
    if found is None:
        raise Unauthenticated("this is no key of a host")
    return hosts.get(found.host_id)


async def _key(socket: Socket) -> str:
    """What the first frame says; "" for anything else."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AUTH_WITHIN):
            frame = await socket.receive()
        said = _read(frame) if len(frame) <= LONGEST_AUTH else {}
        if said.get("type") == "auth" and isinstance(said.get("api_key"), str):
            return str(said["api_key"]).strip()
    return ""


def _read(frame: str | bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


class Translated:
    """A channel of the hub whose other end speaks the first product's frames."""

    def __init__(self, socket: Socket, hostname: str, key: str) -> None:
        self.peer, self.forwarded_for = socket.peer, socket.forwarded_for
        self._socket = socket
        register = wire.Register(hostname=hostname, agent_token=key, capabilities=CAN)
        self._ready = asyncio.Queue[wire.Message]()
        self._ready.put_nowait(register)
        self._coming: asyncio.Task[str | bytes] | None = None

    async def receive(self) -> str | bytes:
        while True:
            if not self._ready.empty():
                return wire.encode(self._ready.get_nowait())
            self._coming = self._coming or asyncio.ensure_future(self._socket.receive())
            answered = asyncio.ensure_future(self._ready.get())
            try:
                await asyncio.wait({self._coming, answered}, return_when=asyncio.FIRST_COMPLETED)
                if answered.done():
                    return wire.encode(answered.result())
            finally:
                answered.cancel()
            frame, self._coming = self._coming, None
            said = _read(frame.result())
            if said.get("type") == "metrics":
                await self._say(type="metrics_received")
            if message := understood(said):
                return wire.encode(message)

    async def send(self, text: str) -> None:
        message = wire.from_server(text)
        if isinstance(message, wire.RegistrationResponse) and message.status == "approved":
            return await self._say(type="auth_success", server_id=message.agent_id, message="Authenticated")
        if isinstance(message, wire.Pong):
            return await self._say(type="pong")
        if isinstance(message, wire.Hand | wire.Deploy | wire.Stop):
            if frame := put(message):
                return await self._say(**frame)
            words = f"the agent on this host cannot do this: {wire.kind_of(message)}"
            self._ready.put_nowait(wire.Result(command_id=message.command_id, success=False, stderr=words, exit_code=1))

    def end(self) -> None:
        """Nothing more is waited for."""
        if self._coming:
            self._coming.cancel()

    async def close(self, code: int, reason: str) -> None:
        self.end()
        await self._socket.close(REFUSED if code == wire.REJECTED else code, reason)

    async def _say(self, **frame: Any) -> None:
        await self._socket.send(msgspec.json.encode(frame).decode())


# --- what it says ---


def understood(said: Mapping[str, Any]) -> wire.Message | None:
    """A frame of the agent's as ours; None: nothing that we know."""
    data = said.get("data") if isinstance(said.get("data"), dict) else {}
    match said.get("type"):
        case "ping":
            return wire.Ping()
        case "metrics":
            return heartbeats.of_frame(cast(dict[str, Any], data))
        case _ if isinstance(said.get("request_id"), str):
            return _result(said, cast(dict[str, Any], data))
    return None


def _result(said: Mapping[str, Any], data: Mapping[str, Any]) -> wire.Result | None:
    id = str(said["request_id"])
    match said.get("type"):
        case "command_result":
            code = data.get("exit_code")
            code = code if isinstance(code, int) else -1
            return wire.Result(command_id=id, success=code == 0, stdout=str(data.get("output") or ""), exit_code=code)
        case "container_logs":
            lines = "".join(f"{line}\n" for line in map(str, heartbeats.entries(data, "logs")))
            return wire.Result(command_id=id, success=True, output=lines)
        case "error":
            words = str(said.get("message") or data.get("message") or "failed")
            return wire.Result(command_id=id, success=False, stderr=words, exit_code=1)
        case str(kind) if kind in DONE:
            return wire.Result(command_id=id, success=True, exit_code=0)
    return None


# --- what it is asked ---


def put(message: wire.Hand | wire.Deploy | wire.Stop) -> dict[str, Any] | None:
    """A command of ours in the agent's words; None: it has none for it."""
    request = {"request_id": message.command_id}
    match message:
        case wire.Exec() if not message.env and not message.working_directory:
            return {"type": "execute_command", "command": message.command, **request}
        case wire.ContainerAction() if message.action in CONTAINER:
            return {"type": CONTAINER[message.action], "container_id": message.container, **request}
        case wire.Logs() if not message.follow and not message.since and not message.until:
            return {"type": "get_container_logs", "container_id": message.container, "tail": message.tail, **request}
    return None
