"""A host for pages to show."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.work import enrol

from .reading import EVIL


@pytest.fixture
async def nas(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    """An approved host with one container, whose name would like to be a script."""
    async with scripted_agent(roci) as agent:
        await agent.register("nas", protocol=2, capabilities=["container"])
        await enrol.approve(roci, agent.agent_id)
        await agent.hear()
        container = {"id": "0123456789ab", "name": EVIL, "image": "nginx", "status": "running", "state": "Up 3 minutes"}
        await agent.say("heartbeat", containers=[container])
        live = roci.part(Hub).roster[agent.agent_id]
        await until(lambda: live.containers)
        yield agent
