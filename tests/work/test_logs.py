"""Lines of containers: how they are asked for, cut and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from roci import Invalid, NotFound, NotReady, Roci, Unavailable
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.work import logs
from roci_plugins.work.logs import Lines, Wanted

from .able import able_agent

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with able_agent(roci) as agent:
        yield agent


async def answered(agent: ScriptedAgent, *pieces: str, success: bool = True, **said: Any) -> dict[str, Any]:
    """Answer the question that comes; the question."""
    asked = await agent.hear()
    for piece in pieces:
        await agent.say("output", command_id=asked["command_id"], data=piece)
    await agent.say("result", command_id=asked["command_id"], success=success, **said)
    return asked


async def last(roci: Roci, agent: ScriptedAgent, *pieces: str, **said: Any) -> Lines:
    asking = asyncio.create_task(logs.last(roci, agent.agent_id, "shop-web-1"))
    await answered(agent, *pieces, **said)
    return await asking


async def test_the_question_is_the_clients(roci: Roci, agent: ScriptedAgent) -> None:
    wanted = Wanted(7, "2026-01-31T12:00:00Z", "2026-01-31T13:00:00", timestamps=True)
    asking = asyncio.create_task(logs.last(roci, agent.agent_id, "abcd", wanted))
    frame = await answered(agent)
    assert frame.pop("command_id") and frame == {
        "type": "logs",
        "container": "abcd",
        "tail": 7,
        "since": "2026-01-31T12:00:00+00:00",
        "until": "2026-01-31T13:00:00+00:00",
        "timestamps": True,
        "follow": False,
    }
    assert await asking == Lines([], False)


@pytest.mark.parametrize(
    "wanted",
    [Wanted(0), Wanted(10_001), Wanted(since="yesterday"), Wanted(until="12"), Wanted(since="2026-01-31T99:00")],
    ids=range(5),
)
async def test_a_question_that_breaks_a_rule_is_not_asked(roci: Roci, agent: ScriptedAgent, wanted: Wanted) -> None:
    for ask in (logs.last, logs.follow):
        with pytest.raises(Invalid):
            await ask(roci, agent.agent_id, "web", wanted)


async def test_lines_are_whole_however_they_arrive(roci: Roci, agent: ScriptedAgent) -> None:
    found = await last(roci, agent, "on", "e\r\ntwo\u2028is one line\n", "\nfou", "r")
    assert found == Lines(["one", "two\u2028is one line", "", "four"], False)


async def test_an_answer_that_is_too_long_has_its_end_and_says_so(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST", 100)
    found = await last(roci, agent, *(f"line {number:04}\n" for number in range(50)))
    assert found.truncated and found.lines[-1] == "line 0049" and found.lines[0] == "line 0041"
    assert await last(roci, agent, "x" * 300) == Lines(["x" * 100], True)


async def test_a_container_that_is_not_there_is_not_found_and_other_trouble_is_told(
    roci: Roci, agent: ScriptedAgent
) -> None:
    with pytest.raises(Unavailable, match="engine is asleep"):
        await last(roci, agent, success=False, exit_code=1, stderr="the engine is asleep")
    asking = asyncio.create_task(logs.last(roci, agent.agent_id, "ghost"))
    await answered(agent, success=False, exit_code=1, stderr="no container ghost")
    with pytest.raises(NotFound, match="no container ghost"):
        await asking
    with pytest.raises(NotFound, match="No such container: web"):
        await last(roci, agent, success=False, exit_code=1, stderr="No such container: web")
    await agent.say("heartbeat", containers=[], engine_error="the engine is asleep")
    with pytest.raises(Unavailable, match="asleep"):
        await last(roci, agent, success=False, exit_code=1, stderr="the engine is asleep")


async def test_a_host_that_is_not_there_is_refused_before_anything_is_followed(roci: Roci) -> None:
    async with able_agent(roci, "logs") as agent:
        with pytest.raises(NotReady):
            await logs.follow(roci, agent.agent_id, "web")
        with pytest.raises(NotFound):
            await logs.follow(roci, NOBODY, "web")


async def test_following_gives_whole_lines_and_pieces_of_what_has_no_end(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LONGEST_LINE", 10)
    lines = await logs.follow(roci, agent.agent_id, "shop-web-1")
    seen: list[str] = []

    async def read() -> None:
        async for some in lines:
            seen.extend(some)

    reading = asyncio.create_task(read())
    asked = await agent.hear()
    assert asked["follow"] is True
    for piece in ("one\ntw", "o\n", "x" * 12, "yz", "\nend"):
        await agent.say("output", command_id=asked["command_id"], data=piece)
    await agent.say("result", command_id=asked["command_id"], success=True)
    await reading
    assert seen[:2] == ["one", "two"] and "".join(seen[2:]) == "x" * 12 + "yzend"
