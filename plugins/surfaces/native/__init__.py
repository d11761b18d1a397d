"""ROCI's own REST surface, /api/v1: hosts (on the wire: agents), applications, policies, operations, health."""

from __future__ import annotations

from quart import Blueprint

from roci import Permission, Roci, Surface, hookimpl

from . import agents, applications, health, operations, policies
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


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return PERMISSIONS


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    native = Blueprint("native", __name__)
    for module in (health, agents, applications, policies, operations):
        native.register_blueprint(module.routes)
    return [Surface("native", "/api/v1", native, answer, error_body=ErrorBody)]
