"""/api/v0/spaces/{name}/secrets"""

from __future__ import annotations

from typing import Any

from roci import Conflict

from ...domain import keyring, secrets, spaces
from ...domain.keyring import Keyring
from ...domain.secrets import Secret
from ..http import accepts, needs, require, returns, roci, signed_in
from . import results, shapes
from .tolerant import Tolerant

routes = Tolerant("secrets", __name__, url_prefix="/spaces/<name>/secrets")
HERE = "space/{name}"
SHOW = {"show_values": "string"}


@routes.get("")
@needs("secrets.list", on=HERE)
@returns(list[results.Secret], query={**shapes.PAGE, **SHOW})
async def index(name: str) -> Any:
    """By key; with their values for those who may read them and say so."""
    if not await _shows_values(name):
        return [shapes.secret(row) for row in shapes.page(await roci.read(_all, name))]
    rows = shapes.page(await roci.read(_all, name))
    values = await roci.write(_reveal, keyring.of(roci), rows)
    return [shapes.secret(row, value) for row, value in zip(rows, values, strict=True)]


async def _shows_values(name: str) -> bool:
    """Whether values are asked for. Raises Forbidden where they are not the caller's to see."""
    asked = shapes.flag("show_values")
    if asked:
        await require("secrets.read-values", spaces.resource(name))
    return asked


def _all(name: str) -> list[Secret]:
    return secrets.list_(spaces.get(name).resource)


def _get(name: str, key: str) -> Secret:
    return secrets.get(spaces.get(name).resource, key)


def _reveal(ring: Keyring, rows: list[Secret]) -> list[str]:
    return [secrets.reveal(ring, row.scope, row.name) for row in rows]


@routes.post("")
@signed_in
@accepts(shapes.NewSecret, optional=True)
@needs("secrets.create", on=HERE)
@returns(results.Secret)
async def add(new: shapes.NewSecret, name: str) -> Any:
    """Keep a secret; its value is not in the answer."""
    return shapes.secret(await roci.write(_add, keyring.of(roci), name, new))


def _add(ring: Keyring, name: str, new: shapes.NewSecret) -> Secret:
    scope = spaces.get(name).resource
    if secrets.find(scope, new.key_name):
        raise Conflict(f"Secret {new.key_name!r} already exists")
    return secrets.put(ring, scope, new.key_name, new.value, new.description)


@routes.get("/<key>")
@needs("secrets.get", on=HERE)
@returns(results.Secret, query=SHOW)
async def show(name: str, key: str) -> Any:
    """One secret; with its value for those who may read it and say so."""
    if not await _shows_values(name):
        return shapes.secret(await roci.read(_get, name, key))
    row = await roci.read(_get, name, key)
    [value] = await roci.write(_reveal, keyring.of(roci), [row])
    return shapes.secret(row, value)


@routes.put("/<key>")
@signed_in
@accepts(shapes.SecretChanges, optional=True)
@needs("secrets.update", on=HERE)
@returns(results.Secret)
async def change(body: shapes.SecretChanges, name: str, key: str) -> Any:
    """Its value or its description."""
    return shapes.secret(await roci.write(_change, keyring.of(roci), name, key, body.changes()))


def _change(ring: Keyring, name: str, key: str, changes: dict[str, Any]) -> Secret:
    row = _get(name, key)
    value = changes["value"] if "value" in changes else secrets.value(ring, row.scope, key)
    description = (changes["description"] or "") if "description" in changes else None
    return secrets.put(ring, row.scope, key, value or "", description)


@routes.delete("/<key>")
@needs("secrets.delete", on=HERE)
@returns(results.Done)
async def remove(name: str, key: str) -> Any:
    """Forget a secret."""
    await roci.write(_remove, name, key)
    return shapes.DONE


def _remove(name: str, key: str) -> None:
    secrets.remove(spaces.get(name).resource, key)
