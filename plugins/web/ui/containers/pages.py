"""/containers: those of all hosts in one list; several at once are started, stopped or restarted."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from quart import Blueprint, request

from roci import Actor, Invalid, NotFound, Roci, RociError

from ....agent import terminal_wire
from ....agent.hub import Hub
from ....domain import operations
from ....domain.model import new_id
from ....domain.operations import Cause, current_cause
from ....surfaces.http import actor, needs, server
from ....work import execute
from ... import shell
from ...forms import done, on_to, sent
from ...language import N_, _
from .. import lists, shown
from . import rows as container_rows
from .rows import ContainerRow

routes = Blueprint("containers", __name__, url_prefix="/containers")
PER_PAGE = 100
MOST = PER_PAGE  # containers that something is done to at once
ILL = "ill"  # the state of those that need somebody
KEYS: dict[str, Callable[[ContainerRow], Any]] = {
    "name": lambda row: row.name.lower(),
    "state": lambda row: row.rank,
    "host": lambda row: (row.host.lower(), row.rank),
    "application": lambda row: (row.project.lower(), row.rank) if row.project else None,
    "image": lambda row: (row.image, row.rank),
}
ACTIONS = {"restart": N_("Restart"), "stop": N_("Stop"), "start": N_("Start")}
KEPT = 100  # of the latest bulk actions, what was refused


@dataclass(frozen=True)
class Refusal:
    """A container that nothing was done to, and why."""

    host: str
    name: str
    why: str


_refused: WeakKeyDictionary[Roci, OrderedDict[str, list[Refusal]]] = WeakKeyDictionary()


@routes.get("")
@needs("hosts.read")
async def index() -> Any:
    """Those that `?q=`, `?host=`, `?state=` and `?application=` ask for, what is wrong first."""
    here = server()
    whose = await here.read(container_rows.owners)
    rows = list(container_rows.everywhere(here, whose))
    hosts = sorted({(row.host, row.host_id) for row in rows})
    projects = sorted({row.project for row in rows if row.project})
    text, host, project = lists.asked(), lists.asked("host"), lists.asked("application")
    found = [row for row in rows if host in ("", row.host_id) and project in ("", row.project) and _has(row, text)]
    state, order = lists.one_of("state", (ILL, *container_rows.WORDS)), lists.order(KEYS)
    counts = Counter(row.word for row in found)
    seen = [row for row in found if state in ("", row.word) or (state == ILL and row.is_ill)]
    seen.sort(key=lambda row: (row.rank, row.host))
    return await shell.render(
        "containers/containers.html",
        _("Containers"),
        ("containers", "hosts"),
        scripts=("lists.js", "containers.js"),
        styles=("lists.css",),
        leaf=lists.leaf(lists.arranged(seen, order, KEYS), PER_PAGE),
        there_are=len(rows),
        total=len(found),
        counts={word: counts[word] for word in container_rows.WORDS if counts[word]},
        ill=sum(row.is_ill for row in found),
        hosts=hosts,
        projects=projects,
        host=host,
        project=project,
        state=state,
        order=order,
        link=lists.link,
        unknown=container_rows.unknown(here),
        controls=await _allowing(here, "containers.control", hosts),
        logs=await _allowing(here, "containers.logs", hosts),
        terminals=await _with_terminals(here, hosts),
        actions=ACTIONS,
    )


def _has(row: ContainerRow, text: str) -> bool:
    application = row.application[1] if row.application else ""
    return lists.holds(text, row.name, row.image, row.host, row.project, application, row.word, row.id)


async def _allowing(here: Roci, action: str, hosts: Iterable[tuple[str, str]]) -> set[str]:
    """The ids of those of these hosts (name and id) on which this reader may do this."""
    who = await actor()
    return {id for _name, id in hosts if here.may(who, action, f"host/{id}")}


async def _with_terminals(here: Roci, hosts: Iterable[tuple[str, str]]) -> set[str]:
    """Those of them that offer this reader a terminal."""
    allowed = [here.part(Hub).roster.get(id) for id in await _allowing(here, "hosts.terminal", hosts)]
    links = {live.host.id: live.link for live in allowed if live}
    return {id for id, link in links.items() if link and terminal_wire.CAPABILITY in link.capabilities}


@routes.post("/<action>")
@needs("hosts.read")
async def act(action: str) -> Any:
    """Do this to each container that is ticked, and lead to what became of them."""
    form, here = await sent(), server()
    if action not in ACTIONS:
        raise NotFound(_("there is nothing at %(path)s", path=request.path))
    picked = list(dict.fromkeys(form.getlist("picked")))
    if not picked or len(picked) > MOST:
        raise Invalid(_("picked: tick 1 to %(most)s containers", most=MOST))
    run_id = f"{action}-{new_id()}"
    current_cause.set(Cause(run_id))
    who = await actor()
    refused = [told for each in picked if (told := await _begun(here, who, action, each))]
    kept = _refused.setdefault(here, OrderedDict())
    kept[run_id] = refused
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return done(*await on_to(f"/containers/done/{run_id}", "/containers", _outcome(len(picked), refused)))


def _outcome(asked: int, refused: Sequence[Refusal]) -> str:
    """What became of it, for who may not read operations."""
    if not refused:
        return _("Asked of all that were ticked: this list tells when it is so")
    first, begun = refused[0], asked - len(refused)
    words = N_("Asked of %(begun)s of %(total)s; %(refused)s refused, the first of them %(name)s: %(why)s")
    return _(words, begun=begun, total=asked, refused=len(refused), name=first.name, why=first.why)


async def _begun(here: Roci, who: Actor, action: str, key: str) -> Refusal | None:
    """Begin the operation. Raises nothing of ours: one that is refused does not keep the others from it."""
    host_id, _slash, container = key.partition("/")
    live = here.part(Hub).roster.get(host_id)
    found = execute.container_called(here.part(Hub), host_id, container)
    host, name = live.host.hostname if live else host_id, found.name if found else container
    if not here.may(who, "containers.control", f"host/{host_id}"):
        return Refusal(host, name, _("you may not do this there"))
    try:
        await execute.control(here, host_id, action, container)
    except RociError as error:
        return Refusal(host, name, error.message)
    return None


@routes.get("/done/<run_id>")
@needs("operations.read")
async def show(run_id: str) -> Any:
    """What became of each, as it comes."""
    here = server()
    rows, total = await here.read(operations.list_, MOST, run_id=run_id)
    refused = _refused.get(here, OrderedDict()).get(run_id, [])
    if not rows and not refused:
        raise NotFound(_("there is nothing at %(path)s", path=request.path))
    return await shell.render(
        "containers/containers_done.html",
        _(ACTIONS.get(run_id.partition("-")[0], "Containers")),
        ("operations",),
        styles=("lists.css",),
        rows=rows,
        names={row.args["container"]: _name(here, row) for row in rows},
        refused=refused,
        total=total + len(refused),
        running=sum(row.status == "running" for row in rows),
        succeeded=sum(row.status == "succeeded" for row in rows),
        tone=shown.tone,
    )


def _name(here: Roci, row: operations.Operation) -> str:
    """What the container of an operation is called, as its host told last."""
    found = execute.container_called(here.part(Hub), row.host_id, row.args["container"])
    return found.name if found else str(row.args["container"])
