"""An application on its way to a host, for tests of what is done with applications."""

from __future__ import annotations

import asyncio
from typing import Any

from roci import Roci, Sensitive
from roci_plugins.agent.scripted import PATIENCE, ScriptedAgent
from roci_plugins.domain import applications, operations
from roci_plugins.domain.applications import Application
from roci_plugins.domain.operations import Operation
from roci_plugins.work import deploy
from roci_plugins.work.operate import Operator

COMPOSE = "services:\n  w:\n    image: nginx\n"
SECRET = {"DB_PASSWORD": Sensitive("supersecret99")}


async def ended(roci: Roci, operation: Operation) -> Operation:
    if run := roci.part(Operator).run(operation.id):
        async with asyncio.timeout(PATIENCE):
            async for _ in run.follow():
                pass
    return await roci.read(operations.get, operation.id)


async def state(roci: Roci, application: Application) -> tuple[str, str | None]:
    row = await roci.read(applications.get, application.id)
    return row.status, row.last_error


async def deployed(roci: Roci, application: Application, agent: ScriptedAgent, **result: Any) -> Operation:
    operation = await deploy.deploy(roci, application.id, agent.agent_id, {})
    await agent.answer(**result)
    return await ended(roci, operation)
