"""What the command palette finds of ROCI itself: its pages, the hosts, their containers, the applications, and what is
done to them every day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from roci import Actor, Roci, hookimpl

from ....agent.hub import Hub, Live
from ....domain import applications
from ....domain.applications import Application
from ...forms import segment
from ...language import N_, _
from ...shell import Shell
from .pages import Finder, Found, Question

WORDS = {  # that find a page besides its name
    "policies": "policy approve join",
    "containers": "image update",
    "people": "user role permission",
    "automation": "cron job schedule registry",
    "activity": "audit operations history",
}
VERBS = {"restart": N_("Restart %(name)s"), "stop": N_("Stop %(name)s"), "start": N_("Start %(name)s")}
STOPS_IT = N_("Stop the container %(name)s? It stays as it is until it is started.")
STOPS_ALL = N_("Stop all containers of %(name)s? They stay as they are until it is started.")


async def pages(roci: Roci, who: Actor, question: Question) -> Iterable[Found]:
    """Those in the navigation, one's own account, and the first steps."""
    entries = [page for _group, some in roci.part(Shell).entries(roci, who) for page in some]
    found = [
        Found("page", _(page.label), page.path, words=f"{page.name} {WORDS.get(page.name, '')}") for page in entries
    ]
    found.append(Found("page", _("My account"), "/account", words="password passkey profile"))
    if question.words and roci.may(who, "applications.write"):
        found.append(Found("action", _("New application"), "/applications/new", words="create add stack compose"))
    if question.words and roci.may(who, "hosts.read"):
        found.append(Found("action", _("Add a host"), "/hosts/add", words="new join install agent server"))
    if question.words:
        found.append(Found("action", _("Sign out"), "/logout", words="log out leave"))
    return found


async def hosts(roci: Roci, who: Actor, question: Question) -> Iterable[Found]:
    return [one for live in roci.part(Hub).roster.values() if question.words for one in _of_host(roci, who, live)]


def _of_host(roci: Roci, who: Actor, live: Live) -> Iterator[Found]:
    host = live.host
    path, name, on = f"/hosts/{host.id}", host.hostname, f"host/{host.id}"
    if not roci.may(who, "hosts.read", on):
        return
    note = (_("online") if live.is_connected else _("offline")) if live.is_approved else _(host.status)
    yield Found("host", name, path, note, host.effective_ip or "")
    if host.status == "pending":
        if roci.may(who, "hosts.decide", on):
            yield Found("action", _("Approve %(name)s", name=name), f"{path}/decide", form={"answer": "approve"})
        return
    if live.is_approved:
        yield Found("action", _("Images on %(name)s", name=name), f"{path}/images", _("Host"), "pull image update")
    if live.is_approved and roci.may(who, "hosts.prune", on):
        words = "remove unused images volumes clean"
        yield Found("action", _("Prune %(name)s", name=name), f"{path}/prune", _("Host"), words)
    if live.is_approved and roci.may(who, "containers.logs", on):
        yield Found("action", _("Logs of %(name)s", name=name), f"{path}/logs", _("Host"))
    if live.is_approved and roci.may(who, "hosts.terminal", on):
        yield Found("action", _("Terminal on %(name)s", name=name), f"{path}/terminal", _("Host"))


async def containers(roci: Roci, who: Actor, question: Question) -> Iterable[Found]:
    roster = roci.part(Hub).roster.values() if question.words else ()
    return [one for live in roster if live.is_approved for one in _on_host(roci, who, question, live)]


def _on_host(roci: Roci, who: Actor, question: Question, live: Live) -> Iterator[Found]:
    on, host = f"host/{live.host.id}", live.host.hostname
    if not live.is_current or not roci.may(who, "hosts.read", on):
        return
    reads, acts = (roci.may(who, action, on) for action in ("containers.logs", "containers.control"))
    opens = roci.may(who, "hosts.terminal", on)
    verbs = " ".join(
        ["container logs of restart stop start terminal in", *(_(each, name="") for each in VERBS.values())]
    )
    for each in live.containers or ():
        if not question.fits(each.name, each.app or "", host, each.image, verbs, _("Container")):
            continue
        path, name = f"/hosts/{live.host.id}", quote(each.name, safe="")
        listed = f"/containers?host={live.host.id}&q={name}"
        words = f"{each.app or ''} {each.image} {host}"
        logs = f"{path}/logs?container={name}"
        yield Found("container", each.name, logs if reads else listed, f"{host}, {each.status}", words)
        if reads:
            yield Found("action", _("Logs of %(name)s", name=each.name), logs, host, words)
        if opens and each.is_running:
            at = f"{path}/terminal?container={name}"
            yield Found("action", _("Terminal in %(name)s", name=each.name), at, host, words)
        for verb in (("restart", "stop") if each.is_running else ("start",)) if acts else ():
            label = _(VERBS[verb], name=each.name)
            asks = _(STOPS_IT, name=each.name) if verb == "stop" else ""
            yield Found("action", label, f"{path}/containers/{segment(each.name)}/{verb}", host, words, {}, asks)


async def stacks(roci: Roci, who: Actor, question: Question) -> Iterable[Found]:
    rows = await roci.read(applications.all_) if question.words else ()
    return [one for row in rows for one in _of_application(roci, who, row)]


def _of_application(roci: Roci, who: Actor, row: Application) -> Iterator[Found]:
    path, on, word = f"/applications/{row.id}", f"application/{row.id}", _("Application")
    if not roci.may(who, "applications.read", on):
        return
    yield Found("application", row.name, path, _(row.status), f"{row.description} stack")
    if roci.may(who, "applications.deploy"):
        if row.status != "deploying":
            yield Found("action", _("Deploy %(name)s", name=row.name), f"{path}/deploy", word, form={})
        for verb in ("restart", "stop") if row.status == "running" else ("start",) if row.status == "stopped" else ():
            if row.deployed_host_id:
                label = _(VERBS[verb], name=row.name)
                asks = _(STOPS_ALL, name=row.name) if verb == "stop" else ""
                yield Found("action", label, f"{path}/{verb}", word, form={"back": path}, asks=asks)
    if row.deployed_host_id and roci.may(who, "containers.logs", on):
        yield Found("action", _("Logs of %(name)s", name=row.name), f"{path}/logs", word)
    if roci.may(who, "applications.write"):
        yield Found("action", _("Edit %(name)s", name=row.name), f"{path}/edit", word, "compose change")


@hookimpl
def register_finders(roci: Roci) -> list[Finder]:
    return [
        Finder("pages", pages),
        Finder("hosts", hosts),
        Finder("containers", containers),
        Finder("applications", stacks),
    ]
