"""/: what is broken first, then hosts, applications and what was done last."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint, request

from roci import Actor

from ...agent.hub import Hub
from ...domain import alerts, applications, operations
from ...domain.alerts import Alert
from ...domain.applications import Application
from ...domain.operations import Operation
from ...surfaces.http import base_url, server
from .. import shell
from ..install import install_line
from . import shown

routes = Blueprint("dashboard", __name__)  # its one path is the start page's, which leads here
LATEST = 8
MOST = 20  # of what is wrong
PARTS = {"hosts": {"hosts"}, "latest": {"operations"}}  # what they show; the others show all


@dataclass(frozen=True)
class Trouble:
    """One thing that is not as it should be, and where to look."""

    tone: str
    what: str
    why: str
    path: str


async def show(who: Actor) -> str:
    """The page, with as much as this actor may see."""
    here = server()
    sees = {noun: here.may(who, f"{noun}.read") for noun in ("hosts", "applications", "operations", "alerts")}
    needed = PARTS.get(request.args.get("part", ""), set(sees))
    hosts = shown.host_rows(here) if sees["hosts"] and "hosts" in needed else []
    apps = await here.read(applications.all_) if sees["applications"] and "applications" in needed else []
    latest = (await here.read(operations.list_, LATEST))[0] if sees["operations"] and "operations" in needed else []
    open_ = (await here.read(alerts.list_, "active", None, MOST))[0] if sees["alerts"] and "alerts" in needed else []
    return await shell.render(
        "dashboard.html",
        "Overview",
        ("hosts", "beats", "containers", "applications", "operations", "alerts"),
        sees=sees,
        hosts=hosts,
        apps=apps,
        latest=latest,
        under_way=_under_way(latest),
        troubles=_troubles(hosts, apps, open_),
        connected=here.part(Hub).connected,
        address=base_url(),
        line=install_line(base_url()),
        tone=shown.tone,
    )


def _under_way(latest: list[Operation]) -> int:
    return sum(row.status == "running" for row in latest)


def _troubles(hosts: list[shown.HostRow], apps: list[Application], open_: list[Alert]) -> list[Trouble]:
    """The worst first. What an alert tells already is not told again."""
    found = [
        Trouble(shown.tone(each.severity), each.hostname, each.message, f"/hosts/{each.host_id}") for each in open_
    ]
    told = {each.host_id for each in open_ if each.type == "host_offline"}
    for host in hosts:
        if host.state == "pending":
            found.append(Trouble("busy", host.name, "waits to be let in", f"/hosts/{host.id}"))
        elif host.state == "offline" and host.id not in told:
            found.append(Trouble("bad", host.name, "is not connected", f"/hosts/{host.id}"))
        elif host.engine_error:
            found.append(Trouble("bad", host.name, host.engine_error, f"/hosts/{host.id}"))
    for app in apps:
        if app.status == "failed":
            last = (app.last_error or "").strip().splitlines()
            found.append(Trouble("bad", app.name, last[-1] if last else "failed", f"/applications/{app.id}"))
    return sorted(found, key=lambda each: each.tone != "bad")[:MOST]
