"""One application on one host at one revision: what ran where, from when to when, and how that ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import peewee

from roci import Conflict, Event, emit, hookimpl, now

from .applications import Application
from .model import Model, Utc
from .operations import Operation

MOVES = {
    "deploying": {"running", "failed", "replaced", "removed"},
    "running": {"stopped", "replaced", "removed"},
    "failed": {"running", "stopped", "replaced", "removed"},
    "stopped": {"running", "failed", "replaced", "removed"},
}
ENDED = ("replaced", "removed")
CURRENT = "application_id = ? and status not in ('replaced', 'removed') order by created_at desc"


class Deployment(Model):
    application_id = peewee.TextField()
    application_name = peewee.TextField()
    host_id = peewee.TextField(index=True)
    hostname = peewee.TextField()
    revision = peewee.IntegerField()
    operation_id = peewee.TextField()
    status = peewee.TextField(default="deploying")  # deploying, running, stopped, failed, replaced, removed
    ended_at = Utc(null=True)

    class Meta:
        only_save_dirty = True
        indexes = ((("application_id", "created_at"), False),)


@dataclasses.dataclass(frozen=True)
class DeploymentMoved(Event):
    deployment_id: str
    application_id: str
    host_id: str
    revision: int
    status: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class DeploymentBegun(DeploymentMoved):
    """It is new."""


def begin(application: Application, operation: Operation) -> Deployment:
    """A new deployment; the one before it is replaced."""
    if before := current(application.id):
        move(before, "replaced")
    deployment = Deployment.create(
        application_id=application.id,
        application_name=application.name,
        host_id=operation.host_id,
        hostname=operation.hostname,
        revision=application.deployed_revision,
        operation_id=operation.id,
    )
    _announce(deployment, None)
    return deployment


def current(application_id: str) -> Deployment | None:
    """The deployment that an application has now, in whatever state; None when it has none."""
    return Deployment.first(CURRENT, application_id)


def all_(application_id: str) -> list[Deployment]:
    """Newest first."""
    mine = Deployment.select().where(Deployment.application_id == application_id)
    return list(mine.order_by(Deployment.created_at.desc()))


def move(deployment: Deployment, status: str) -> Deployment:
    if status not in MOVES.get(deployment.status, set()):
        raise Conflict(f"the deployment is {deployment.status}")
    before, deployment.status = {"status": deployment.status}, status
    if status in ENDED:
        deployment.ended_at = now()
    deployment.save()
    _announce(deployment, before)
    return deployment


def follow(application_id: str, status: str) -> None:
    """The application's state changed; its deployment, where it has one, goes along."""
    if (deployment := current(application_id)) and deployment.status != status:
        move(deployment, status)


def forget_host(host_id: str) -> None:
    """A host is removed: what ran there, nobody knows of any more."""
    there = (Deployment.host_id == host_id) & Deployment.status.not_in(ENDED)
    for deployment in Deployment.select().where(there):
        move(deployment, "removed")


def _announce(deployment: Deployment, before: Mapping[str, Any] | None) -> None:
    kind = DeploymentMoved if before else DeploymentBegun
    emit(
        kind(
            deployment.id,
            deployment.application_id,
            deployment.host_id,
            deployment.revision,
            deployment.status,
            before,
            {"status": deployment.status},
        )
    )


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Deployment]
