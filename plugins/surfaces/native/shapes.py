"""The wire shapes of this surface: what comes in (pydantic models), what goes out (typed dictionaries). Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

from ...agent import wire
from ...agent.hub import Live
from ...domain.applications import LONGEST_DESCRIPTION, NAME, Application, Revision, project_key
from ...domain.model import wire_time
from ...domain.operations import Operation
from ...domain.policies import STATUS as POLICY_STATUS
from ...domain.policies import Decision, Policy
from ...domain.secrets import VARIABLE as SECRET_NAME

BIGGEST = 2**63 - 1  # what the database can hold


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("must be a UUID") from None


Id = Annotated[str, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Status = Literal["stopped", "deploying", "running", "failed"]
Action = Literal["approve", "reject", "pending"]


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Order = Annotated[int, BeforeValidator(_whole), Field(ge=-BIGGEST, le=BIGGEST)]
Clause = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}})
]


class Body(BaseModel):
    """What a client sends. Unknown fields are ignored; types are taken as they are."""

    model_config = ConfigDict(strict=True, extra="ignore", defer_build=True)


class Rejection(Body):
    reason: str | None = Field(None, max_length=500)


class NewApplication(Body):
    name: str = Field(json_schema_extra={"pattern": f"^{NAME.pattern}$"})
    compose_yaml: str = Field(json_schema_extra={"minLength": 1})
    description: str | None = Field(None, max_length=LONGEST_DESCRIPTION)
    agent_id: Id | None = None
    backend: str = "compose"


class ApplicationChanges(Body):
    description: str | None = Field(None, max_length=LONGEST_DESCRIPTION)
    compose_yaml: str | None = None
    agent_id: Id | None = None
    backend: str | None = None


class SecretIn(Body):
    name: str = Field(json_schema_extra={"pattern": f"^{SECRET_NAME.pattern}$"})
    value: str


class Deploy(Body):
    agent_id: Id | None = None
    secrets: list[SecretIn] | None = None


class Deletion(Body):
    confirm_name: str | None = None


class NewPolicy(Body):
    name: str = Field(min_length=1, max_length=200)
    priority: Order
    match_type: Clause
    action: Action
    enabled: bool = True


class PolicyChanges(Body):
    name: str | None = Field(None, min_length=1, max_length=200)
    priority: Order | None = None
    match_type: Clause | None = None
    action: Action | None = None
    enabled: bool | None = None


class Priority(Body):
    priority: Order


class DryRun(Body):
    ip_address: str
    hostname: str = Field("newcomer", min_length=1, max_length=253)
    totp: str | None = None


# --- out ---------------------------------------------------------------------


class Done(TypedDict):
    success: bool
    message: str


class Started(Done):
    operation_id: Id | None


class HealthLite(TypedDict):
    status: Literal["ok"]
    version: str


class Health(TypedDict):
    status: Literal["ok", "degraded"]
    version: str
    uptime_secs: int
    agents: int
    docker: bool
    problems: dict[str, str]


class Agent(TypedDict):
    id: Id
    hostname: str
    ip_address: str
    status: Literal["pending", "approved", "rejected"]
    volume_base: str
    last_seen: str | None
    created_at: str
    connected: bool
    peer_ip: str
    effective_ip: str
    matched_policy_id: str | None
    decision_reason: str
    reject_reason: str | None
    agent_version: str | None
    capabilities: list[str]
    local: bool


class Agents(TypedDict):
    agents: list[Agent]
    total: int


class Containers(TypedDict):
    """`containers` is null when the host never told; `current` says whether it is what runs now."""

    containers: list[dict[str, Any]] | None
    total: int | None
    current: bool
    last_seen: str | None
    engine_error: str | None


class ApplicationRow(TypedDict):
    id: Id
    name: str
    description: str
    status: Status
    agent_id: str | None
    created_at: str
    updated_at: str
    backend: str


class ApplicationOut(ApplicationRow):
    compose_yaml: str
    revision: int
    deployed_revision: int | None
    deployed_agent_id: str | None
    last_error: str | None
    last_deployed_at: str | None
    containers: list[dict[str, Any]] | None
    drift: bool


class Applications(TypedDict):
    applications: list[ApplicationRow]
    total: int


class RevisionOut(TypedDict):
    number: int
    author: str
    created_at: str
    compose_yaml: str
    current: bool
    deployed: bool


class Revisions(TypedDict):
    revisions: list[RevisionOut]
    total: int


class PolicyOut(TypedDict):
    id: Id
    name: str
    priority: int
    match_type: dict[str, Any]
    action: Action
    enabled: bool
    created_at: str
    updated_at: str
    window_closes_at: str | None


class Policies(TypedDict):
    policies: list[PolicyOut]
    total: int


class Asked(TypedDict):
    policy_id: str
    name: str
    holds: bool
    why: str


class DecisionOut(TypedDict):
    action: Action
    status: Literal["pending", "approved", "rejected"]
    policy_id: str | None
    reason: str
    trail: list[Asked]


def done(message: str) -> Done:
    return {"success": True, "message": message}


def started(message: str, operation: Operation | None) -> Started:
    return {"success": True, "message": message, "operation_id": str(operation.id) if operation else None}


def agent(live: Live) -> dict[str, Any]:
    host = live.host
    return {
        "id": host.id,
        "hostname": host.hostname,
        "ip_address": host.declared_ip,
        "status": host.status,
        "volume_base": host.volume_base,
        "last_seen": wire_time(live.last_seen),
        "created_at": wire_time(host.created_at),
        "connected": live.is_connected,
        "peer_ip": host.peer_ip,
        "effective_ip": host.effective_ip,
        "matched_policy_id": host.policy_id,
        "decision_reason": host.decision_reason,
        "reject_reason": host.reject_reason,
        "agent_version": host.agent_version,
        "capabilities": host.capabilities,
        "local": host.local,
    }


def containers(live: Live) -> dict[str, Any]:
    """What a host's containers are, or were when it was last heard of. Never an empty list for not knowing."""
    before = live.host.containers  # as kept from an earlier life
    known = live.containers if live.reported is not None else before and msgspec.convert(before, list[wire.Container])
    found = None if known is None else msgspec.to_builtins(known)
    return {
        "containers": found,
        "total": None if found is None else len(found),
        "current": live.is_current,
        "last_seen": wire_time(live.last_seen),
        "engine_error": live.engine_error,
    }


