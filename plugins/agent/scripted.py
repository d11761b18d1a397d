"""An agent that says and answers what a test tells it to, over a link in the process. For our tests and plugins."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from roci import Roci

from . import wire
from .hub import Hub
from .local import Pipe, pipe

PATIENCE = 30.0  # seconds; a machine that is asked for much stands still for some of them


class ScriptedAgent:
    """Speaks plain JSON, so that tests see the wire as it is."""

    def __init__(self, end: Pipe) -> None:
        self._end = end
        self.agent_id = ""
        self.agent_token: str | None = None

    async def say(self, type: str, **fields: Any) -> None:
        await self._end.send(json.dumps({"type": type, **fields}))

    async def say_raw(self, text: str) -> None:
        await self._end.send(text)

    async def hear(self, within: float = PATIENCE) -> dict[str, Any]:
        """The next message, or wire.Closed with the code."""
        async with asyncio.timeout(within):
            message: dict[str, Any] = json.loads(await self._end.receive())
        return message

    async def register(self, hostname: str = "h1", **fields: Any) -> dict[str, Any]:
        """Register and take in the answer."""
        await self.say("register", **{"hostname": hostname, "ip_address": "10.0.0.1", "volume_base": "/data", **fields})
        answer = await self.hear()
        self.note(answer)
        return answer

    def note(self, answer: dict[str, Any]) -> None:
        self.agent_id = answer["agent_id"]
        self.agent_token = answer.get("agent_token", self.agent_token)

    async def answer(self, success: bool = True, output: str = "", **fields: Any) -> dict[str, Any]:
        """Take the next command and end it."""
        command = await self.hear()
        await self.say("result", command_id=command["command_id"], success=success, output=output, **fields)
        return command

    async def closed(self, within: float = PATIENCE) -> int | None:
        """The code with which the server closed the link; what it said before is dropped."""
        async with asyncio.timeout(within):
            while True:
                try:
                    await self._end.receive()
                except wire.Closed as closed:
                    return closed.code

    async def hang_up(self) -> None:
        await self._end.close(1006, "")


async def until(check: Callable[[], object], within: float = PATIENCE) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _served(hub: Hub, end: Pipe, local: bool) -> None:
    """As with a socket: when the server is done with it, it is closed."""
    try:
        await hub.serve(end, local=local)
    finally:
        await end.close(1006, "")


@contextlib.asynccontextmanager
async def scripted_agent(roci: Roci, local: bool = False, peer: str = "127.0.0.1") -> AsyncIterator[ScriptedAgent]:
    """A connection to this ROCI's hub; it is ended with the block."""
    here, there = pipe()
    there.peer = peer
    served = asyncio.create_task(_served(roci.part(Hub), there, local))
    try:
        yield ScriptedAgent(here)
    finally:
        await here.close(1000, "")
        await asyncio.wait({served}, timeout=PATIENCE)
        served.cancel()
