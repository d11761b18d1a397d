"""How operations read on this surface. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from typing_extensions import TypedDict

from ...domain.model import wire_time
from ...domain.operations import Operation
from .shapes import Id, Started

Status = Literal["running", "succeeded", "failed", "cancelled", "timed_out", "interrupted"]


class OperationRow(TypedDict):
    id: Id
    kind: str
    status: Status
    actor: str
    agent_id: str
    hostname: str
    application_id: str | None
    application_name: str | None
    revision: int | None
    args: dict[str, Any]
    command: str | None
    run_id: str | None
    run_context: dict[str, Any] | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    reason: str


class OperationOut(OperationRow):
    """`output` is what it printed, as it came. The two streams apart: of what was done to a host, once it has ended."""

    output: str
    stdout: str | None
    stderr: str | None
    duration_ms: int | None
    truncated: bool


class OperationList(TypedDict):
    operations: list[OperationRow]
    total: int


class Begun(Started):
    """`operation`: when it ended within the time that was waited."""

    operation: OperationOut | None


def operation_row(row: Operation) -> OperationRow:
    return {
        "id": row.id,
        "kind": row.kind,
        "status": cast(Status, row.status),
        "actor": row.actor_name,
        "agent_id": row.host_id,
        "hostname": row.hostname,
        "application_id": row.application_id,
        "application_name": row.application_name,
        "revision": row.revision,
        "args": row.args,
        "command": row.args.get("command"),
        "run_id": row.run_id,
        "run_context": row.run_context,
        "created_at": wire_time(row.created_at) or "",
        "started_at": wire_time(row.started_at),
        "finished_at": wire_time(row.finished_at),
        "exit_code": row.exit_code,
        "reason": row.reason,
    }


def operation(row: Operation, so_far: str | None = None, result: Mapping[str, Any] | None = None) -> OperationOut:
    """One operation in full; `so_far` is what one under way has printed, `result` what its reader may see."""
    streams = result or {}
    return {
        **operation_row(row),
        "output": row.output if so_far is None else so_far,
        "stdout": streams.get("stdout"),
        "stderr": streams.get("stderr"),
        "duration_ms": streams.get("duration_ms"),
        "truncated": bool(streams.get("truncated")),
    }
