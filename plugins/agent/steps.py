"""Run a plan: its steps in order, their output as it comes. And who has a plan of its own for what."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, cast, runtime_checkable

from roci import Command, Site, Spec, Step, StepFailed


@runtime_checkable
class Keeper(Protocol):
    """A backend whose containers something else keeps running: to restart them takes a plan, and to stop one is vain.

    Of other backends the containers are restarted one by one.
    """

    @property
    def name(self) -> str: ...

    def restart(self, spec: Spec) -> list[Step]:
        """`spec` has no text."""


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
