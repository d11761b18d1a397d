"""/activity: operations and the audit on one time axis, for who may read them; the newest first, live."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from quart import Blueprint, request

from roci import Malformed, now

from ....domain import activity, applications
from ....domain.activity import OUTCOMES, START, Asked, Entry, Mark
from ....domain.applications import Application
from ....domain.operations import Operation
from ....surfaces.http import actor, moment, needs, server
from ... import shell
from ...language import N_, _
from .. import lists, shown
from . import acts, doings

routes = Blueprint("activity", __name__, url_prefix="/activity")
PER_PAGE = 50
KINDS = {"operations": N_("Operations"), "audit": N_("Audit")}
LATELY = {
    "1h": (N_("last hour"), datetime.timedelta(hours=1)),
    "24h": (N_("last 24 hours"), datetime.timedelta(days=1)),
    "7d": (N_("last 7 days"), datetime.timedelta(days=7)),
    "30d": (N_("last 30 days"), datetime.timedelta(days=30)),
}
RESULTS = {
    "done": N_("succeeded"),
    "failed": N_("failed"),
    "refused": N_("refused"),
    "cancelled": N_("cancelled"),
    "running": N_("running"),
}
TONES = {"failed": "bad", "refused": "bad", "running": "busy", "cancelled": "plain", "done": "plain"}
EXPORTED = {"who": "actor", "action": "action", "outcome": "outcome", "q": "q"}  # our names and the export's
GIVEN = ("kind", "q", "who", "host", "application", "action", "outcome", "last", "since", "until")


@dataclass(frozen=True)
class Line:
    """An entry as the page shows it."""

    id: str
    at: datetime.datetime
    said: str
    path: str
    kind: str  # operation, audit
    outcome: str
    who: str
    via: str
    address: str
    detail: str
    host: tuple[str, str] | None  # id and name
    application: tuple[str, str] | None
    changes: list[acts.Change]
    took: str = ""

    @property
    def tone(self) -> str:
        return TONES[self.outcome]

    @property
    def day(self) -> str:
        return f"{self.at:%Y-%m-%d}"


@routes.get("")
@needs("operations.read")
async def index() -> Any:
    """The newest first, or what is older than `?before=`; only some of it, where the address says so."""
    given = {name: lists.asked(name) for name in GIVEN}
    asked, mark = _asked(given), _mark(request.args.get("before", ""))
    here, who = server(), await actor()
    may_see_audit = here.may(who, "audit.read")
    found, known = await here.read(_read, asked, may_see_audit, mark)
    apps = {app.id: app.name for app in shown.readable(here, who, known)}
    names = shown.names(shown.hosts(here, who))
    return await shell.render(
        "activity/activity.html",
        _("Activity"),
        ("any",),
        scripts=("filters.js", "activity.js"),
        styles=("activity.css",),
        lines=[_line(each, names | apps) for each in found.entries],
        looked_until=found.looked_until,
        older=lists.link(before=_text(found.further)) if found.further else "",
        newest=lists.link(before=None),
        is_first=mark is START,
        given=given,
        is_narrow=any(given[name] for name in ("who", "host", "application", "action", "since", "until")),
        may_see_audit=may_see_audit,
        export=_export(given, asked),
        kinds=KINDS,
        lately={name: label for name, (label, _span) in LATELY.items()},
        results=RESULTS,
        hosts=sorted((name, id) for id, name in names.items()),
        applications=sorted((name, id) for id, name in apps.items()),
        actions=doings.KINDS,
    )


def _read(asked: Asked, with_audit: bool, mark: Mark) -> tuple[activity.Page, list[Application]]:
    return activity.page(asked, with_audit, mark, PER_PAGE), applications.all_()


# --- what was asked ----------------------------------------------------------


def _asked(given: dict[str, str]) -> Asked:
    """Raises Malformed, which names the field."""
    for name, allowed in (("kind", KINDS), ("outcome", OUTCOMES), ("last", LATELY)):
        if given[name] and given[name] not in allowed:
            raise Malformed(f"{name}: one of {', '.join(allowed)}")
    since = moment("since", given["since"]) if given["since"] else None
    if given["last"]:
        since = now() - LATELY[given["last"]][1]
    return Asked(
        kind=given["kind"],
        who=given["who"],
        host_id=given["host"],
        application_id=given["application"],
        action=given["action"],
        outcome=given["outcome"],
        text=given["q"],
        since=since,
        until=moment("until", given["until"]) if given["until"] else None,
    )


def _text(mark: Mark) -> str:
    return f"{mark.at.isoformat()}~{mark.seq}~{mark.operation_id}"


def _mark(text: str) -> Mark:
    """A place that a link of an earlier page named. Raises Malformed."""
    if not text:
        return START
    at, seq, operation_id = [*text.split("~", 2), "", ""][:3]
    if not (seq.isascii() and seq.isdecimal() and len(seq) < 19):
        raise Malformed("before: as a link of this page has it")
    return Mark(moment("before", at), int(seq), operation_id)


def _export(given: dict[str, str], asked: Asked) -> str:
    """The audit as a file, of what is asked for as far as the export can tell it apart."""
    wanted = {theirs: given[ours] for ours, theirs in EXPORTED.items() if given[ours]}
    times = {"since": asked.since, "until": asked.until}
    wanted |= {name: at.isoformat() for name, at in times.items() if at}
    return f"/api/v1/audit?{urlencode({'format': 'csv', **wanted})}"


# --- what is shown -----------------------------------------------------------


def _line(entry: Entry, names: dict[str, str]) -> Line:
    if entry.operation is not None:
        return _operation(entry.operation, names)
    event = entry.event
    assert event is not None
    host, application = acts.ids(event)
    return Line(
        id=f"event-{event.seq}",
        at=entry.at,
        said=acts.said(event, names),
        path=acts.path(event, names),
        kind="audit",
        outcome=event.outcome if event.outcome in TONES else "done",
        who=event.actor_name,
        via=event.via,
        address=event.address,
        detail=acts.detail(event),
        host=(host, names[host]) if host in names else None,
        application=(application, names[application]) if application in names else None,
        changes=acts.changes(event),
    )


def _operation(row: Operation, names: dict[str, str]) -> Line:
    application = row.application_id or ""
    return Line(
        id=f"operation-{row.id}",
        at=row.created_at,
        said=_("%(what)s on %(host)s", what=doings.title(row), host=row.hostname),
        path=f"/operations/{row.id}",
        kind="operation",
        outcome=next((name for name, statuses in OUTCOMES.items() if row.status in statuses), "done"),
        who=row.actor_name,
        via=row.via,
        address=row.address,
        detail=row.reason if shown.tone(row.status) == "bad" else "",
        host=(row.host_id, row.hostname) if row.host_id in names else None,
        application=(application, names[application]) if application in names else None,
        changes=[],
        took=doings.took(row),
    )
