"""/people/providers: the identity providers that people sign in with. Their secrets are never shown."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Conflict, NotFound, RociError

from ....auth import oidc
from ....core.app import refused
from ....domain import providers, roles
from ....domain.providers import NewProvider
from ....domain.roles import BASE
from ....surfaces.http import base_url, needs, server
from ... import shell
from ...forms import done, sent
from ...language import _
from ..wrong import beside

routes = Blueprint("providers", __name__, url_prefix="/providers")
FIELDS = ("id", "display_name", "issuer", "client_id", "client_secret", "scopes", "default_role", "role_claim")
NEW = {"scopes": " ".join(providers.SCOPES), "default_role": BASE, "auto_register": "yes", "enabled": "yes"}


@routes.get("")
@needs("providers.list")
async def index() -> Any:
    """All of them, those that are switched off too."""
    rows = await server().read(providers.all_)
    return await shell.render(
        "people/providers.html", _("Identity providers"), ("provider",), styles=("admin.css",), rows=rows
    )


@routes.get("/new")
@needs("providers.update")
async def new() -> Any:
    """The form for one more."""
    return await _form(None, NEW)


@routes.get("/<name>")
@needs("providers.update")
async def show(name: str) -> Any:
    """The form with what is known of one."""
    known = providers.shown(await server().read(providers.get, name))
    given = {field: str(known[field] or "") for field in FIELDS if field in known}
    ticks = {field: "yes" if known[field] else "" for field in ("auto_register", "enabled")}
    return await _form(name, {**given, **ticks, "id": name, "scopes": " ".join(known["scopes"])})


async def _form(name: str | None, given: dict[str, str], error: RociError | None = None) -> Any:
    """`name` None: for a new one."""
    here = server()
    if error is not None:
        await refused(here, error)
    page = await shell.render(
        "people/provider.html",
        _("Change the provider %(name)s", name=name) if name else _("Add an identity provider"),
        styles=("admin.css",),
        name=name,
        given=given,
        wrong=beside(error, FIELDS),
        roles=sorted(row.name for row in await here.read(roles.all_)),
        callback=f"{base_url()}{oidc.CALLBACK}",
    )
    return page, error.status if error else 200


@routes.post("/new")
@needs("providers.update")
async def add() -> Any:
    """Keep a new one."""
    return await _keep(None)


@routes.post("/<name>")
@needs("providers.update")
async def change(name: str) -> Any:
    """Replace what is known of one; a secret that is left empty stays with its issuer."""
    await server().read(providers.get, name)
    return await _keep(name)


async def _keep(name: str | None) -> Any:
    form, here = await sent(), server()
    given = {field: form.get(field, "").strip() for field in (*FIELDS, "auto_register", "enabled")}
    given["id"] = name or given["id"]
    secret = given.pop("client_secret")
    made = NewProvider(
        given["id"],
        given["display_name"],
        given["issuer"],
        given["client_id"],
        given["scopes"].replace(",", " ").split(),
        given["auto_register"] == "yes",
        given["default_role"],
        given["role_claim"] or None,
        given["enabled"] == "yes",
    )
    try:
        await oidc.save(here, made, secret or None, is_known=name is not None)
    except RociError as error:
        return await _form(name, given, error)
    return done("/people/providers", _("%(name)s was saved", name=made.display_name))


@routes.post("/<name>/remove")
@needs("providers.update")
async def remove(name: str) -> Any:
    """Forget one, once its id was typed."""
    form, here = await sent(), server()
    if await here.read(providers.find, name) is None:
        raise NotFound(f"there is no identity provider {name!r}")
    if form.get("confirm", "").strip() != name:
        raise Conflict("type the provider's id to remove it: nothing was changed")
    await here.write(providers.remove, name, form.get("force") == "yes")
    return done("/people/providers", _("%(name)s was removed", name=name))
