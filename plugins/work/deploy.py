"""Putting applications on hosts: deploy, stop, start, delete. Each is accepted in one transaction, then sent."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from roci import (
    Backend,
    Conflict,
    Invalid,
    NotReady,
    OperationKind,
    Outcome,
    Roci,
    Sensitive,
    Spec,
    Task,
    hookimpl,
    now,
)

from ..agent import wire
from ..agent.hub import Hub
from ..domain import applications, deployments, hosts, operations
from ..domain import secrets as stored
from ..domain.applications import Application
from ..domain.operations import Operation
from . import vault
from .operate import Operator
from .whole import whole

MOST_SECRETS = 100
LONGEST_SECRETS = 64 * 1024  # bytes of values
MOST_VOLUMES, LONGEST_NAME = 100, 255
Secrets = Mapping[str, Sensitive]
Sending = tuple[Operation, wire.Message]  # an operation that is begun, and the command to send for it


class Operations(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Time limits, in seconds, and how long the history lasts."""

    section: ClassVar[str] = "operations"
    deploy_timeout: int = 600
    timeout: int = 120  # stop, start, delete
    keep_days: int = 90  # how long operations and their output are kept; 0: for ever


@dataclasses.dataclass(frozen=True)
class Terms:
    """What is particular about a deploy: what is noted with its operation, and how many secrets it may have."""

    note: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    most_secrets: int = MOST_SECRETS
    longest_secrets: int = LONGEST_SECRETS
    pull: bool = False  # ask for newer images, also where there are some


USUAL = Terms()


def check_secrets(secrets: Secrets, terms: Terms = USUAL) -> None:
    """Names that an environment can hold, values of a bearable size. Raises Invalid."""
    if len(secrets) > terms.most_secrets:
        raise Invalid(f"secrets: at most {terms.most_secrets}")
    for name in secrets:
        stored.check_variable(name)
        if "\0" in secrets[name]:
            raise Invalid(f"secrets: the value of {name} contains a NUL, which an environment cannot hold")
    if sum(len(value.encode()) for value in secrets.values()) > terms.longest_secrets:
        raise Invalid(f"secrets: at most {terms.longest_secrets // 1024} KiB of values")


def backend_of(roci: Roci, name: str) -> Backend:
    """The deploy backend of that name. Raises Invalid when no plugin brings it."""
    if name not in roci.backends:
        raise Invalid(f"backend: must be one of {', '.join(roci.backends)}, not {name!r}")
    return roci.backends[name]


@whole
async def deploy(
    roci: Roci, application_id: str, host_id: str | None, secrets: Secrets, terms: Terms = USUAL
) -> Operation:
    """Accept a deploy and send it. Raises Conflict for the application's state, NotReady for the host's.

    One that lies stopped or failed on another host is taken down there, by an operation of its own that nobody waits
    for. Where that host cannot be asked, the deploy goes on, and its args say what it left: `left_on`, the hostname.
    The application's stored secrets go with it; a secret that is given here wins, and is not stored.
    """
    secrets = {**await vault.of(roci).values_for(application_id), **secrets}

    def accept() -> list[Sending]:
        application = applications.get(application_id)
        check_secrets(secrets, terms)
        target = host_id or application.host_id
        applications.check_deployable(application, target)
        operations.check_idle(application)
        spec = applications.spec(application)
        backend_of(roci, application.backend).validate(spec)
        return _begin_deploy(roci, application, spec, _host(roci, application, target), secrets, terms)

    sent = await roci.write(accept)
    for operation, message in sent:
        await roci.part(Operator).launch(operation, message, secrets.values())
    return sent[0][0]


def _begin_deploy(
    roci: Roci, application: Application, spec: Spec, host: hosts.Host, secrets: Secrets, terms: Terms
) -> list[Sending]:
    """The deploy, and then what it asks of the host where the application lay before."""
    cleared, remark = _leave(roci, application, host)
    applications.begin_deploy(application, host.id)
    timeout = roci.section(Operations).deploy_timeout
    args = {"secrets": sorted(secrets), **remark, **terms.note, **({"pull": True} if terms.pull else {})}
    operation = operations.begin("deploy", host, timeout, application, args)
    deployments.begin(application, operation)
    message = wire.Deploy(
        app_id=application.name,
        compose_yml=spec.text,
        secrets=[wire.Secret(name, str(value)) for name, value in secrets.items()],
        command_id=operation.id,
        timeout_seconds=timeout,
        application_id=application.id,
        backend=application.backend,
        pull=terms.pull,
    )
    return [(operation, message), *cleared]


