"""What CI systems have done: deploys with values of their own, registries by stored credential, a logout that always
has an end. Whoever may was asked before.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from roci import Invalid, NotReady, Outcome, Roci, Sensitive, Task, hookimpl, now

from ..agent import wire
from ..agent.masking import Masker, without_secrets, without_url_secrets
from ..domain import automation, keyring, operations, registries
from ..domain.applications import Application
from ..domain.operations import Cause, Operation
from ..domain.registries import RegistryCredential
from . import deploy as deploying
from . import execute
from .deploy import LONGEST_SECRETS, MOST_SECRETS, Terms
from .run import Run
from .whole import whole


class Automation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long CI systems wait, in seconds, and how long what they did is kept."""

    section: ClassVar[str] = "automation"
    wait: float = 25  # for the end of a command, before they are told to ask again
    keep_days: int = 30  # operations that were begun with an automation key; 0: as long as others

    def __post_init__(self) -> None:
        if not 0 <= self.wait <= 900:
            raise ValueError("wait: from 0 to 900 seconds")


async def deploy(
    roci: Roci, application: Application, overrides: Mapping[str, str], commit_ref: str | None
) -> Operation:
    """Deploy where the application belongs, with values that are stored nowhere. Raises as `deploy.deploy` does."""
    if application.host_id is None:
        raise Invalid("application_id: this application has no server assigned")
    note: dict[str, Any] = {"overrides": sorted(overrides)}
    if commit_ref:
        note["commit_ref"] = without_url_secrets(Masker(overrides.values()).mask(commit_ref))
    terms = Terms(note, MOST_SECRETS + execute.MOST_VARIABLES, LONGEST_SECRETS + execute.LONGEST_ENVIRONMENT)
    secrets = {name: Sensitive(value) for name, value in overrides.items()}
    return await deploying.deploy(roci, application.id, application.host_id, secrets, terms)


async def log_in(roci: Roci, host_id: str, credential_id: str) -> tuple[Run, RegistryCredential]:
    """Log a host in with a stored credential. Raises NotFound for one that is not."""
    await roci.read(execute.host, host_id)
    ring = keyring.of(roci)
    row, password = await roci.read(lambda: (registries.get(credential_id), registries.password(ring, credential_id)))
    more = {"credential_id": row.id, "registry_type": row.registry_type}
    return await execute.log_in(roci, host_id, row.registry_url, row.username, password, **more), row


async def log_out(roci: Roci, host_id: str, registry_url: str) -> Run | Operation:
    """Log a host out; one that cannot be asked has failed to, which is recorded. Raises NotFound for none."""
    try:
        return await execute.log_out(roci, host_id, registry_url)
    except NotReady as error:
        return await _not_logged_out(roci, host_id, registry_url, error.message)


@whole
async def _not_logged_out(roci: Roci, host_id: str, registry_url: str, why: str) -> Operation:
    def record() -> Operation:
        args = {"registry_url": without_url_secrets(registry_url)}
        operation = operations.begin("registry_logout", execute.host(host_id), wire.LOGOUT_WITHIN, None, args)
        result = {"stdout": "", "stderr": why, "duration_ms": 0, "truncated": False}
        return operations.finish(operation.id, Outcome("failed", why, 1, why, result)) or operation

    return await roci.write(record)


def cause(run_id: str | None, run_context: Mapping[str, Any] | None, hidden: Mapping[str, str]) -> Cause:
    """What operations are part of, without the values that are not to be stored.

    The id of a run is what groups operations, so it stays as it is, but for a password in an address.
    """
    context = without_secrets(run_context, Masker(hidden.values()))
    return Cause(without_url_secrets(run_id) if run_id else None, context)


@hookimpl
def register_settings() -> type[Automation]:
    return Automation


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    async def prune() -> None:
        if days := roci.section(Automation).keep_days:
            await roci.write(operations.prune, now() - datetime.timedelta(days=days), automation.VIA)

    return [Task("forget old operations of automation", 3600, prune)]
