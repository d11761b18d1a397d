"""What keys of CI systems, what was done with them, and credentials for registries look like on the wire of /api/v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr
from typing_extensions import TypedDict

from ...domain import automation, registries
from ...domain.automation import VIA, AutomationKey, Done
from ...domain.model import wire_time
from ...domain.operations import Operation
from ...domain.registries import RegistryCredential
from .people_shapes import PRINTABLE, When
from .shapes import Body, Id


def _some(values: list[Any] | None) -> list[Any] | None:
    """Null would leave it open whether nothing or everything is meant."""
    if values is None:
        raise ValueError("must be a list; an empty one limits nothing")
    return values


Ids = Annotated[list[Id], Field(max_length=automation.MOST_ENTRIES)]
Networks = Annotated[list[str], Field(max_length=automation.MOST_ENTRIES)]
NONE: Any = Field(default_factory=list)
Operations = list[Literal["exec", "deploy", "restart", "reboot", "registry_login", "registry_logout"]]
Name = Annotated[str, Field(min_length=1, max_length=automation.LONGEST_NAME, json_schema_extra=PRINTABLE)]
Rate = Annotated[int, Field(ge=1, le=automation.MOST_RATE)]
Kind = Literal["docker_hub", "ghcr", "aws_ecr", "google_artifact_registry", "azure_acr", "harbor", "generic"]
Url = Annotated[str, Field(json_schema_extra={"maxLength": registries.LONGEST_URL})]
Username = Annotated[str, Field(min_length=1, max_length=registries.LONGEST_USERNAME)]
Described = Annotated[str, Field(max_length=10_000, json_schema_extra=PRINTABLE)]
Secret = Annotated[SecretStr, Field(strict=False, json_schema_extra={"minLength": 1})]


class _Key(Body):
    """No other fields: one whose name is mistyped would limit nothing."""

    model_config = ConfigDict(extra="forbid")


class NewKey(_Key):
    """An empty list limits nothing."""

    name: Name
    allowed_server_ids: Ids = NONE
    allowed_operations: Operations = NONE
    allowed_credential_ids: Ids = NONE
    ip_allowlist: Networks = NONE
    rate_limit_per_minute: Rate = automation.RATE
    expires_at: When | None = None


class KeyChanges(_Key):
    """What is not given stays as it is; `expires_at` null: for ever."""

    name: Name | None = None
    allowed_server_ids: Annotated[Ids | None, AfterValidator(_some)] = None
    allowed_operations: Annotated[Operations | None, AfterValidator(_some)] = None
    allowed_credential_ids: Annotated[Ids | None, AfterValidator(_some)] = None
    ip_allowlist: Annotated[Networks | None, AfterValidator(_some)] = None
    rate_limit_per_minute: Rate | None = None
    expires_at: When | None = None

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None or name == "expires_at"}


class NewCredential(Body):
    """Without an address the usual one of its type is taken; docker_hub and ghcr have one."""

    name: Name
    registry_type: Kind = "generic"
    registry_url: Url | None = None
    username: Username
    secret: Secret
    description: Described | None = None


class CredentialChanges(Body):
    """What is not given stays as it is."""

    name: Name | None = None
    registry_type: Kind | None = None
    registry_url: Url | None = None
    username: Username | None = None
    secret: Secret | None = None
    description: Described | None = None

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in registries.FIELDS}
        return {name: value for name, value in given.items() if value is not None}


# --- out ---------------------------------------------------------------------


class KeyOut(TypedDict):
    id: Id
    name: str
    key_prefix: str
    owner: str
    owner_id: Id
    allowed_server_ids: list[Id]
    allowed_operations: Operations
    allowed_credential_ids: list[Id]
    ip_allowlist: list[str]
    rate_limit_per_minute: int
    state: Literal["valid", "expired", "revoked"]
    operation_count: int
    created_at: str
    updated_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class IssuedKey(KeyOut):
    """`key` is the secret itself. It is not shown again."""

    key: str


class Keys(TypedDict):
    keys: list[KeyOut]
    total: int


class DoneOut(TypedDict):
    """One thing that was done to a host. Nothing in it is a secret's value; `env_keys` are the names of variables."""

    at: str
    key_id: str | None
    key_name: str | None
    key_prefix: str | None
    actor: str
    via: str
    client_ip: str
    operation_id: Id
    operation_type: str
    server_id: Id
    server_name: str
    application_id: str | None
    command: str | None
    args: dict[str, Any]
    env_keys: list[str]
    run_id: str | None
    run_context: dict[str, Any] | None
    status: automation.Status
    exit_code: int | None
    duration_ms: int | None
    stdout: str
    stderr: str
    completed_at: str | None


class Audit(TypedDict):
    entries: list[DoneOut]
    total: int


class CredentialOut(TypedDict):
    id: Id
    name: str
    registry_type: Kind
    registry_url: str
    username: str
    description: str
    created_by: str
    created_at: str
    updated_at: str


class Credentials(TypedDict):
    credentials: list[CredentialOut]
    total: int


def key(row: AutomationKey, operations: int) -> dict[str, Any]:
    scope = {name: getattr(row, name) for name in automation.SCOPE}
    times = ("created_at", "updated_at", "expires_at", "last_used_at", "revoked_at")
    return {
        "id": row.id,
        "name": row.name,
        "key_prefix": row.prefix,
        "owner": row.owner_name,
        "owner_id": row.owner_id,
        **scope,
        "rate_limit_per_minute": row.rate_limit_per_minute,
        "state": row.state,
        "operation_count": operations,
        **{name: wire_time(getattr(row, name)) for name in times},
    }


def done(each: Done) -> dict[str, Any]:
    row, used = each.operation, each.key
    return {
        "at": wire_time(row.created_at),
        "key_id": row.credential if row.via == VIA else None,
        "key_name": used.name if used else None,
        "key_prefix": used.prefix if used else None,
        "actor": row.actor_name,
        "via": row.via,
        "client_ip": row.address,
        "operation_id": row.id,
        "operation_type": _type(row),
        "server_id": row.host_id,
        "server_name": row.hostname,
        "application_id": row.application_id,
        "command": row.args.get("command"),
        "args": {name: value for name, value in row.args.items() if name not in ("command", "secrets", "overrides")},
        "env_keys": row.args.get("overrides", row.args.get("secrets", [])),
        "run_id": row.run_id,
        "run_context": row.run_context,
        "status": automation.status(row),
        "exit_code": row.exit_code,
        **_printed(row),
        "completed_at": wire_time(row.finished_at),
    }


def _type(row: Operation) -> str:
    """As CI systems call it; what they cannot do to a container goes by its own word."""
    return str(row.args.get("action", row.kind)) if row.kind == "container" else str(row.kind)


def _printed(row: Operation) -> Mapping[str, Any]:
    printed = row.result or {"stdout": row.output, "stderr": ""}
    took = printed.get("duration_ms")
    if took is None and row.finished_at and row.started_at:
        took = max(int((row.finished_at - row.started_at).total_seconds() * 1000), 0)
    return {"duration_ms": took, "stdout": printed["stdout"], "stderr": printed["stderr"]}


def credential(row: RegistryCredential) -> dict[str, Any]:
    return {
        "id": row.id,
        **{name: getattr(row, name) for name in registries.FIELDS},
        "created_by": row.created_by,
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
    }