def _leave(roci: Roci, application: Application, to: hosts.Host) -> tuple[list[Sending], dict[str, str]]:
    """Take an application down where it lies, if that is not where it goes; or say on which host it is left."""
    if application.deployed_host_id in (None, to.id):
        return [], {}
    try:
        return [_begin(roci, application, application.deployed_host_id, wire.Delete)], {}
    except NotReady:
        return [], {"left_on": hosts.get(application.deployed_host_id).hostname}


async def stop(roci: Roci, application_id: str) -> Operation:
    return await _command(roci, application_id, wire.Stop)


async def start(roci: Roci, application_id: str) -> Operation:
    return await _command(roci, application_id, wire.Start)


@whole
async def delete(
    roci: Roci, application_id: str, confirm_name: str | None, force: bool = False, volumes: Sequence[str] = ()
) -> Operation | None:
    """Forget an application, and have its host take it down. None: no host runs it, or it cannot be asked (force).

    Those of its volumes that are named go along; all others stay.
    """

    if len(volumes) > MOST_VOLUMES or any(len(name) > LONGEST_NAME for name in volumes):
        raise Invalid(f"volumes: at most {MOST_VOLUMES} names of at most {LONGEST_NAME} characters")

    def accept() -> Sending | None:
        application = applications.check_removable(applications.get(application_id), confirm_name)
        operations.check_idle(application)
        sent = None
        if application.deployed_host_id is not None:
            try:
                sent = _begin(roci, application, application.deployed_host_id, wire.Delete, volumes)
            except NotReady as error:
                if not force:
                    raise Conflict(
                        f"{error.message}, so it cannot take the application down; force=true forgets it"
                    ) from None
        deployments.follow(application.id, "removed")
        stored.remove_scope(f"application/{application.id}")
        applications.remove(application)
        return sent

    sent = await roci.write(accept)
    if sent:
        await roci.part(Operator).launch(*sent)
    return sent[0] if sent else None


@whole
async def _command(roci: Roci, application_id: str, kind: type[wire.Stop]) -> Operation:
    def accept() -> Sending:
        application = applications.get(application_id)
        operations.check_idle(application)
        if kind is wire.Start:
            return _begin(roci, applications.begin_start(application), application.host_id, kind)
        return _begin(roci, applications.begin_stop(application), application.deployed_host_id, kind)

    operation, message = await roci.write(accept)
    await roci.part(Operator).launch(operation, message)
    return operation


def _begin(
    roci: Roci, application: Application, host_id: str | None, kind: type[wire.Stop], volumes: Sequence[str] = ()
) -> Sending:
    host = _host(roci, application, host_id)
    timeout = roci.section(Operations).timeout
    more: dict[str, Any] = {"volumes": list(volumes)} if volumes else {}
    operation = operations.begin(kind.__name__.lower(), host, timeout, application, more)
    message = kind(
        app_id=application.name,
        command_id=operation.id,
        timeout_seconds=timeout,
        application_id=application.id,
        backend=application.backend,
        **more,
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

    def forget() -> None:
        applications.forget_host(host_id)
        deployments.forget_host(host_id)

    await roci.write(forget)


# --- what an outcome means ---


def _latest(operation: Operation) -> Application | None:
    """The application an outcome tells the state of: it still lies on that host, and nothing later was begun."""
    found: Application | None = Application.by_id(operation.application_id or "")
    is_there = found is not None and found.deployed_host_id == operation.host_id
    return found if is_there and operations.is_latest(operation) else None


def _error(outcome: Outcome) -> str:
    """The end of the output; when nobody knows how it went, why that is, and then the output."""
    printed = outcome.output.strip()[-4000:]
    if outcome.status == "interrupted":
        return f"{outcome.reason or outcome.status}\n{printed}".strip()
    return printed or outcome.reason or outcome.status


def _settle_up(operation: Operation, outcome: Outcome) -> None:
    """After deploy and start: running, or failed."""
    if application := _latest(operation):
        if outcome.status == "succeeded":
            applications.come_up(application, deployed=operation.kind == "deploy")
        else:
            applications.move(application, "failed", _error(outcome))
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
def register_tasks(roci: Roci) -> list[Task]:
    async def prune() -> None:
        if days := roci.section(Operations).keep_days:
            await roci.write(operations.prune, now() - datetime.timedelta(days=days))

    return [Task("forget old operations", 3600, prune)]


@hookimpl
def register_operations(roci: Roci) -> list[OperationKind]:
    return [
        OperationKind("deploy", _settle_up),
        OperationKind("start", _settle_up),
        OperationKind("stop", _settle_stop),
        OperationKind("delete", _settle_delete),
    ]
