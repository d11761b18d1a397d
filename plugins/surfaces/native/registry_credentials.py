"""/api/v1/registry-credentials: with what hosts log in at registries. The secrets come in and never go out."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Sensitive

from ...domain import keyring, registries
from ..http import accepts, needs, paging, returns, roci
from . import automation_shapes as shapes
from .shapes import Done, done, page

routes = Blueprint("registry_credentials", __name__, url_prefix="/registry-credentials")


async def _known(id: str) -> None:
    await roci.read(registries.get, id)


@routes.get("")
@needs("registries.list")
@returns(shapes.Credentials, paged=True)
async def index() -> Any:
    """List registry credentials by name."""
    limit, offset = paging()
    rows = await roci.read(registries.list_)
    return {"credentials": [shapes.credential(row) for row in page(rows, limit, offset)], "total": len(rows)}


@routes.post("")
@needs("registries.create")
@accepts(shapes.NewCredential)
@returns(shapes.CredentialOut, status=201)
async def add(new: shapes.NewCredential) -> Any:
    """Keep a credential for a registry. Its secret is sealed, and given to nothing but the engines that log in."""
    wanted = registries.NewCredential(
        name=new.name,
        username=new.username,
        secret=Sensitive(new.secret.get_secret_value()),
        registry_type=new.registry_type,
        registry_url=new.registry_url,
        description=new.description or "",
    )
    row = await roci.write(registries.add, keyring.of(roci), wanted)
    return shapes.credential(row), 201


@routes.get("/<id>")
@needs("registries.list")
@returns(shapes.CredentialOut)
async def show(id: str) -> Any:
    """Get a registry credential, without its secret."""
    return shapes.credential(await roci.read(registries.get, id))


@routes.patch("/<id>")
@needs("registries.update")
@accepts(shapes.CredentialChanges, of=_known)
@returns(shapes.CredentialOut)
async def change(body: shapes.CredentialChanges, id: str) -> Any:
    """Change a registry credential. The secret stays while machine and user do; else it is sent again."""
    secret = None if body.secret is None else Sensitive(body.secret.get_secret_value())
    return shapes.credential(await roci.write(registries.change, keyring.of(roci), id, secret, **body.changes()))


@routes.delete("/<id>")
@needs("registries.delete")
@returns(Done)
async def remove(id: str) -> Any:
    """Forget a registry credential, unless an automation key is limited to it. Hosts stay logged in with it."""
    await roci.write(registries.remove, id)
    return done("Registry credential deleted")
