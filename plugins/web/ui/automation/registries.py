"""/automation/registries: with what hosts log in at registries. Passwords come in and are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quart import Blueprint

from roci import Conflict, Invalid, Sensitive

from ....domain import automation, keyring, registries
from ....domain.automation import AutomationKey
from ....domain.registries import NewCredential, RegistryCredential
from ....surfaces.http import actor, needs, roci, server
from ... import shell
from ...forms import done, sent
from ...language import N_, _
from .. import fields

routes = Blueprint("registry_credentials", __name__, url_prefix="/registries")
HERE = "/automation/registries"
TYPES = {
    "docker_hub": "Docker Hub",
    "ghcr": "GitHub (ghcr.io)",
    "aws_ecr": "Amazon ECR",
    "google_artifact_registry": "Google Artifact Registry",
    "azure_acr": "Azure ACR",
    "harbor": "Harbor",
    "generic": N_("another"),
}
NAMES = (*registries.FIELDS, "secret")
BLANK = {"name": "", "registry_type": "generic", "registry_url": "", "username": "", "description": ""}


@routes.get("")
@needs("registries.list")
async def index() -> Any:
    """All of them with the keys that are for them, and the form for a new one."""
    return await _index(BLANK)


async def _index(given: Mapping[str, str], wrong: Mapping[str, str] | None = None) -> Any:
    rows = await roci.read(registries.list_)
    keys = (await roci.read(automation.list_))[0] if server().may(await actor(), "automation.list") else []
    page = await shell.render(
        "automation/registries.html",
        _("Registry credentials"),
        ("registry_credential", "automation_key"),
        styles=("alerts.css",),
        rows=[(row, _users(row, keys)) for row in rows],
        given=given,
        wrong=wrong or {},
        types=TYPES,
        usual=registries.DEFAULT_URLS,
        row=None,
    )
    return page, 422 if wrong else 200


def _users(row: RegistryCredential, keys: list[AutomationKey]) -> list[AutomationKey]:
    """The keys that are limited to it, among others."""
    return [key for key in keys if key.state == "valid" and row.id in key.allowed_credential_ids]


@routes.post("")
@needs("registries.create")
async def add() -> Any:
    """Keep one. Its password is sealed, and given to nothing but the engines that log in."""
    form = await sent()
    given = {name: form.get(name, "") for name in BLANK}
    new = NewCredential(
        **{**given, "registry_url": given["registry_url"].strip() or None}, secret=Sensitive(form.get("secret", ""))
    )
    try:
        await roci.write(registries.add, keyring.of(server()), new)
    except (Invalid, Conflict) as error:
        return await _index(given, _wrong(error))
    return done(HERE, _("%(name)s was added", name=given["name"]))


def _wrong(error: Invalid | Conflict) -> dict[str, str]:
    return {"name": error.message} if isinstance(error, Conflict) else fields.wrong_in(error, NAMES)


@routes.get("/<id>")
@needs("registries.list")
async def show(id: str) -> Any:
    """The form to change it."""
    row = await roci.read(registries.get, id)
    return await _show(row, {name: getattr(row, name) for name in BLANK})


async def _show(row: RegistryCredential, given: Mapping[str, str], wrong: Mapping[str, str] | None = None) -> Any:
    page = await shell.render(
        "automation/registry.html",
        row.name,
        styles=("alerts.css",),
        row=row,
        given=given,
        wrong=wrong or {},
        types=TYPES,
        usual=registries.DEFAULT_URLS,
    )
    return page, 422 if wrong else 200


@routes.post("/<id>")
@needs("registries.update")
async def change(id: str) -> Any:
    """Change it. A password left blank stays, while machine and user do."""
    form = await sent()
    row = await roci.read(registries.get, id)
    given = {name: form.get(name, "") for name in BLANK}
    secret = Sensitive(form["secret"]) if form.get("secret") else None
    changes = {name: value for name, value in given.items() if value != getattr(row, name)}
    try:
        await roci.write(lambda: registries.change(keyring.of(server()), id, secret, **changes))
    except (Invalid, Conflict) as error:
        return await _show(row, given, _wrong(error))
    return done(HERE, _("%(name)s was changed", name=given["name"]))


@routes.post("/<id>/remove")
@needs("registries.delete")
async def remove(id: str) -> Any:
    """Forget it, unless a key is limited to it. Hosts stay logged in with it."""
    await sent()
    row = await roci.read(registries.get, id)
    await roci.write(registries.remove, id)
    return done(HERE, _("%(name)s was removed", name=row.name))
