"""The tab of an application with its environment: what its file asks for, and which secret gives it.

A secret's value comes in here and never goes out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from quart import Blueprint

from roci import Actor, Invalid, RociError, Sensitive

from ....backends.outline import Plain, Variable
from ....domain import applications
from ....domain.applications import Application
from ....surfaces.http import actor, needs, require, roci, server, signed_in
from ....work import drafts, vault
from ....work.vault import Entry
from ... import shell
from ...forms import done, sent
from ...language import _

routes = Blueprint("environment", __name__, url_prefix="/applications")
From = Literal["secret", "run", "default", "nothing", "unknown"]


@dataclass(frozen=True)
class Told:
    """A variable of the file, and where its value comes from at a deploy. `unknown`: who asks may not see secrets."""

    variable: Variable
    origin: From
    entry: Entry | None = None

    @property
    def is_missing(self) -> bool:
        return self.origin == "nothing"


def _scope(app_id: str) -> str:
    return f"application/{app_id}"


async def _secrets(app: Application | None, who: Actor) -> dict[str, Entry] | None:
    """By name; None: not for who asks."""
    if app is None:
        return {}
    if not roci.may(who, "secrets.list", _scope(app.id)):
        return None
    return {entry.stored.name: entry for entry in await vault.of(server()).names(_scope(app.id))}


async def told(app: Application | None, variables: Iterable[Variable]) -> list[Told]:
    """Where each gets its value from; of an application that is not there yet, too."""
    known = await _secrets(app, await actor())
    return [_told(variable, known) for variable in variables]


def _told(variable: Variable, known: dict[str, Entry] | None) -> Told:
    if entry := (known or {}).get(variable.name):
        return Told(variable, "secret", entry)
    if drafts.is_given(variable):
        return Told(variable, "run")
    if known is None:
        return Told(variable, "unknown")
    return Told(variable, "nothing" if variable.default is None or variable.is_required else "default")


# --- the tab ---------------------------------------------------------------------


@routes.get("/<id>/environment")
@needs("applications.read", on="application/{id}")
async def show(id: str) -> Any:
    """What the file asks for, the secrets there are, and the plain values that stand in it."""
    return await _page(id)


async def _page(id: str, name: str = "", wrong: RociError | None = None) -> Any:
    def read() -> tuple[Application, str]:
        app = applications.get(id)
        return app, applications.text(app)

    app, text = await roci.read(read)
    unreadable = ""
    variables: tuple[Variable, ...] = ()
    plain: tuple[Plain, ...] = ()
    try:
        variables, plain = await drafts.environment(text)
    except Invalid as error:  # kept by an older ROCI, or for a backend of its own
        unreadable = error.message
    who = await actor()
    known = await _secrets(app, who)
    asked = {variable.name for variable in variables}
    page = await shell.render(
        "applications/environment.html",
        _("Environment"),
        ("applications", "secret"),
        shell.Subject("application", id, app.name),
        styles=("editor.css",),
        tab="environment",
        path=f"/applications/{id}/environment",
        app=app,
        rows=[_told(variable, known) for variable in variables],
        others=[entry for found, entry in (known or {}).items() if found not in asked],
        knows=known is not None,
        plain=plain,
        unreadable=unreadable,
        name=name,
        wrong=wrong.message if wrong else None,
        stores=[store.name for store in vault.of(server()).stores.values() if store.writable],
    )
    return page, wrong.status if wrong else 200


@routes.post("/<id>/environment")
@signed_in
async def put(id: str) -> Any:
    """Set or replace a secret of the application."""
    form = await sent()
    name, value = form.get("name", "").strip(), form.get("value", "").replace("\r\n", "\n")
    await _may_put(id, name)
    try:
        if not value:
            raise Invalid("value: must not be empty")
        await vault.of(server()).put(_scope(id), name, Sensitive(value), form.get("description") or None)
    except RociError as error:
        return await _page(id, name, error)
    return done(f"/applications/{id}/environment", _("%(name)s is set: the next deploy uses it", name=name))


async def _may_put(id: str, name: str) -> None:
    """A new secret takes another right than a new value; who has neither does not learn what exists."""
    scope, who = _scope(id), await actor()
    if not any(roci.may(who, right, scope) for right in ("secrets.create", "secrets.update")):
        await require("secrets.update", scope)
    await require("secrets.update" if await vault.of(server()).find(scope, name) else "secrets.create", scope)


@routes.post("/<id>/environment/remove")
@needs("secrets.delete", on="application/{id}")
async def remove(id: str) -> Any:
    """Take a secret away. What was deployed with it keeps it until the next deploy."""
    name = (await sent()).get("name", "")
    try:
        await vault.of(server()).remove(_scope(id), name)
    except RociError as error:
        return await _page(id, name, error)
    return done(f"/applications/{id}/environment", _("%(name)s was removed", name=name))
