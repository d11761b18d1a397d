from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from roci import Site, Step, StepFailed
from roci_plugins.agent import process
from roci_plugins.agent.steps import perform

SITE = Site(Path("/nowhere"), None, {}, process.spawn)


class Scripted:
    """A command that notes what it was asked, and whether it was let go."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.ended = 0

    async def __call__(self, site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
        self.asked.append(dict(args))
        try:
            if args.get("fail"):
                raise StepFailed("it broke")
            yield f"{args['n']}a "
            yield f"{args['n']}b "
        finally:
            self.ended += 1


async def test_steps_run_in_order_and_their_output_comes_in_order() -> None:
    command = Scripted()
    plan = [Step("do", {"n": 1}), Step("do", {"n": 2})]
    assert [text async for text in perform(plan, {"do": command}, SITE)] == ["1a ", "1b ", "2a ", "2b "]
    assert command.ended == 2


async def test_an_unknown_command_is_named_before_anything_is_done() -> None:
    command = Scripted()
    with pytest.raises(StepFailed, match="this host has no command 'other'"):
        await anext(perform([Step("do", {"n": 1}), Step("other", {})], {"do": command}, SITE))
    assert command.asked == []


async def test_a_failure_ends_the_plan() -> None:
    command = Scripted()
    plan = [Step("do", {"n": 1}), Step("do", {"fail": True}), Step("do", {"n": 3})]
    with pytest.raises(StepFailed, match="it broke"):
        _ = [text async for text in perform(plan, {"do": command}, SITE)]
    assert len(command.asked) == 2


async def test_closing_the_output_ends_the_step_that_runs() -> None:
    command = Scripted()
    running = perform([Step("do", {"n": 1}), Step("do", {"n": 2})], {"do": command}, SITE)
    assert await anext(running) == "1a "
    await running.aclose()
    assert (command.ended, len(command.asked)) == (1, 1)
