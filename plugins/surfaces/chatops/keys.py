"""/api/v1/api-keys: keys by which a host's agent comes in, sends its metrics and asks about itself."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import NotFound, current_actor

from ...domain import hostcards, hostkeys
from ..http import accepts, raises, require, returns, roci, signed_in, signed_in_or_host
from . import results, shapes
from .query import asked, parameters, path_id

routes = Blueprint("keys", __name__, url_prefix="/api-keys")


@routes.post("")
@signed_in
@accepts(shapes.NewKey)
@returns(results.NewlyMadeKey, status=201)
@raises(NotFound)
async def add(new: shapes.NewKey) -> Any:
    """A key of one server. The only time it is shown."""
    host_id = str(new.server_id)
    await require("hostkeys.create", hostkeys.resource(host_id))
    await roci.read(hostcards.get, host_id)
    row, secret = await roci.write(hostkeys.issue, host_id, new.name, new.expires_at)
    return {**shapes.key(row), "key": secret}, 201


@routes.get("/me")
@signed_in_or_host
@returns(results.OwnKey | list[results.Key])
async def mine() -> Any:
    """For a key: what it is. For a person: the keys they made."""
    who = current_actor.get()
    if who.via == hostkeys.VIA:
        return shapes.own_key(await roci.read(hostkeys.get, who.credential))
    return [shapes.key(row) for row in await roci.read(hostkeys.made_by, who.id)]


@routes.get("/server/<server_id>")
@signed_in
@returns(list[results.Key], query=parameters(shapes.WhichKeys), uuids=("server_id",))
async def of_server(server_id: str) -> Any:
    """The keys of one server, the newest first."""
    host_id = path_id(server_id, "server_id")
    await require("hostkeys.list", hostkeys.resource(host_id))
    await roci.read(hostcards.get, host_id)
    active_only = asked(shapes.WhichKeys).active_only
    return [shapes.key(row) for row in await roci.read(hostkeys.of_host, host_id, active_only)]


@routes.post("/<key_id>/deactivate")
@signed_in
@returns(results.Key, uuids=("key_id",))
async def deactivate(key_id: str) -> Any:
    """It works no more, and is still listed."""
    id = await _revocable(key_id)
    return shapes.key(await roci.write(hostkeys.deactivate, id))


@routes.delete("/<key_id>")
@signed_in
@returns(None, status=204, uuids=("key_id",))
async def remove(key_id: str) -> Any:
    """It is gone."""
    await roci.write(hostkeys.remove, await _revocable(key_id))
    return "", 204


async def _revocable(key_id: str) -> str:
    """The key's id, where the caller may revoke it. Raises NotFound, or Forbidden."""
    id = path_id(key_id, "key_id")
    await require("hostkeys.revoke", await roci.read(_resource, id))
    return id


def _resource(id: str) -> str:
    """Where the right is asked; for a key that does not exist, everywhere, so that names do not leak."""
    row = hostkeys.HostKey.get_or_none(hostkeys.HostKey.id == id)
    return hostkeys.resource(row.host_id) if row else ""
