"""Questions to a host: their answers as they come, their ends, and what nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
import pytest_asyncio

from roci import NotReady, Roci, StepFailed, TimedOut, TooMany
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import operations
from roci_plugins.work import call, execute
from roci_plugins.work.call import MOST, MOST_FOLLOWED, OF_HOST, Calls
from roci_plugins.work.operate import Operator

from .able import able_agent, heard

Answer = AsyncGenerator[str, None]


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with able_agent(roci) as agent:
        yield agent


@pytest.fixture
def calls(roci: Roci) -> Calls:
    return roci.part(Operator).calls


def logs(follow: bool = False) -> wire.Logs:
    return wire.Logs(command_id="q1", container="web", follow=follow)


async def asked(answer: Answer, agent: ScriptedAgent) -> asyncio.Task[str]:
    """The first piece of the answer, to come; the agent has been asked."""

    async def first() -> str:
        return await anext(answer)

    coming = asyncio.create_task(first())
    assert (await agent.hear())["type"] == "logs"
    return coming


async def test_an_answer_comes_in_pieces_and_nothing_is_recorded(
    roci: Roci, agent: ScriptedAgent, calls: Calls
) -> None:
    answer = calls.ask(agent.agent_id, logs())
    coming = await asked(answer, agent)
    await agent.say("output", command_id="q1", data="one\n")
    assert await coming == "one\n"
    await agent.say("output", command_id="q1", data="two\n")
    await agent.say("output", command_id="q1", data="three\n")
    await agent.say("result", command_id="q1", success=True, output="one\ntwo\nthree\n")
    assert "".join([text async for text in answer]) == "two\nthree\n", "what was streamed is not said twice"
    assert (await roci.read(operations.list_, 1))[1] == 0
    assert not calls._calls


async def test_an_agent_that_does_not_stream_answers_with_its_result(agent: ScriptedAgent, calls: Calls) -> None:
    answer = calls.ask(agent.agent_id, logs())
    coming = await asked(answer, agent)
    await agent.say("result", command_id="q1", success=True, output="all of it")
    assert await coming == "all of it"
    assert [text async for text in answer] == []


async def test_a_refusal_is_in_the_hosts_own_words(agent: ScriptedAgent, calls: Calls) -> None:
    coming = await asked(calls.ask(agent.agent_id, logs()), agent)
    await agent.say("result", command_id="q1", success=False, exit_code=1, stderr="no container web\n", output="x")
    with pytest.raises(StepFailed, match="no container web") as refused:
        await coming
    assert refused.value.details["exit_code"] == 1


async def test_closing_it_ends_it_on_the_host_and_what_it_still_says_is_nobodys(
    roci: Roci, agent: ScriptedAgent, calls: Calls
) -> None:
    run = await execute.execute(roci, agent.agent_id, "true")
    assert (await agent.hear())["type"] == "exec"
    answer = calls.ask(agent.agent_id, logs(follow=True))
    coming = await asked(answer, agent)
    await agent.say("output", command_id="q1", data="one\n")
    await coming
    await answer.aclose()
    assert await agent.hear() == {"type": "cancel", "command_id": "q1"}
    await agent.say("output", command_id="q1", data="late\n")
    await agent.say("result", command_id="q1", success=False, data={"cancelled": True})
    await heard(roci, agent)
    assert run.ended is None, "the one command that is under way is another"


async def test_a_host_that_leaves_ends_it_with_a_word(agent: ScriptedAgent, calls: Calls) -> None:
    answer = calls.ask(agent.agent_id, logs(follow=True))
    coming = await asked(answer, agent)
    await agent.say("output", command_id="q1", data="one\n")
    await coming
    await agent.say("output", command_id="q1", data="two\n")
    await agent.hang_up()
    with pytest.raises(NotReady, match="left before"):
        assert [text async for text in answer] == ["two\n"]


async def test_a_host_that_is_here_by_another_connection_does_not_know_of_it(
    roci: Roci, agent: ScriptedAgent, calls: Calls
) -> None:
    coming = await asked(calls.ask(agent.agent_id, logs(follow=True)), agent)
    async with able_agent(roci, agent_id=agent.agent_id, agent_token=agent.agent_token):
        with pytest.raises(NotReady):
            async with asyncio.timeout(30):
                await coming


async def test_an_answer_has_its_time_unless_it_is_followed(
    agent: ScriptedAgent, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "SLACK", -60.0)
    coming = await asked(calls.ask(agent.agent_id, logs()), agent)
    with pytest.raises(TimedOut):
        await coming
    assert await agent.hear() == {"type": "cancel", "command_id": "q1"}


async def test_what_a_host_does_not_offer_is_not_asked(roci: Roci, calls: Calls) -> None:
    async with able_agent(roci, "logs") as agent:
        with pytest.raises(NotReady, match="does not allow logs"):
            await anext(calls.ask(agent.agent_id, logs()))


@pytest.mark.parametrize(("follow", "most"), [(True, MOST_FOLLOWED), (False, MOST)])
async def test_a_reader_that_stops_costs_a_bounded_amount_and_is_told_what_it_missed(
    roci: Roci, agent: ScriptedAgent, calls: Calls, follow: bool, most: int
) -> None:
    answer = calls.ask(agent.agent_id, logs(follow))
    coming = await asked(answer, agent)
    await agent.say("output", command_id="q1", data="first\n")
    await coming
    frame, frames = "x" * 65535 + "\n", most // 65536 + 50
    for _ in range(frames):
        await agent.say("output", command_id="q1", data=frame)
        assert calls._calls["q1"].waiting <= most
    await heard(roci, agent)
    text = await anext(answer)
    assert text.startswith(f"… {65536 * 50} characters were skipped")
    assert len(text) <= most + 100
    await answer.aclose()


async def test_another_host_cannot_answer(roci: Roci, agent: ScriptedAgent, calls: Calls) -> None:
    coming = await asked(calls.ask(agent.agent_id, logs()), agent)
    async with able_agent(roci, hostname="h2") as other:
        await other.say("result", command_id="q1", success=True, output="forged")
        await heard(roci, other)
    assert not coming.done()
    await agent.say("result", command_id="q1", success=True, output="true")
    await until(coming.done)
    assert coming.result() == "true"


@pytest.mark.parametrize("given_up", [False, True], ids=["all wait", "all are given up at once"])
async def test_more_questions_than_a_host_can_answer_are_refused_and_it_stays(
    roci: Roci, agent: ScriptedAgent, calls: Calls, given_up: bool
) -> None:
    async def ask(number: int) -> None:
        async for _ in calls.ask(agent.agent_id, wire.Inventory(command_id=f"q{number}", what="images")):
            pass

    asking = [asyncio.create_task(ask(number)) for number in range(600)]
    await asyncio.sleep(0)
    if given_up:
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        asking = [asyncio.create_task(ask(number)) for number in range(600, 1200)]
        await asyncio.sleep(0)
    refused = [task for task in asking if task.done() and isinstance(task.exception(), TooMany)]
    assert len(refused) >= 600 - OF_HOST
    await heard(roci, agent)
    live = roci.part(Hub).roster[agent.agent_id]
    assert live.link and not live.link.closing, "its host is still connected"
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    await heard(roci, agent)
    assert not calls._calls
