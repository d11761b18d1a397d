"""/api/v1/platform/secrets: names only. Values go in and never come out."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Forbidden

from ...domain import keyring, secrets
from ..http import accepts, actor, needs, require, returns, roci
from . import results, shapes

routes = Blueprint("platform_secrets", __name__, url_prefix="/platform/secrets")
SCOPE = "platform"


async def _refuse_machines() -> None:
    """What assistants and agents are told, they may be talked into passing on."""
    who = await actor()
    if who.kind in ("agent", "assistant"):
        raise Forbidden("the platform's secrets are for people and services")


@routes.get("")
@needs("secrets.list", on=SCOPE)
@returns(list[str])
async def index() -> Any:
    """The names, sorted."""
    await _refuse_machines()
    return [row.name for row in await roci.read(secrets.list_, SCOPE)]


@routes.post("")
@needs("secrets.create", on=SCOPE)
@accepts(shapes.NewSecret)
@returns(results.SecretChanged)
async def put(new: shapes.NewSecret) -> Any:
    """Set a secret, whether or not there was one."""
    await _refuse_machines()
    if await roci.read(secrets.find, SCOPE, new.key):
        await require("secrets.update", SCOPE)
    await roci.write(secrets.put, keyring.of(roci), SCOPE, new.key, new.value)
    return {**shapes.message(f"secret '{new.key}' set"), "workers_restarted": 0}


@routes.delete("/<key>")
@needs("secrets.delete", on=SCOPE)
@returns(results.SecretChanged)
async def remove(key: str) -> Any:
    """Delete a secret."""
    await _refuse_machines()
    await roci.write(secrets.remove, SCOPE, key)
    return {**shapes.message(f"secret '{key}' deleted"), "workers_restarted": 0}
