"""ROCI's own REST surface, /api/v1: hosts (on the wire: agents), applications, policies, operations, health, people
and their rights.
"""

from __future__ import annotations

from quart import Blueprint, Request

from roci import Permission, Roci, Surface, hookimpl

from ..dialect import dialect
from . import (
    access,
    agents,
    alerting,
    application_hands,
    applications,
    audit,
    automation,
    bindings,
    channels,
    containers,
    hands,
    health,
    metrics,
    operations,
    policies,
    providers,
    quiet_hours,
    registry_credentials,
    roles,
    secrets,
    tokens,
    users,
)
from .errors import ErrorBody, answer

PERMISSIONS = (
    Permission("hosts.read", "see hosts and their containers"),
    Permission("hosts.decide", "approve and reject hosts"),
    Permission("hosts.remove", "remove hosts"),
    Permission("applications.read", "see applications, their files and revisions"),
    Permission("applications.write", "create and change applications"),
    Permission("applications.deploy", "deploy, start and stop applications"),
    Permission("applications.remove", "delete applications"),
    Permission("policies.read", "see the policies of admission, and rehearse them"),
    Permission("policies.write", "change the policies of admission"),
    Permission("operations.read", "see operations and their output"),
    Permission("operations.cancel", "cancel operations"),
)


MODULES = (
    health,
    agents,
    hands,
    containers,
    metrics,
    applications,
    application_hands,
    policies,
    operations,
    users,
    tokens,
    roles,
    bindings,
    access,
    audit,
    automation,
    registry_credentials,
    secrets,
    providers,
    alerting,
    channels,
    quiet_hours,
)


def claims(request: Request, body: bytes) -> bool:
    """Paths that other dialects have too are ours unless the request speaks one of theirs."""
    return dialect(request, body) == "native"


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return PERMISSIONS


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    native = Blueprint("native", __name__)
    for routes in (*(module.routes for module in MODULES), users.own_routes):
        native.register_blueprint(routes)
    return [Surface("native", "/api/v1", native, answer, claims, ErrorBody)]
