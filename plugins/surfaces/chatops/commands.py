"""/api/v1/commands: a shell line on a server, waited for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from quart import Blueprint

from roci import TimedOut, Unavailable

from ...work import execute
from ..http import accepts, needs, raises, returns, roci
from .query import id_is
from .runs import connected, ended, printed
from .shapes import Body

routes = Blueprint("commands", __name__, url_prefix="/commands")
UNKNOWN = -1  # the exit code of what ended without one


class Command(Body):
    command: str = Field(min_length=1, max_length=execute.LONGEST_COMMAND)
    timeout_seconds: int = Field(30, ge=1, le=900)


class CommandResult(BaseModel):
    command_id: str
    command: str
    output: str
    exit_code: int
    duration_ms: int
    success: bool
    error: str | None
    truncated: bool


@routes.post("/<server_id>")
@id_is("server_id")
@needs("hosts.exec", on="host/{id}")
@accepts(Command)
@returns(CommandResult)
@raises(Unavailable, TimedOut)
async def run(given: Command, id: str) -> Any:
    """Run it and wait. One that fails is answered too; one that takes longer goes on in the history."""
    execute.check_command(given.command, None, given.timeout_seconds)
    await connected(id)
    begun = await execute.execute(roci, id, given.command, seconds=given.timeout_seconds)
    operation = await ended(begun, given.timeout_seconds)
    said, success = printed(operation), operation.status == "succeeded"
    code = operation.exit_code if operation.exit_code is not None else 0 if success else UNKNOWN
    return {
        "command_id": operation.id,
        "command": given.command,
        "output": said.all_,
        "exit_code": code,
        "duration_ms": said.duration_ms,
        "success": success,
        "error": None if success else said.all_ or operation.reason or operation.status,
        "truncated": said.truncated,
    }
