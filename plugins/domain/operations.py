"""One recorded run of anything that is done to a host: who, when, what, output, outcome. Its id is the command's."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

import peewee

from roci import Conflict, Event, Migration, NotFound, Outcome, current_actor, emit, hookimpl, now

from .applications import Application
from .hosts import Host
from .model import Json, Model, Utc

KEPT = 64 * 1024  # characters of output kept, the last ones
APPLICATION_KINDS = ("deploy", "stop", "start", "delete")  # those that tell an application's state
ENDS = {"succeeded", "failed", "cancelled", "timed_out", "interrupted"}
UNDER_WAY = "status = 'running' and +application_id = ? and kind <> 'delete'"  # +: by the few that run, not by its past
LATER = f"application_id = ? and created_at > ? and kind in ({', '.join('?' * len(APPLICATION_KINDS))})"
MOVES = {
    "running": ENDS,
    # Nobody knew how it went; the agent came back and told.
    "interrupted": {"succeeded", "failed"},
    "timed_out": {"succeeded"},
}


@dataclasses.dataclass(frozen=True)
class Cause:
    """What outside ROCI an operation is part of: a run of a CI system. Set `current_cause` around what begins it."""

    run_id: str | None = None
    run_context: Mapping[str, Any] | None = None  # free words of the client: provider, repository, …; masked


current_cause: ContextVar[Cause] = ContextVar("roci_cause", default=Cause())  # noqa: B039  it is frozen


class Operation(Model):
    kind = peewee.TextField()
    status = peewee.TextField(default="running", index=True)
    actor_id = peewee.TextField()
    actor_name = peewee.TextField()
    host_id = peewee.TextField(index=True)
    hostname = peewee.TextField()
    application_id = peewee.TextField(null=True)
    application_name = peewee.TextField(null=True)
    revision = peewee.IntegerField(null=True)
    args = Json(default=dict)  # never a secret's value, only its name
    timeout = peewee.IntegerField()  # seconds, counted from started_at
    started_at = Utc(null=True)
    finished_at = Utc(null=True)
    exit_code = peewee.IntegerField(null=True)
    output = peewee.TextField(default="")  # masked, the last KEPT characters
    reason = peewee.TextField(default="")  # why it ended as it did, where the output does not say
    result = Json(null=True)  # masked: stdout, stderr, duration_ms, truncated, where the agent keeps them apart
    run_id = peewee.TextField(null=True, index=True)
    run_context = Json(null=True)
    via = peewee.TextField(default="")  # the actor's credential: its kind and id, and where the request came from
    credential = peewee.TextField(default="", index=True)
    address = peewee.TextField(default="")

    class Meta:
        only_save_dirty = True
        indexes = ((("application_id", "created_at"), False), (("created_at", "id"), False))


@dataclasses.dataclass(frozen=True)
class OperationStarted(Event):
    operation_id: str
    kind: str
    host_id: str
    application_id: str | None


@dataclasses.dataclass(frozen=True)
class OperationFinished(Event):
    operation_id: str
    kind: str
    host_id: str
    application_id: str | None
    status: str
    reason: str
    exit_code: int | None

    @property
    def outcome(self) -> str:
        return "done" if self.status == "succeeded" else "failed"


def get(operation_id: str) -> Operation:
    operation: Operation | None = Operation.by_id(operation_id)
    if operation is None:
        raise NotFound("Operation not found")
    return operation


def list_(
    limit: int,
    offset: int = 0,
    *,
    application_id: str | None = None,
    host_id: str | None = None,
    status: str | None = None,
    kind: str | None = None,
    run_id: str | None = None,
    credential: str | None = None,
    application_name: str | None = None,
    actor_name: str | None = None,
) -> tuple[list[Operation], int]:
    """Newest first, without their output; and how many there are in all."""
    wanted = {"application_id": application_id, "host_id": host_id, "status": status, "kind": kind}
    wanted |= {"run_id": run_id, "credential": credential}
    wanted |= {"application_name": application_name, "actor_name": actor_name}
    fields = [field for field in Operation._meta.sorted_fields if field not in (Operation.output, Operation.result)]
    query = Operation.select(*fields)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(getattr(Operation, name) == value)
    newest = query.order_by(Operation.created_at.desc(), Operation.id)
    return list(newest.limit(limit).offset(offset)), query.count()


def unfinished() -> list[Operation]:
    return list(Operation.select().where(Operation.status == "running").order_by(Operation.created_at))


def begin(
    kind: str,
    host: Host,
    timeout: int,
    application: Application | None = None,
    args: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> Operation:
    """Record a run as begun, before its command is sent. For an application, `check_idle` has allowed it."""
    actor, cause = current_actor.get(), current_cause.get()
    operation = Operation.create(
        **({"id": id} if id else {}),
        kind=kind,
        run_id=cause.run_id,
        run_context=cause.run_context,
        via=actor.via,
        credential=actor.credential,
        address=actor.address,
        actor_id=actor.id,
        actor_name=actor.name,
        host_id=host.id,
        hostname=host.hostname,
        application_id=application and application.id,
        application_name=application and application.name,
        revision=application and application.deployed_revision,
        args=args or {},
        timeout=timeout,
        started_at=now(),
    )
    emit(OperationStarted(operation.id, kind, host.id, operation.application_id))
    return operation


def check_idle(application: Application) -> None:
    """One thing at a time is done to an application. Raises Conflict.

    A deletion does not count: while the application is there, it only clears a host that the application has left.
    """
    if other := Operation.first(UNDER_WAY, application.id):
        what = "something done to one of its containers" if other.kind == "container" else f"a {other.kind}"
        raise Conflict(f"the application has {what} under way: wait for it, or cancel it")


def is_latest(operation: Operation) -> bool:
    """Whether no later operation was begun for the same application: only the latest tells its state.

    What was done to one of its containers does not count.
    """
    begun = Operation.created_at.db_value(operation.created_at)
    return Operation.first(LATER, operation.application_id, begun, *APPLICATION_KINDS) is None


def keep_output(operation_id: str, text: str) -> None:
    """What a run that goes on has printed so far, masked."""
    mine = (Operation.id == operation_id) & (Operation.status == "running")
    Operation.update(output=text[-KEPT:]).where(mine).execute()


def finish(operation_id: str, outcome: Outcome) -> Operation | None:
    """End a run, once: None when it has ended already and this outcome adds nothing."""
    operation = get(operation_id)
    if outcome.status not in MOVES.get(operation.status, set()):
        return None
    operation.status, operation.finished_at = outcome.status, now()
    operation.exit_code, operation.reason = outcome.exit_code, outcome.reason
    operation.output, operation.result = outcome.output[-KEPT:], outcome.result
    operation.save()
    emit(
        OperationFinished(
            operation.id,
            operation.kind,
            operation.host_id,
            operation.application_id,
            operation.status,
            operation.reason,
            operation.exit_code,
        )
    )
    return operation


def prune(before: datetime.datetime, via: str | None = None) -> int:
    """Forget operations that ended before; how many they were. `via`: only those begun with this kind of credential."""
    gone = Operation.delete().where(Operation.finished_at < before, Operation.status != "running")
    return int((gone if via is None else gone.where(Operation.via == via)).execute())


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Operation]


def _add_columns(db: peewee.SqliteDatabase) -> None:
    sql = cast(Callable[[str], Any], db.execute_sql)
    for name in ("result", "run_id", "run_context"):
        sql(f"alter table operation add column {name} text")
    for name in ("via", "credential", "address"):
        sql(f"alter table operation add column {name} text not null default ''")
    for name in ("run_id", "credential"):
        sql(f"create index operation_{name} on operation ({name})")


@hookimpl
def register_migrations() -> list[Migration]:
    return [Migration("operations_0001_results_and_causes", _add_columns)]
