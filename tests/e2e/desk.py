"""The server's end of one agent's link, worked by hand: what `roci agent` really says and does, frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Desk:
    """Admits whoever dials, and keeps every frame. `heartbeats` are counted apart."""

    def __init__(self) -> None:
        self.url = ""
        self.heartbeats = 0
        self.containers: list[dict[str, Any]] = []  # as the last heartbeat had them
        self.registered: dict[str, Any] = {}
        self.frames: list[dict[str, Any]] = []
        self._socket: ServerConnection | None = None
        self._more = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        self.registered = json.loads(await socket.recv())
        answer = {"status": "approved", "agent_id": "id-1", "protocol": 2, "heartbeat_interval": 0.2}
        await socket.send(json.dumps({"type": "registration_response", **answer}))
        self._socket = socket
        self._wake()
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] == "heartbeat":
                    self.heartbeats += 1
                    self.containers = frame.get("containers", self.containers)
                else:
                    self.frames.append(frame)
                if frame["type"] == "result":
                    await socket.send(json.dumps({"type": "ack", "command_id": frame["command_id"]}))
                self._wake()
        if self._socket is socket:
            self._socket = None

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    async def until(self, check: Callable[[], Any], seconds: float = 60) -> Any:
        """The first true answer, asked again after each frame."""
        async with asyncio.timeout(seconds):
            while not (answer := check()):
                await self._more.wait()
        return answer

    async def joined(self) -> dict[str, Any]:
        """What the agent said of itself, once it is there."""
        await self.until(lambda: self._socket)
        return self.registered

    async def begin(self, type: str, **fields: Any) -> str:
        """Send a command; its id."""
        command_id = secrets.token_hex(8)
        await self.joined()
        assert self._socket
        await self._socket.send(json.dumps({"type": type, "command_id": command_id, **fields}))
        return command_id

    async def cancel(self, command_id: str) -> None:
        assert self._socket
        await self._socket.send(json.dumps({"type": "cancel", "command_id": command_id}))

    async def hang_up(self) -> None:
        assert self._socket
        await self._socket.close()

    def of(self, command_id: str, type: str) -> list[dict[str, Any]]:
        return [one for one in self.frames if one["type"] == type and one.get("command_id") == command_id]

    def text(self, command_id: str) -> str:
        """What it streamed so far."""
        return "".join(one["data"] for one in self.of(command_id, "output"))

    async def result(self, command_id: str, seconds: float = 60) -> dict[str, Any]:
        found: dict[str, Any] = await self.until(lambda: next(iter(self.of(command_id, "result")), None), seconds)
        return {"stdout": "", "stderr": "", **found}  # what is empty is not sent

    async def do(self, type: str, **fields: Any) -> dict[str, Any]:
        """The result of a command."""
        return await self.result(await self.begin(type, **fields))


@contextlib.asynccontextmanager
async def desk(host: str = "127.0.0.1") -> AsyncIterator[Desk]:
    made = Desk()
    async with serve(made.serve, host, 0, compression=None, max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        made.url = f"ws://{host}:{port}"
        yield made
