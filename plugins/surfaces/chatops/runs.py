"""Waiting for what is done to a host, and what its end means to whoever waits."""

from __future__ import annotations

from dataclasses import dataclass

from roci import NotReady, RociError, TimedOut, Unavailable, current_actor

from ...agent.hub import Hub
from ...domain import hostcards
from ...domain.hostcards import Carded
from ...domain.operations import Operation
from ...work.operate import Operator
from ...work.run import Run
from ..http import roci

SLACK = 15.0  # seconds beyond the time that a thing has on its host


@dataclass(frozen=True)
class Printed:
    stdout: str
    stderr: str
    duration_ms: int
    truncated: bool

    @property
    def all_(self) -> str:
        return self.stdout + self.stderr


class Failed(RociError):
    """The host did not do it; the message is its own."""


async def ended(run: Run, seconds: float) -> Operation:
    """Wait for the end. Raises TimedOut, and NotReady for a host that left; the operation's id is in the details."""
    operation = await run.finished(seconds + SLACK)
    if operation is None and roci.draining.is_set():
        raise Unavailable("This server restarts; what was begun goes on", command_id=run.operation.id)
    if operation is None or operation.status == "timed_out":
        raise TimedOut(f"Not done after {seconds:g} seconds", command_id=run.operation.id)
    if operation.status == "interrupted":
        raise NotReady(f"Server agent is gone: {operation.reason}", command_id=run.operation.id)
    return operation


def printed(operation: Operation) -> Printed:
    said = roci.part(Operator).result(operation, current_actor.get()) or {}
    stdout, stderr = said.get("stdout") or "", said.get("stderr") or ""
    if not stdout and not stderr:
        stdout = operation.output
    return Printed(stdout, stderr, int(said.get("duration_ms") or 0), bool(said.get("truncated")))


async def connected(id: str) -> Carded:
    """A server that can be asked. Raises NotFound, or NotReady."""
    found = await roci.read(hostcards.get, id)
    live = roci.part(Hub).roster.get(id)
    if live is None or not live.is_connected:
        raise NotReady("Server agent is not connected")
    return found