def application_row(row: Application) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "status": row.status,
        "agent_id": row.host_id,
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
        "backend": row.backend,
    }


def application(row: Application, text: str, live: Live | None) -> dict[str, Any]:
    """One application in full. `live` is its host, as far as that is connected."""
    return {
        **application_row(row),
        "compose_yaml": text,
        "revision": row.revision,
        "deployed_revision": row.running_revision,
        "deployed_agent_id": row.deployed_host_id,
        "last_error": row.last_error,
        "last_deployed_at": wire_time(row.last_deployed_at),
        "containers": msgspec.to_builtins(live.containers_of(project_key(row.name))) if live else None,
        "drift": _has_drifted(row, live),
    }


def _has_drifted(row: Application, live: Live | None) -> bool:
    """Said to be running, while the host's last three heartbeats showed no container of it running."""
    if row.status != "running" or live is None or not live.is_connected or len(live.running_apps) < 3:
        return False
    project = project_key(row.name)
    return not any(live.is_of(project, app, name) for beat in live.running_apps for app, name in beat)


def revision(row: Revision, owner: Application) -> dict[str, Any]:
    return {
        "number": row.number,
        "author": row.author,
        "created_at": wire_time(row.created_at),
        "compose_yaml": row.text,
        "current": row.number == owner.revision,
        "deployed": row.number == owner.running_revision,
    }


def policy(row: Policy, closes_at: Any = None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "priority": row.priority,
        "match_type": row.match_type,
        "action": row.action,
        "enabled": row.enabled,
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
        "window_closes_at": wire_time(closes_at),
    }


def decision(made: Decision) -> dict[str, Any]:
    action = next(action for action, status in POLICY_STATUS.items() if status == made.status)
    return {
        "action": action,
        "status": made.status,
        "policy_id": made.policy_id,
        "reason": made.reason,
        "trail": list(made.trail),
    }


def page(items: Sequence[Any], limit: int | None, offset: int) -> Sequence[Any]:
    return items[offset : None if limit is None else offset + limit]
