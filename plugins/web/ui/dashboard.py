"""/: what is broken first, then hosts, applications and what was done last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from quart import Blueprint, request

from roci import Actor, Roci

from ...domain import alerts, applications, operations
from ...domain.alerts import Alert
from ...domain.applications import Application
from ...domain.operations import Operation
from ...surfaces.http import base_url, server
from .. import shell
from ..install import line_here
from ..language import _
from . import shown
from .applications import rows as approws
from .hosts.joining import deaf

routes = Blueprint("dashboard", __name__)  # its one path is the start page's, which leads here
LATEST = 8
MOST = 20  # of what is wrong, and of applications
MOST_HOSTS = 100
PARTS = {
    "hosts": {"hosts"},
    "applications": {"applications"},
    "lead": {"applications"},
    "latest": {"operations"},
}  # what they show; the others show all


@dataclass(frozen=True)
class Trouble:
    """One thing that is not as it should be, and where to look."""

    tone: str
    what: str
    why: str
    path: str


@dataclass
class Seen:
    """What the page shows: as much of it as its reader may see, and as this part of the page needs."""

    hosts: list[shown.HostRow] = field(default_factory=list)
    apps: list[Application] = field(default_factory=list)
    app_rows: dict[str, approws.Row] = field(default_factory=dict)  # by the id of the application
    latest: list[Operation] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    open_alerts: int = 0
    under_way: int = 0


async def show(who: Actor) -> str:
    """The page, with as much as this actor may see."""
    here = server()
    sees = {noun: here.may(who, f"{noun}.read") for noun in ("hosts", "applications", "operations", "alerts")}
    needed = PARTS.get(request.args.get("part", ""), set(sees))
    seen = await here.read(_read, here, {noun for noun in needed if sees[noun]})
    if sees["hosts"] and "hosts" in needed:
        seen.hosts = shown.host_rows(here)
    approved = [row for row in seen.hosts if row.state in ("online", "offline")]
    return await shell.render(
        "dashboard.html",
        _("Overview"),
        ("hosts", "beats", "containers", "applications", "operations", "alerts"),
        styles=("lists.css",),
        sees=sees,
        **{**vars(seen), "hosts": seen.hosts[:MOST_HOSTS]},
        all_hosts=len(seen.hosts),
        troubles=_troubles(seen),
        running=sum(row.running or 0 for row in seen.hosts),
        approved=len(approved),
        connected=sum(row.state == "online" for row in seen.hosts),
        silent={
            "hosts": any(row.containers is None for row in approved),
            "applications": any(row.is_unknown for row in seen.app_rows.values()),
        },
        up=sum(row.is_up for row in seen.app_rows.values()),
        most=MOST,
        address=base_url(),
        line=line_here() if sees["hosts"] and "part" not in request.args else "",
        deaf=deaf(),
        tone=shown.tone,
    )


def _read(here: Roci, nouns: set[str]) -> Seen:
    seen = Seen()
    if "applications" in nouns:
        seen.apps = sorted(applications.all_(), key=lambda app: (app.status != "failed", app.key))
        seen.app_rows = {row.app.id: row for row in approws.rows(here, seen.apps)}
    if "operations" in nouns:
        seen.latest, _total = operations.list_(LATEST)
        _first, seen.under_way = operations.list_(1, status="running")
    if "alerts" in nouns:
        seen.alerts, seen.open_alerts = alerts.list_("active", None, MOST)
    return seen


def _troubles(seen: Seen) -> list[Trouble]:
    """The worst first. What an alert tells already is not told again."""
    found = [
        Trouble(shown.tone(each.severity), each.hostname, each.message, f"/hosts/{each.host_id}")
        for each in seen.alerts
    ]
    told = {each.host_id for each in seen.alerts if each.type == "host_offline"}
    for host in seen.hosts:
        if host.state == "pending":
            found.append(Trouble("busy", host.name, _("waits to be let in"), f"/hosts/{host.id}"))
        elif host.state == "offline" and host.id not in told:
            found.append(Trouble("bad", host.name, _("is not connected"), f"/hosts/{host.id}"))
        elif host.engine_error:
            found.append(Trouble("bad", host.name, host.engine_error, f"/hosts/{host.id}"))
    for app in seen.apps:
        if app.status == "failed":
            last = (app.last_error or "").strip().splitlines()
            found.append(Trouble("bad", app.name, last[-1] if last else _("failed"), f"/applications/{app.id}"))
    found += _partial(seen)
    return sorted(found, key=lambda each: each.tone != "bad")[:MOST]


def _partial(seen: Seen) -> Iterator[Trouble]:
    """Applications of which not all runs, unless alerts tell of each of those containers."""
    told = {(each.host_id, each.subject) for each in seen.alerts}
    for row in (row for row in seen.app_rows.values() if row.is_partial):
        path = f"/applications/{row.app.id}"
        if row.is_gone:
            yield Trouble("bad", row.app.name, _("no containers"), path)
        elif any((row.host_id, name) not in told for name in row.down):
            yield Trouble("bad", row.app.name, _("not running: %(services)s", services=", ".join(row.ill)), path)
