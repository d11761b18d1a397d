"""/automation: keys for CI systems. Registry credentials and runs are modules of their own."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from quart import Blueprint, make_response, request

from roci import Conflict, Invalid, Sensitive, now

from ....domain import applications, automation, operations, registries
from ....domain.automation import AutomationKey, NewKey
from ....surfaces.http import actor, base_url, needs, roci, server
from ... import shell
from ...forms import done, sent
from ...language import N_, _
from .. import fields, lists, shown
from . import registries as registry_credentials
from . import runs

routes = Blueprint("automation", __name__, url_prefix="/automation")
for part in (registry_credentials, runs):
    routes.register_blueprint(part.routes)
HERE = "/automation"
LATEST = 50
TOPICS = ("automation_key", "operations", "beats")
RIGHTS = {
    "deploy": N_("deploy applications"),
    "exec": N_("run commands on hosts"),
    "restart": N_("restart containers"),
    "reboot": N_("reboot hosts"),
    "registry_login": N_("log hosts in at registries"),
    "registry_logout": N_("log hosts out of registries"),
}
LISTS = {"operations": "allowed_operations", "hosts": "allowed_server_ids", "credentials": "allowed_credential_ids"}
USUAL = datetime.timedelta(days=90)


def rights(row: AutomationKey) -> str:
    """What a key is for, in words."""
    if not row.allowed_operations:
        return _("all that its owner may automate")
    return ", ".join(_(RIGHTS.get(each, each)) for each in row.allowed_operations)


def _blank() -> dict[str, Any]:
    until = (now() + USUAL).date().isoformat()
    return {"name": "", "networks": "", "rate": str(automation.RATE), "expires": until, "application": ""} | {
        name: [] for name in LISTS
    }


def _typed(form: Any) -> dict[str, Any]:
    text = {name: form.get(name, "") for name in ("name", "networks", "rate", "expires", "application")}
    return {**text, **{name: form.getlist(name) for name in LISTS}}


def _of(row: AutomationKey) -> dict[str, Any]:
    ends = (row.expires_at - datetime.timedelta(seconds=1)).date().isoformat() if row.expires_at else ""
    text = {"name": row.name, "networks": "\n".join(row.ip_allowlist), "rate": str(row.rate_limit_per_minute)}
    return {**text, "expires": ends, **{name: getattr(row, field) for name, field in LISTS.items()}}


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is typed, as the domain calls it. Raises Invalid."""
    if (rate := lists.whole(given["rate"])) is None:
        raise Invalid(f"rate_limit_per_minute: {_('a whole number is needed')}")
    return {
        "name": given["name"],
        **{field: given[name] for name, field in LISTS.items()},
        "ip_allowlist": given["networks"].split(),
        "rate_limit_per_minute": rate,
        "expires_at": _end(given["expires"]) if given["expires"] else None,
    }


def _end(text: str) -> datetime.datetime:
    """The end of a day, in UTC."""
    try:
        day = datetime.date.fromisoformat(text)
        return datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), datetime.UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"expires_at: {_('a day is needed, as 2030-12-31')}") from None


@routes.get("")
@needs("automation.list")
async def index() -> Any:
    """All keys, those that work first; and the form for a new one."""
    return await _index(_blank())


async def _index(
    given: Mapping[str, Any],
    wrong: Mapping[str, str] | None = None,
    made: tuple[AutomationKey, Sensitive] | None = None,
) -> Any:
    rows, _total = await roci.read(automation.list_)
    rows = sorted(rows, key=lambda row: row.state != "valid")
    page = await shell.render(
        "automation/keys.html",
        _("Automation"),
        TOPICS,
        styles=("alerts.css",),
        rows=rows,
        counts=await roci.read(automation.operation_counts, [row.id for row in rows]),
        given=given,
        wrong=wrong or {},
        made=made,
        address=base_url(),
        rights=rights,
        **await _choices(),
    )
    return page, 422 if wrong else 200


async def _choices() -> dict[str, Any]:
    """What keys can be limited to, as far as who asks may see it. No part of a page has it: what is typed stays."""
    if request.args.get("part"):
        return {}
    here, who = server(), await actor()
    sees_credentials = here.may(who, "registries.list")
    return {
        "hosts": shown.choosable(here, who),
        "credentials": await here.read(registries.list_) if sees_credentials else [],
        "applications": shown.readable(here, who, await here.read(applications.all_)),
        "all_rights": RIGHTS,
    }


@routes.post("")
@needs("automation.create")
async def add() -> Any:
    """Make a key that acts as who asks, and show its secret, this once."""
    given = _typed(await sent())
    try:
        made = await roci.write(automation.issue, (await actor()).id, NewKey(**_values(given)))
    except Invalid as error:
        return await _index(given, _wrong(error))
    response = await make_response(await _index(_blank() | {"application": given["application"]}, made=made))
    response.headers["Cache-Control"] = "no-store"
    return response


def _wrong(error: Invalid | Conflict) -> dict[str, str]:
    names = ("name", "allowed_operations", "rate_limit_per_minute", "expires_at", "ip_allowlist")
    return fields.wrong_in(error, (*names, "allowed_credential_ids", "allowed_server_ids"))


@routes.get("/keys/<id>")
@needs("automation.list")
async def show(id: str) -> Any:
    """One key: its limits, and what was done with it."""
    row = await roci.read(automation.get, id)
    return await _show(row, _of(row))


async def _show(row: AutomationKey, given: Mapping[str, Any], wrong: Mapping[str, str] | None = None) -> Any:
    sees = server().may(await actor(), "operations.read")
    wants = sees and request.args.get("part") in (None, "done")
    latest, total = await roci.read(lambda: operations.list_(LATEST, credential=row.id)) if wants else ([], 0)
    page = await shell.render(
        "automation/key.html",
        row.name,
        TOPICS,
        styles=("alerts.css",),
        row=row,
        given=given,
        wrong=wrong or {},
        latest=latest,
        total=total,
        sees=sees,
        rights=rights,
        tone=shown.tone,
        **await _choices(),
    )
    return page, 422 if wrong else 200


@routes.post("/keys/<id>")
@needs("automation.update")
async def change(id: str) -> Any:
    """Change what it is limited to."""
    given = _typed(await sent())
    row = await roci.read(automation.get, id)
    try:
        values = _values(given)
        if values["expires_at"] == row.expires_at:
            del values["expires_at"]
        await roci.write(lambda: automation.change(id, **values))
    except Invalid as error:
        return await _show(row, given, _wrong(error))
    return done(f"{HERE}/keys/{id}", _("%(name)s was changed", name=values["name"]))


@routes.post("/keys/<id>/revoke")
@needs("automation.revoke")
async def revoke(id: str) -> Any:
    """It stops working at once, and stays listed."""
    await sent()
    row = await roci.write(automation.revoke, id)
    return done(HERE, _("%(name)s was revoked", name=row.name))
