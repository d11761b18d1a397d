"""/api/v1/secrets: values by scope and name. A right is one on the scope: secrets.list on "application/ID"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quart import Blueprint, request

from roci import Invalid, NotFound, Sensitive

from ...domain import secrets
from ...work import vault
from ..http import View, accepts, actor, documented, require, returns, roci, signed_in
from . import secret_shapes as wire
from . import shapes

routes = Blueprint("secrets", __name__, url_prefix="/secrets")
SCOPE = {"scope": "string"}


def asks(permission: str) -> Callable[[View], View]:
    """Say which right the view asks for itself, since the scope is not in the path."""

    def decorate(view: View) -> View:
        note = documented(view)
        note.access, note.on = permission, "{scope}"
        return view

    return decorate


async def _allowed(permission: str, scope: str) -> None:
    secrets.check_scope(scope)  # what is none is no resource that a right could be for
    if secrets.is_internal(scope):
        raise NotFound(f"there are no secrets in {scope}")
    await require(permission, scope)


async def _may_put(scope: str, name: str) -> None:
    """Whoever has one of the two rights only is told which one it takes; others do not learn what exists."""
    secrets.check_scope(scope)
    who = await actor()
    rights = [right for right in ("secrets.create", "secrets.update") if roci.may(who, right, scope)]
    if secrets.is_internal(scope) or not rights:
        await _allowed("secrets.update", scope)
    elif len(rights) == 1:
        known = await vault.of(roci).find(scope, name)
        await require("secrets.update" if known else "secrets.create", scope)


def _scope() -> str:
    return request.args.get("scope", "platform")


@routes.get("")
@signed_in
@asks("secrets.list")
@returns(wire.Secrets, query=SCOPE)
async def index() -> Any:
    """List secrets, without their values: of one scope, or of all that the caller may list."""
    if "scope" in request.args:
        await _allowed("secrets.list", request.args["scope"])
        scopes = [request.args["scope"]]
    else:
        who = await actor()
        scopes = [each for each in await vault.of(roci).scopes() if roci.may(who, "secrets.list", each)]
    found = [wire.secret(entry) for scope in scopes for entry in await vault.of(roci).names(scope)]
    return {"secrets": found, "total": len(found)}


@routes.get("/<name>")
@signed_in
@asks("secrets.get")
@returns(wire.SecretOut, query={**SCOPE, "value": "boolean"})
async def show(name: str) -> Any:
    """Get a secret. With `value=true` its value too: that takes secrets.read-values, and is recorded."""
    scope, wanted = _scope(), request.args.get("value") == "true"
    await _allowed("secrets.get", scope)
    if not wanted:
        return wire.secret(await vault.of(roci).get(scope, name))
    await require("secrets.read-values", scope)
    entry, value = await vault.of(roci).get(scope, name), await vault.of(roci).reveal(scope, name)
    return {**wire.secret(entry), "value": value}, 200, {"Cache-Control": "no-store"}


@routes.put("/<name>")
@signed_in
@asks("secrets.update")
@accepts(wire.NewSecret)
@returns(wire.SecretOut, query=SCOPE)
async def put(body: wire.NewSecret, name: str) -> Any:
    """Set a secret, in the scope that the body or the query names; a new one takes secrets.create.

    Without a description the one that is there stays.
    """
    scope = _one_scope(body.scope)
    await _may_put(scope, name)
    entry = await vault.of(roci).put(scope, name, Sensitive(body.value), body.description)
    return wire.secret(entry)


def _one_scope(sent: str | None) -> str:
    """Raises Invalid where body and query mean two: neither may be overwritten by guessing."""
    if sent is not None and request.args.get("scope", sent) != sent:
        raise Invalid("scope: the body and the query name two different ones")
    return _scope() if sent is None else sent


@routes.delete("/<name>")
@signed_in
@asks("secrets.delete")
@returns(shapes.Done, query=SCOPE)
async def remove(name: str) -> Any:
    """Delete a secret. What was deployed with it keeps it until the next deploy."""
    await _allowed("secrets.delete", _scope())
    await vault.of(roci).remove(_scope(), name)
    return shapes.done("Secret deleted")
