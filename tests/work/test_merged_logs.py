"""Lines of containers of several hosts, read together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio

from roci import Roci
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.work import merged_logs
from roci_plugins.work.logs import Wanted
from roci_plugins.work.merged_logs import Piece, Source, moment_of

from .able import able_agent

ALL = Wanted(None, timestamps=True)
LATE, EARLY = "2026-11-22T10:00:02.000000000Z", "2026-11-22T10:00:01.000000000Z"


@pytest_asyncio.fixture
async def two(roci: Roci) -> AsyncIterator[tuple[ScriptedAgent, ScriptedAgent]]:
    async with able_agent(roci, hostname="h1") as one, able_agent(roci, hostname="h2") as other:
        yield one, other


async def test_what_ends_or_fails_is_one_of_them_and_the_others_go_on(
    roci: Roci, two: tuple[ScriptedAgent, ScriptedAgent]
) -> None:
    one, other = two
    asked = [(Source(agent.agent_id, "shop-web-1"), ALL) for agent in two]
    async with contextlib.aclosing(merged_logs.follow(roci, asked)) as pieces:
        coming = asyncio.ensure_future(anext(pieces))
        first, second = await one.hear(), await other.hear()
        await one.say("result", command_id=first["command_id"], success=False, stderr="no such container: shop-web-1")
        assert await coming == Piece(0, [], "no such container: shop-web-1")
        await other.say("output", command_id=second["command_id"], data="still here\n")
        assert await anext(pieces) == Piece(1, ["still here"])
        await other.say("result", command_id=second["command_id"], success=True)
        assert [piece async for piece in pieces] == [Piece(1, [], "")]


async def test_all_lines_of_two_hosts_are_in_the_order_of_their_time_and_the_cut_is_told(
    roci: Roci, two: tuple[ScriptedAgent, ScriptedAgent]
) -> None:
    one, other = two
    asked = [(Source(agent.agent_id, "shop-web-1"), ALL) for agent in two]

    async def whole() -> list[tuple[int, str]]:
        return [each async for each in merged_logs.whole(roci, asked)]

    reading = asyncio.create_task(whole())
    first, second = await one.hear(), await other.hear()
    await one.say("output", command_id=first["command_id"], data=f"{LATE} late\n")
    await one.say("result", command_id=first["command_id"], success=False, stderr="the disk is gone")
    await other.say("result", command_id=second["command_id"], success=True, output=f"{EARLY} early\n")
    said = "… shop-web-1: the disk is gone …"
    assert await reading == [(1, f"{EARLY} early"), (0, f"{LATE} late"), (0, said)]


def test_the_time_of_a_line_is_what_it_begins_with() -> None:
    assert moment_of(f"{LATE} text") == moment_of(f"\x02{LATE} text") == moment_of(LATE) == LATE
    assert moment_of("… 12 characters were skipped …") == moment_of("") == moment_of("12 monkeysZ") == ""
