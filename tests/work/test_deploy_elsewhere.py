"""Applications that lie on one host and belong to another."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from roci import Conflict, Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import applications, operations
from roci_plugins.domain.applications import Application
from roci_plugins.work import deploy

from .deploying import deployed, ended, state


@pytest_asyncio.fixture
async def h2(roci: Roci, agent: ScriptedAgent) -> AsyncIterator[ScriptedAgent]:
    async with scripted_agent(roci) as other:
        await other.register("h2")
        yield other


async def stopped(roci: Roci, application: Application, agent: ScriptedAgent) -> None:
    await deployed(roci, application, agent)
    operation = await deploy.stop(roci, application.id)
    await agent.answer()
    await ended(roci, operation)


async def give(roci: Roci, application: Application, agent: ScriptedAgent) -> None:
    await roci.write(applications.change, application.id, host_id=agent.agent_id)


async def test_a_late_success_is_believed_of_the_host_that_tells_it(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    roci.part(Hub).times.grace = 0.05
    lost = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hang_up()
    await ended(roci, lost)
    await give(roci, a1, h2)
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
        await back.say("result", command_id=lost.id, success=True)
        await back.say("ping")
        await back.hear()
    row = await roci.read(applications.get, a1.id)
    assert (row.status, row.host_id) == ("running", agent.agent_id)


async def test_what_lies_on_one_host_is_not_started_on_another(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    await give(roci, a1, h2)
    with pytest.raises(Conflict, match="never deployed to that agent"):
        await deploy.start(roci, a1.id)


async def test_an_application_is_taken_down_where_it_lies(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    await give(roci, a1, h2)
    operation = await deploy.delete(roci, a1.id, "a1")
    assert operation is not None and operation.hostname == "h1"
    assert (await agent.hear())["type"] == "delete"


async def test_a_host_that_never_had_it_takes_nothing_down(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await deployed(roci, a1, agent)
    await deploy.remove_host(roci, agent.agent_id)
    await give(roci, a1, h2)
    assert await deploy.delete(roci, a1.id, "a1") is None


async def test_a_deploy_to_another_host_takes_it_down_on_the_first(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    operation = await deploy.deploy(roci, a1.id, h2.agent_id, {})
    assert (await agent.hear())["type"] == "delete"  # and it never answers
    await h2.answer()
    assert (await ended(roci, operation)).args == {"secrets": []}
    assert await state(roci, a1) == ("running", None)
    assert (await deploy.stop(roci, a1.id)).hostname == "h2"
    kinds = {(row.kind, row.hostname) for row in (await roci.read(operations.list_, 9, application_id=a1.id))[0]}
    assert kinds >= {("delete", "h1"), ("deploy", "h2")}


async def test_a_deploy_away_from_a_host_that_is_gone_says_what_it_left(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    operation = await deployed(roci, a1, h2)
    assert operation.args == {"secrets": [], "left_on": "h1"}
    assert await state(roci, a1) == ("running", None)
