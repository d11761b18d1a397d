"""Putting applications on hosts: deploy, stop, start, delete. Each is accepted in one transaction, then sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from roci import Backend, Conflict, Invalid, NotReady, OperationKind, Outcome, Roci, Sensitive, hookimpl

from ..agent import wire
from ..agent.hub import Hub
from ..domain import applications, deployments, hosts, operations
from ..domain.applications import Application
from ..domain.operations import Operation
from .operate import Operator
from .whole import whole

SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MOST_SECRETS = 64 * 1024  # bytes of values
# What decides how the run itself works is not a secret's to set.
RESERVED = frozenset(
    {"PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "VOLUME_BASE"}
    | {"DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"}
    | {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES", "COMPOSE_PATH_SEPARATOR"}
)
Secrets = Mapping[str, Sensitive]


class Operations(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Time limits, in seconds."""

    section: ClassVar[str] = "operations"
    deploy_timeout: int = 600
    timeout: int = 120  # stop, start, delete


def check_secrets(secrets: Secrets) -> None:
    """Names that an environment can hold, values of a bearable size. Raises Invalid."""
    for name in secrets:
        if not SECRET_NAME.fullmatch(name):
            raise Invalid(
                f"secrets: {name!r} is not a name: letters, digits and underscores, not beginning with a digit"
            )
        if name in RESERVED:
            raise Invalid(f"secrets: {name} is the run's own and cannot be a secret")
        if "\0" in secrets[name]:
            raise Invalid(f"secrets: the value of {name} contains a NUL, which an environment cannot hold")
    if sum(len(value.encode()) for value in secrets.values()) > MOST_SECRETS:
        raise Invalid(f"secrets: at most {MOST_SECRETS // 1024} KiB of values")


def backend_of(roci: Roci, name: str) -> Backend:
    """The deploy backend of that name. Raises Invalid when no plugin brings it."""
    if name not in roci.backends:
        raise Invalid(f"backend: must be one of {', '.join(roci.backends)}, not {name!r}")
    return roci.backends[name]


@whole
async def deploy(roci: Roci, application_id: str, host_id: str | None, secrets: Secrets) -> Operation:
    """Accept a deploy and send it. Raises Conflict for the application's state, NotReady for the host's."""
    check_secrets(secrets)

    def accept() -> tuple[Operation, wire.Message]:
        application = applications.get(application_id)
        target = host_id or application.host_id
        applications.check_deployable(application, target)
        operations.check_idle(application)
        backend_of(roci, application.backend).validate(applications.spec(application))
        host = _host(roci, application, target)
        applications.begin_deploy(application, host.id)
        timeout = roci.section(Operations).deploy_timeout
        operation = operations.begin("deploy", host, timeout, application, {"secrets": sorted(secrets)})
        deployments.begin(application, operation)
        message = wire.Deploy(
            app_id=application.name,
            compose_yml=applications.text(application),
            secrets=[wire.Secret(name, str(value)) for name, value in secrets.items()],
            command_id=operation.id,
            timeout_seconds=timeout,
            application_id=application.id,
            backend=application.backend,
        )
        return operation, message

    operation, message = await roci.write(accept)
    await roci.part(Operator).launch(operation, message, secrets.values())
    return operation


async def stop(roci: Roci, application_id: str) -> Operation:
    return await _command(roci, application_id, wire.Stop)


async def start(roci: Roci, application_id: str) -> Operation:
    return await _command(roci, application_id, wire.Start)


@whole
async def delete(roci: Roci, application_id: str, confirm_name: str | None, force: bool = False) -> Operation | None:
    """Forget an application, and have its host take it down. None: no host runs it, or it cannot be asked (force)."""

    def accept() -> tuple[Operation, wire.Message] | None:
        application = applications.check_removable(applications.get(application_id), confirm_name)
        operations.check_idle(application)
        sent = None
        if application.deployed_revision is not None and application.host_id:
            try:
                sent = _begin(roci, application, wire.Delete)
            except NotReady as error:
                if not force:
                    raise Conflict(
                        f"{error.message}, so it cannot take the application down; force=true forgets it"
                    ) from None
        deployments.follow(application.id, "removed")
        applications.remove(application)
        return sent

    sent = await roci.write(accept)
    if sent:
        await roci.part(Operator).launch(*sent)
    return sent[0] if sent else None


@whole
async def _command(roci: Roci, application_id: str, kind: type[wire.Stop]) -> Operation:
    def accept() -> tuple[Operation, wire.Message]:
        application = applications.get(application_id)
        operations.check_idle(application)
        begin = applications.begin_start if kind is wire.Start else applications.begin_stop
        return _begin(roci, begin(application), kind)

    operation, message = await roci.write(accept)
    await roci.part(Operator).launch(operation, message)
    return operation


def _begin(roci: Roci, application: Application, kind: type[wire.Stop]) -> tuple[Operation, wire.Message]:
    host = _host(roci, application, application.host_id)
    timeout = roci.section(Operations).timeout
    operation = operations.begin(kind.__name__.lower(), host, timeout, application)
    message = kind(
        app_id=application.name,
        command_id=operation.id,
        timeout_seconds=timeout,
        application_id=application.id,
        backend=application.backend,
    )
    return operation, message


def _host(roci: Roci, application: Application, host_id: str | None) -> hosts.Host:
    """The host that is to do it, known to be approved, connected and able."""
    if host_id is None:
        raise NotReady("no agent is given and the application has none assigned")
    host = hosts.get(host_id)
    link = roci.part(Hub).require(host.id)
    if application.backend != "compose" and f"backend:{application.backend}" not in link.capabilities:
        raise NotReady(f"the agent on {host.hostname} does not offer the backend {application.backend}")
    return host


@whole
async def remove_host(roci: Roci, host_id: str) -> None:
    """Forget a host. What runs there goes on running; its applications are nobody's."""
    await roci.write(applications.forget_host, host_id)


# --- what an outcome means ---


def _latest(operation: Operation) -> Application | None:
    """The application an outcome tells the state of, if it still exists and nothing later was begun."""
    found: Application | None = Application.get_or_none(Application.id == operation.application_id)
    return found if found and operations.is_latest(operation) else None


def _error(outcome: Outcome) -> str:
    return outcome.output.strip()[-4000:] or outcome.reason or outcome.status


def _settle_up(operation: Operation, outcome: Outcome) -> None:
    """After deploy and start: running, or failed."""
    if application := _latest(operation):
        succeeded = outcome.status == "succeeded"
        applications.move(application, "running" if succeeded else "failed", None if succeeded else _error(outcome))
        deployments.follow(application.id, application.status)


def _settle_stop(operation: Operation, outcome: Outcome) -> None:
    """After stop: stopped, or as before, with the reason."""
    if application := _latest(operation):
        if outcome.status == "succeeded":
            applications.move(application, "stopped")
        else:
            applications.move(application, application.status, _error(outcome))
        deployments.follow(application.id, application.status)


def _settle_delete(operation: Operation, outcome: Outcome) -> None:
    """The application is forgotten already; the operation tells how its end went."""


@hookimpl
def register_settings() -> type[Operations]:
    return Operations


@hookimpl
def register_operations(roci: Roci) -> list[OperationKind]:
    return [
        OperationKind("deploy", _settle_up),
        OperationKind("start", _settle_up),
        OperationKind("stop", _settle_stop),
        OperationKind("delete", _settle_delete),
    ]
