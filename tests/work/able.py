"""A host that offers everything, for tests of what is done to hosts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from roci import Roci
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import operations, policies
from roci_plugins.domain.operations import Operation
from roci_plugins.work.run import Run

CAPABILITIES = ["ack", "cancel", *map(wire.kind_of, wire.HANDS)]
WEB = {"id": "abcdef123456", "name": "shop-web-1", "image": "web", "status": "running", "app": "shop"}
SIDE = {"id": "beef00000000", "name": "abcdef", "image": "side", "status": "running"}


@contextlib.asynccontextmanager
async def able_agent(
    roci: Roci, *without: str, running: Run | None = None, **fields: Any
) -> AsyncIterator[ScriptedAgent]:
    """An approved host, connected, that lists two containers, and says that it still runs this command."""
    if not await roci.read(policies.all_):
        await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        still = [running.operation.id] if running else []
        offered = [name for name in CAPABILITIES if name not in without]
        await agent.register(**{"hostname": "h1", "protocol": 2, "capabilities": offered, **fields})
        await agent.say("heartbeat", containers=[WEB, SIDE], running_commands=still)
        await until(lambda: roci.part(Hub).roster[agent.agent_id].reported)
        yield agent


async def ended(roci: Roci, run: Run) -> Operation:
    assert await run.finished(5), "it did not end"
    return await roci.read(operations.get, run.operation.id)


async def heard(roci: Roci, agent: ScriptedAgent) -> None:
    """Return when the server has taken in all that the agent said. Skips what else it sent."""
    await agent.say("ping")
    while (await agent.hear())["type"] != "pong":
        pass


def stored(roci: Roci) -> bytes:
    """All that the database files hold."""
    return b"".join(path.read_bytes() for path in roci.settings.data.glob("roci.db*"))
