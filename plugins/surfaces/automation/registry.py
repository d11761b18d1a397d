"""/registry-auth: servers log in at registries, and out. No password is ever in an answer."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Forbidden, Sensitive, current_actor

from ...domain import registries
from ...domain.operations import Operation
from ...work import automation, execute
from ..http import returns, roci
from . import shapes
from .commands import printed, waited
from .gate import automates, limits_of, permit

routes = Blueprint("registry", __name__, url_prefix="/registry-auth")


def _check_credential(credential_id: str | None) -> None:
    """None: one that is not stored, and so is in nobody's list."""
    limits = limits_of(current_actor.get())
    if limits and limits.credentials is not None and credential_id not in limits.credentials:
        raise Forbidden("this key is not for this registry credential")


@routes.post("/login")
@automates("registry_login", shapes.Login)
@returns(shapes.LoggingIn, status=202)
async def log_in(body: shapes.Login) -> Any:
    """Log a server in with a stored credential."""
    await permit("registry_login", body.server_id)
    _check_credential(body.credential_id)
    run, row = await automation.log_in(roci, body.server_id, body.credential_id)
    return _logging_in(run.operation, row.registry_url, row.registry_type)


@routes.post("/login-direct")
@automates("registry_login", shapes.LoginDirect)
@returns(shapes.LoggingIn, status=202)
async def log_in_directly(body: shapes.LoginDirect) -> Any:
    """Log a server in with a password that is stored nowhere."""
    await permit("registry_login", body.server_id)
    _check_credential(None)
    kind = registries.type_of(body.registry_url)
    token = Sensitive(body.access_token)
    run = await execute.log_in(roci, body.server_id, body.registry_url, body.username, token, registry_type=kind)
    return _logging_in(run.operation, body.registry_url, kind)


def _logging_in(operation: Operation, url: str, kind: str) -> Any:
    return {**shapes.started(operation), "registry_url": url, "registry_type": kind}, 202


@routes.post("/logout")
@automates("registry_logout", shapes.Logout)
@returns(shapes.LoggedOut)
async def log_out(body: shapes.Logout) -> Any:
    """Log a server out. What goes wrong with it is told by the exit code."""
    await permit("registry_logout", body.server_id)
    found = await automation.log_out(roci, body.server_id, body.registry_url)
    ended = found if isinstance(found, Operation) else await waited(found, found.operation.timeout)
    if ended is None:
        return shapes.started(found.operation)  # type: ignore[union-attr]  # a run that has not ended
    return shapes.logged_out(ended, printed(ended))
