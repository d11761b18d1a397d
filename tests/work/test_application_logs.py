"""Lines of all containers of an application, merged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from roci import Conflict, NotReady, Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import applications
from roci_plugins.domain.applications import Application
from roci_plugins.work import application_logs, deploy
from roci_plugins.work.application_logs import Merged, Said
from roci_plugins.work.logs import Wanted
from roci_plugins.work.operate import Operator

from .able import WEB, able_agent

DB = {**WEB, "id": "dbdbdbdbdbdb", "name": "shop-db-1"}


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with able_agent(roci) as agent:
        yield agent


@pytest_asyncio.fixture
async def shop(roci: Roci, agent: ScriptedAgent) -> Application:
    row = await roci.write(applications.add, "shop", "services:\n  w:\n    image: nginx\n")
    await deploy.deploy(roci, row.id, agent.agent_id, {})
    await agent.answer()
    assert (await agent.hear())["type"] == "ack"
    await agent.say("heartbeat", containers=[DB, WEB], running_commands=[])
    await until(lambda: "shop-db-1" in str(roci.part(Hub).roster[agent.agent_id].reported))
    return row


async def asked(agent: ScriptedAgent) -> dict[str, str]:
    """The ids of both questions, by container."""
    frames = [await agent.hear(), await agent.hear()]
    assert {frame["type"] for frame in frames} == {"logs"}
    return {frame["container"]: frame["command_id"] for frame in frames}


async def test_the_last_lines_are_in_the_order_of_their_time(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    asking = asyncio.create_task(application_logs.last(roci, shop.id, Wanted(3)))
    ids = await asked(agent)
    await agent.say("result", command_id=ids["shop-web-1"], success=True, output="T1 first\nT4 last of all\n")
    await agent.say("result", command_id=ids["shop-db-1"], success=True, output="T2 second\nT3 third\n")
    lines = [Said("shop-db-1", "second"), Said("shop-db-1", "third"), Said("shop-web-1", "last of all")]
    assert await asking == Merged(lines, False)


async def test_all_are_followed_until_the_last_has_ended(roci: Roci, agent: ScriptedAgent, shop: Application) -> None:
    said = await application_logs.follow(roci, shop.id, Wanted())
    seen: list[tuple[str, list[str]]] = []

    async def read() -> None:
        async for each in said:
            seen.append(each)

    reading = asyncio.create_task(read())
    ids = await asked(agent)
    for name, text in (("shop-db-1", "one\n"), ("shop-web-1", "two\n")):
        await agent.say("output", command_id=ids[name], data=text)
    await until(lambda: len(seen) == 2)
    await agent.say("result", command_id=ids["shop-db-1"], success=True)
    await agent.say("output", command_id=ids["shop-web-1"], data="three\nfour")
    await agent.say("result", command_id=ids["shop-web-1"], success=True)
    await reading
    assert seen[:2] == [("shop-db-1", ["one"]), ("shop-web-1", ["two"])]
    assert [line for _, lines in seen[2:] for line in lines] == ["three", "four"]


async def test_a_host_that_leaves_ends_them_all_with_a_word(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    said = await application_logs.follow(roci, shop.id, Wanted())

    async def read() -> list[tuple[str, list[str]]]:
        return [each async for each in said]

    reading = asyncio.create_task(read())
    await asked(agent)
    await agent.hang_up()
    with pytest.raises(NotReady, match="left"):
        await reading
    assert not roci.part(Operator).calls._calls


async def test_closing_it_ends_all_on_the_host(roci: Roci, agent: ScriptedAgent, shop: Application) -> None:
    said = await application_logs.follow(roci, shop.id, Wanted())
    first = asyncio.create_task(anext(said))  # type: ignore[arg-type]
    ids = await asked(agent)
    await agent.say("output", command_id=ids["shop-db-1"], data="one\n")
    assert await first == ("shop-db-1", ["one"])
    await said.aclose()
    ended = [await agent.hear(), await agent.hear()]
    assert {(frame["type"], frame["command_id"]) for frame in ended} == {("cancel", id) for id in ids.values()}


async def test_what_lies_nowhere_says_nothing(roci: Roci, agent: ScriptedAgent) -> None:
    row = await roci.write(applications.add, "new", "services:\n  w:\n    image: nginx\n")
    for ask in (application_logs.last, application_logs.follow):
        with pytest.raises(Conflict, match="lies on no host"):
            await ask(roci, row.id, Wanted())
