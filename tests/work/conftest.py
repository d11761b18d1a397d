"""An approved host that is connected, and an application that it may get."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from roci import Roci
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent
from roci_plugins.domain import applications, policies
from roci_plugins.domain.applications import Application

from .deploying import COMPOSE


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        yield agent


@pytest_asyncio.fixture
async def a1(roci: Roci, agent: ScriptedAgent) -> Application:
    return await roci.write(applications.add, "a1", COMPOSE)
