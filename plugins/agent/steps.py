"""Run a plan: its steps in order, their output as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import cast

from roci import Command, Site, Step, StepFailed


async def perform(plan: Sequence[Step], commands: Mapping[str, Command], site: Site) -> AsyncGenerator[str, None]:
    """Yield the output of every step. Nothing is begun when a step names a command this host does not have.

    Closing the iterator, or cancelling who consumes it, ends the running step and what it started.
    """
    for step in plan:
        if step.command not in commands:
            raise StepFailed(f"this host has no command {step.command!r}")
    for step in plan:
        output = cast(AsyncGenerator[str, None], commands[step.command](site, step.args))
        async with aclosing(output):
            async for text in output:
                yield text
