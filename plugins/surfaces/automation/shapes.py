"""The wire shapes of this surface: what comes in (pydantic models), what goes out (typed dictionaries). Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from typing_extensions import TypedDict

from ...agent.wire import TIMED_OUT
from ...domain import registries
from ...domain.automation import Status, status
from ...domain.model import wire_time
from ...domain.operations import Operation
from ...work import execute

LONGEST_CONTEXT = 16 * 1024  # bytes of JSON
TYPES = {
    "exec": "exec",
    "deploy": "deploy",
    "container": "restart",
    "reboot": "reboot",
    "registry_login": "registry_login",
    "registry_logout": "registry_logout",
}  # kinds of operations, as they are called here


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("must be a UUID") from None


def _small(context: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(context)) > LONGEST_CONTEXT:
        raise ValueError(f"at most {LONGEST_CONTEXT // 1024} KiB")
    return context


Id = Annotated[str, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Seconds = Annotated[int, Field(ge=execute.TIMEOUTS[0], le=execute.TIMEOUTS[-1])]
Environment = Annotated[dict[str, str], Field(json_schema_extra={"maxProperties": execute.MOST_VARIABLES})]


class Body(BaseModel):
    """What a client sends. Unknown fields are ignored, null is as if it were not there, types are taken as they are."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    run_id: str | None = Field(None, max_length=255)
    run_context: Annotated[dict[str, Any], AfterValidator(_small)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}

    def check(self) -> None:
        """Raise Invalid for what the fields' types cannot say."""

    def hidden(self) -> Mapping[str, str]:
        """Values that are not to be stored, wherever else they stand in the body."""
        return {}


class Exec(Body):
    server_id: Id
    command: str = Field(json_schema_extra={"minLength": 1, "maxLength": execute.LONGEST_COMMAND})
    working_directory: Annotated[str | None, AfterValidator(lambda text: text or None)] = Field(
        None, json_schema_extra={"maxLength": execute.LONGEST_FOLDER}
    )
    env: Environment | None = None
    timeout_seconds: Seconds | None = None

    @property
    def seconds(self) -> int:
        return 60 if self.timeout_seconds is None else self.timeout_seconds

    def check(self) -> None:
        execute.check_command(self.command, self.working_directory, self.seconds)
        execute.check_environment("env", self.env or {})

    def hidden(self) -> Mapping[str, str]:
        return self.env or {}


class Deploy(Body):
    """`timeout_seconds` is how long a client means to wait. A deploy has its own time, and nobody waits for it here."""

    application_id: Id
    commit_ref: str | None = Field(None, max_length=255)
    env_overrides: Environment | None = None
    timeout_seconds: Seconds | None = None

    def check(self) -> None:
        execute.check_environment("env_overrides", self.env_overrides or {})

    def hidden(self) -> Mapping[str, str]:
        return self.env_overrides or {}


class Restart(Body):
    """`timeout_seconds` is what the container has to stop by itself."""

    server_id: Id
    container_name: str = Field(min_length=1, max_length=256, pattern=r"\S")
    timeout_seconds: Seconds | None = None

    @property
    def grace(self) -> int | None:
        return None if self.timeout_seconds is None else min(self.timeout_seconds, execute.GRACES[-1])


class Reboot(Body):
    server_id: Id


class Login(Body):
    server_id: Id
    credential_id: Id


class _WithAddress(Body):
    server_id: Id
    registry_url: str = Field(json_schema_extra={"maxLength": registries.LONGEST_URL})

    def check(self) -> None:
        registries.check_url(self.registry_url)


class LoginDirect(_WithAddress):
    username: str
    access_token: str

    def check(self) -> None:
        super().check()
        registries.check_login(self.username, self.access_token)

    def hidden(self) -> Mapping[str, str]:
        return {"access_token": self.access_token}


class Logout(_WithAddress):
    pass


# --- out ---------------------------------------------------------------------


class Result(TypedDict):
    exit_code: int
    stdout: str
    stderr: str
    duration_ms: int
    truncated: NotRequired[bool]


class Envelope(TypedDict):
    """While it runs there is no more than the first two."""

    operation_id: Id
    status: Status
    exit_code: NotRequired[int]
    stdout: NotRequired[str]
    stderr: NotRequired[str]
    duration_ms: NotRequired[int]
    truncated: NotRequired[bool]


class Started(TypedDict):
    operation_id: Id
    status: Status


class Deploying(Started):
    deployment_id: Id


class LoggingIn(Started):
    registry_url: str
    registry_type: str


class LoggedOut(Started):
    exit_code: NotRequired[int]
    stderr: NotRequired[str]


class OperationOut(TypedDict):
    operation_id: Id
    operation_type: Literal["exec", "deploy", "restart", "reboot", "registry_login", "registry_logout"]
    server_id: Id
    server_name: str
    status: Status
    result: Result | None
    run_id: str | None
    run_context: dict[str, Any] | None
    started_at: str | None
    completed_at: str | None
    deployment_id: NotRequired[str | None]


def is_ours(row: Operation) -> bool:
    """Whether there is a word for this operation here."""
    return row.kind in TYPES and (row.kind != "container" or row.args.get("action") == "restart")


def _exit_code(row: Operation) -> int:
    if row.status == "succeeded":
        return int(row.exit_code or 0)
    return TIMED_OUT if row.status == "timed_out" else int(row.exit_code or 1)


def result(row: Operation, printed: Mapping[str, Any] | None) -> Result:
    """How it ended; `printed` is what is known of its two streams, for who may see it."""
    is_well = row.status == "succeeded"
    if printed is None:
        took = (row.finished_at - row.started_at).total_seconds() if row.finished_at and row.started_at else 0
        stdout, stderr = (row.output, row.reason) if is_well or row.reason else ("", row.output)
        printed = {"stdout": stdout, "stderr": stderr, "duration_ms": max(int(took * 1000), 0)}
    found: Result = {
        "exit_code": _exit_code(row),
        "stdout": printed["stdout"],
        "stderr": printed["stderr"] or ("" if status(row) == "completed" else row.reason),
        "duration_ms": printed["duration_ms"],
    }
    return {**found, "truncated": True} if printed.get("truncated") else found


def started(row: Operation) -> Started:
    return {"operation_id": row.id, "status": "running"}


def envelope(row: Operation, printed: Mapping[str, Any] | None) -> Envelope:
    return {"operation_id": row.id, "status": status(row), **result(row, printed)}


def logged_out(row: Operation, printed: Mapping[str, Any] | None) -> LoggedOut:
    ended = result(row, printed)
    return {
        "operation_id": row.id,
        "status": status(row),
        "exit_code": ended["exit_code"],
        "stderr": ended["stderr"],
    }


def operation(row: Operation, printed: Mapping[str, Any] | None, deployment_id: str | None) -> OperationOut:
    has_ended = row.status != "running"
    shown: OperationOut = {
        "operation_id": row.id,
        "operation_type": TYPES[row.kind],  # type: ignore[typeddict-item]  # the words of the type above
        "server_id": row.host_id,
        "server_name": row.hostname,
        "status": status(row),
        "result": result(row, printed) if has_ended else None,
        "run_id": row.run_id,
        "run_context": row.run_context,
        "started_at": wire_time(row.started_at),
        "completed_at": wire_time(row.finished_at) if has_ended else None,
    }
    return {**shown, "deployment_id": deployment_id} if row.kind == "deploy" else shown
