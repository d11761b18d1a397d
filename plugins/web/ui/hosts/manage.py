"""/hosts/ID/manage: what is noted about a host, its logins at registries, restarting the machine, and forgetting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quart import Blueprint, request

from roci import Conflict, Invalid, RociError

from ....agent.hub import Live
from ....domain import applications, hostcards, registries
from ....domain.hostcards import Carded
from ....surfaces.http import actor, needs, server, uuid
from ....work import automation, deploy, execute
from ... import shell
from ...forms import done, sent
from ...language import _
from .. import shown
from ..activity import doings

routes = Blueprint("host_manage", __name__)
NOTES = ("name", "address", "port", "labels")
LONGEST_PORT = 5


@routes.get("/<id>/manage")
@needs("hosts.read", on="host/{id}")
async def show(id: str) -> Any:
    """What may be done about this host."""
    if request.args.get("part") == "decided" and shown.live(server(), uuid(id)).is_approved:
        return "", {"HX-Refresh": "true"}  # there is more to do now
    return await _page(id)


async def _page(id: str, given: Mapping[str, str] | None = None, wrong: RociError | None = None) -> Any:
    live, here, who = shown.live(server(), uuid(id)), server(), await actor()
    approved = live.host.status == "approved"
    carded = await here.read(hostcards.get, id) if approved else None
    sees_logins = approved and here.may(who, "registries.login", f"host/{id}") and here.may(who, "registries.list")
    page = await shell.render(
        "hosts/host_manage.html",
        _("Manage"),
        ("hosts", "applications", "registry_credential"),
        shell.Subject("host", id, live.host.hostname),
        styles=("lists.css",),
        tab="manage",
        path=f"/hosts/{id}/manage",
        host=live.host,
        given=given or _noted(carded),
        wrong=wrong.message if wrong else None,
        approved=approved,
        connected=live.is_connected,
        offers=live.link.capabilities if live.link else live.host.capabilities,
        mine=await here.read(_lying_there, id) if approved else [],
        logins=await here.read(registries.list_) if sees_logins else [],
        sees_logins=sees_logins,
    )
    return page, wrong.status if wrong else 200


def _noted(carded: Carded | None) -> dict[str, str]:
    card = carded.card if carded else None
    told = {name: getattr(card, name, None) for name in ("name", "address", "port")}
    return {**{name: str(value or "") for name, value in told.items()}, "labels": ", ".join(hostcards.labels(card))}


def _lying_there(host_id: str) -> list[applications.Application]:
    return [row for row in applications.all_() if host_id in (row.host_id, row.deployed_host_id)]


@routes.post("/<id>/note")
@needs("hosts.update", on="host/{id}")
async def note(id: str) -> Any:
    """Note a name, an address, a port and labels; an empty field takes its note back."""
    form = await sent()
    given = {name: form.get(name, "").strip() for name in NOTES}
    try:
        changes = {"name": given["name"] or None, "address": given["address"] or None, "port": _port(given["port"])}
        await server().write(lambda: hostcards.note(id, given["labels"].split(","), **changes))
    except RociError as error:
        return await _page(id, given, error)
    return done(f"/hosts/{id}/manage", _("Saved"))


def _port(text: str) -> int | None:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_PORT):
        raise Invalid("port: a whole number")
    return int(text) if text else None


def _check_typed(typed: str, live: Live) -> None:
    if typed.strip() != live.host.hostname:
        raise Conflict(_("type the host's name, %(name)s, to do this: nothing was changed", name=live.host.hostname))


@routes.post("/<id>/remove")
@needs("hosts.remove", on="host/{id}")
async def remove(id: str) -> Any:
    """Forget a host, once its name was typed."""
    form, live = await sent(), shown.live(server(), uuid(id))
    _check_typed(form.get("confirm", ""), live)
    await deploy.remove_host(server(), id)
    return done("/hosts", _("%(name)s was removed", name=live.host.hostname))


@routes.post("/<id>/reboot")
@needs("hosts.reboot", on="host/{id}")
async def reboot(id: str) -> Any:
    """Restart the machine, once its name was typed, and lead to the operation."""
    form, live = await sent(), shown.live(server(), uuid(id))
    _check_typed(form.get("confirm", ""), live)
    run = await execute.reboot(server(), id)
    return done(*await doings.lead(run.operation, f"/hosts/{id}/manage"))


@routes.post("/<id>/login")
@needs("registries.login", on="host/{id}")
async def log_in(id: str) -> Any:
    """Log the host in at a registry with a credential that is kept, and lead to the operation."""
    form = await sent()
    run, _row = await automation.log_in(server(), id, form.get("credential", ""))
    return done(*await doings.lead(run.operation, f"/hosts/{id}/manage"))


@routes.post("/<id>/logout")
@needs("registries.login", on="host/{id}")
async def log_out(id: str) -> Any:
    """Log the host out of a registry, and lead to the operation."""
    form = await sent()
    run = await execute.log_out(server(), id, form.get("registry_url", "").strip())
    return done(*await doings.lead(run.operation, f"/hosts/{id}/manage"))
