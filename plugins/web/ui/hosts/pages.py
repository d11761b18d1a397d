"""/hosts: all machines, those that wait among them; one with its containers; who waits is approved or rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quart import Blueprint, request

from roci import NotFound

from ....agent.hub import Hub, Live
from ....domain import alerts, hostcards, operations
from ....domain.hostcards import Carded
from ....surfaces.http import actor, needs, server, uuid
from ....work import enrol, execute
from ....work.run import Run
from ... import shell
from ...forms import done, local_path, sent
from ...language import N_, _
from .. import lists, shown
from ..activity import doings
from ..containers import rows as container_rows
from ..containers.rows import ContainerRow
from ..shown import HostRow
from . import manage as host_manage

routes = Blueprint("hosts", __name__, url_prefix="/hosts")
routes.register_blueprint(host_manage.routes)
STATES = {
    "online": N_("online"),
    "offline": N_("offline"),
    "pending": N_("pending"),
    "rejected": N_("rejected"),
}
KEYS: dict[str, Callable[[HostRow], Any]] = {
    "name": lambda row: row.name.lower(),
    "state": lambda row: row.state,
    "containers": lambda row: row.containers,
    "cpu": lambda row: row.sample and row.sample.cpu_percent,
    "memory": lambda row: row.sample and row.sample.memory_percent,
    "disk": lambda row: row.disk,
}
ACTIONS = {
    "start": N_("%(name)s was started"),
    "stop": N_("%(name)s was stopped"),
    "restart": N_("%(name)s was restarted"),
    "pause": N_("%(name)s was paused"),
    "unpause": N_("%(name)s goes on"),
}
REMOVED = N_("%(name)s was removed")
PER_PAGE = 100
WAIT = 4.0  # seconds a form waits for what it asked for
LATEST = 10
MOST = 200  # containers on the page of one host; the list of all containers has the others
MOST_ALERTS = 20
LONGEST = 200  # characters of a reason, and of what a container is called by


@routes.get("")
@needs("hosts.read")
async def index() -> Any:
    """All hosts, what needs somebody first; by `?q=`, `?state=` and `?sort=` where asked."""
    here, part = server(), request.args.get("part")
    rows = shown.host_rows(here)
    cards = {each.host.id: each for each in await here.read(hostcards.all_)} if part != "waiting" else {}
    text = lists.asked()
    found = [row for row in rows if lists.holds(text, *_names(row, cards.get(row.id)))]
    state, order = lists.one_of("state", STATES), lists.order(KEYS)
    leaf = lists.leaf(lists.arranged([row for row in found if state in ("", row.state)], order, KEYS), PER_PAGE)
    return await shell.render(
        "hosts/hosts.html",
        _("Hosts"),
        ("hosts", "beats"),
        scripts=("lists.js",),
        styles=("lists.css",),
        leaf=leaf,
        hosts=leaf.rows,
        counts={word: sum(row.state == word for row in found) for word in STATES},
        total=len(found),
        there_are=len(rows),
        cards=cards,
        labels_of=hostcards.labels,
        waiting=[shown.live(server(), uuid(row.id)).host for row in rows if row.state == "pending"],
        states=STATES,
        state=state,
        order=order,
        link=lists.link,
    )


def _names(row: HostRow, carded: Carded | None) -> list[str | None]:
    """What a host is looked for by."""
    noted = carded.card if carded else None
    labels = hostcards.labels(noted)
    return [row.name, row.address, row.state, *labels, *((noted.name, noted.address) if noted else ())]


@routes.get("/<id>")
@needs("hosts.read", on="host/{id}")
async def show(id: str) -> Any:
    """One host: who it is, what runs there, what was done to it."""
    live, here, who, part = shown.live(server(), uuid(id)), server(), await actor(), request.args.get("part")
    if part == "decided" and live.is_approved:
        return "", {"HX-Refresh": "true"}  # it is another page now, with more on it
    subject = shell.Subject("host", id, live.host.hostname)
    told = await here.read(_told, live, part, here.may(who, "alerts.read", f"host/{id}"))
    rows = container_rows.of_host(live, told["owners"]) if live.is_current and part in (None, "containers") else None
    return await shell.render(
        "hosts/host.html",
        live.host.hostname,
        (f"host/{id}", "hosts", f"operations/{id}", "alerts"),
        subject,
        scripts=("filter.js",),
        styles=("lists.css",),
        host=live.host,
        row=shown.host_row(here, live),
        containers=rows and container_rows.with_use(here, rows[:MOST]),
        more=len(rows or ()) - MOST,
        was=None if live.is_current else live.containers,
        tabs_there={tab.name for tab in here.part(shell.Shell).tabs_of(here, subject, who)},
        panels=[] if part else await here.part(shell.Shell).panels_of(here, "host", id, who),
        labels_of=hostcards.labels,
        tone=shown.tone,
        **told,
    )


def _told(live: Live, part: str | None, sees_alerts: bool) -> dict[str, Any]:
    """What the database has of a host, as far as this part shows it."""
    id, approved = live.host.id, live.host.status == "approved"
    wants = {name: part in (None, name) for name in ("facts", "containers", "latest")}
    return {
        "card": hostcards.get(id).card if wants["facts"] and approved else None,
        "alerts": alerts.list_("active", id, MOST_ALERTS)[0] if wants["facts"] and sees_alerts else [],
        "owners": container_rows.owners() if wants["containers"] else {},
        "latest": operations.list_(LATEST, host_id=id)[0] if wants["latest"] else [],
    }


@routes.post("/<id>/decide")
@needs("hosts.decide", on="host/{id}")
async def decide(id: str) -> Any:
    """Approve or reject a host that waits."""
    form, name = await sent(), shown.live(server(), uuid(id)).host.hostname
    back = local_path(form.get("next") or f"/hosts/{id}")
    if form.get("answer") == "approve":
        await enrol.approve(server(), id)
        return done(back, _("%(name)s was let in", name=name))
    await enrol.reject(server(), id, form.get("reason", "").strip()[:LONGEST] or None)
    return done(back, _("%(name)s was rejected", name=name))


@routes.get("/<id>/containers/<container>/remove")
@needs("containers.remove", on="host/{id}")
async def ask_to_remove(id: str, container: str) -> Any:
    """What goes with a container, and what stays, before it is removed."""
    live, here = shown.live(server(), uuid(id)), server()
    rows = container_rows.of_host(live, await here.read(container_rows.owners)) if live.is_current else None
    return await shell.render(
        "hosts/container_remove.html",
        _("Remove a container"),
        (f"host/{id}",),
        shell.Subject("host", id, live.host.hostname),
        each=None if rows is None else _found(rows, container),
    )


def _found(rows: list[ContainerRow], id: str) -> ContainerRow:
    for row in rows:
        if row.id == id:
            return row
    raise NotFound(_("this container is not there any more"))


@routes.post("/<id>/containers/<container>/remove")
@needs("containers.remove", on="host/{id}")
async def remove_container(id: str, container: str) -> Any:
    """Remove it; one that runs only with `force`."""
    form = await sent()
    name = _name(id, container)
    run = await execute.control(server(), id, "remove", container, force=form.get("force") == "yes")
    return await _ended(run, f"/hosts/{id}", REMOVED, name)


@routes.post("/<id>/containers/<container>/<action>")
@needs("containers.control", on="host/{id}")
async def control(id: str, container: str, action: str) -> Any:
    """Start, stop, restart, pause or unpause a container, and come back; to the operation where it failed."""
    form = await sent()
    if action not in ACTIONS:
        raise NotFound(_("there is nothing at %(path)s", path=request.path))
    name = _name(id, container)
    run = await execute.control(server(), id, action, container)
    return await _ended(run, local_path(form.get("next") or f"/hosts/{id}"), ACTIONS[action], name)


def _name(host_id: str, container: str) -> str:
    found = execute.container_called(server().part(Hub), host_id, container)
    return found.name if found else container[:LONGEST]


async def _ended(run: Run, path: str, words: str, name: str) -> Any:
    """Where a form leads that had something done to a container."""
    operation = await run.finished(WAIT)
    if operation is None:
        return done(path, _("%(name)s is asked to: this page tells when it is so", name=name))
    if operation.status == "succeeded":
        return done(path, _(words, name=name))
    return done(*await doings.lead(operation, path))
