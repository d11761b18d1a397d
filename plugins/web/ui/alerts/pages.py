"""/alerts: what is wrong now, what was, and the bell in the header of every page. Rules, channels and quiet hours are
modules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from quart import Blueprint, g, make_response, render_template, request

from roci import Actor, now

from ....domain import alerts, notices
from ....domain.alerts import SEVERITIES, Alert
from ....domain.hostkeys import resource
from ....surfaces.http import actor, needs, require, roci, server, signed_in, uuid
from ....work import alerts as judge
from ....work.alerts.live import Judge
from ... import shell
from ...forms import done, is_https, local_path, sent
from ...language import _
from .. import lists, shown
from . import channels, quiet, words
from . import rules as alert_rules

routes = Blueprint("alerts", __name__, url_prefix="/alerts")
for part in (alert_rules, channels, quiet):
    routes.register_blueprint(part.routes)
PER_PAGE = 50
MOST_OPEN = 200
SEEN = "roci_alerts_seen"  # when this browser looked at them last, in milliseconds
A_YEAR = 365 * 24 * 3600
RANK = {severity: -rank for rank, severity in enumerate(SEVERITIES)}  # the worst first
TYPES = (*alerts.CONDITIONS, *alerts.METRICS)


# --- the bell ----------------------------------------------------------------


@dataclass(frozen=True)
class Bell:
    """How many alerts are open; `unread`: those that came since this browser looked."""

    count: int
    unread: int
    is_bad: bool


@routes.app_template_global("alert_bell")
def bell() -> Bell:
    """From memory: every page has it."""
    judge = server().find(Judge)
    found = list(judge.board.open.values()) if judge else []
    seen = _seen()
    unread = sum(each.since.timestamp() > seen for each in found)
    return Bell(len(found), unread, any(each.severity == "critical" for each in found))


def _seen() -> float:
    if "alerts_seen" in g:
        return float(g.alerts_seen)
    text = request.cookies.get(SEEN, "")
    return int(text) / 1000 if text.isascii() and text.isdecimal() and len(text) < 15 else 0.0


async def _looked(answer: Any) -> Any:
    """This browser has seen what there is now."""
    response = await make_response(answer)
    response.set_cookie(
        SEEN, str(int(g.alerts_seen * 1000)), max_age=A_YEAR, httponly=True, samesite="Lax", secure=is_https(), path="/"
    )
    return response


@routes.get("/bell")
@needs("alerts.read")
async def ring() -> Any:
    """The bell alone. `?on=alerts`: the page under it shows them, so nothing of them is unread."""
    if request.args.get("on") != "alerts":
        return await render_template("ui/bell.html")
    g.alerts_seen = now().timestamp()
    return await _looked(await render_template("ui/bell.html"))


# --- alerts ------------------------------------------------------------------


@routes.get("")
@signed_in
async def index() -> Any:
    """What is wrong, the worst first, and what was; of one host, type or severity where asked."""
    host_id = uuid(request.args["host"]) if request.args.get("host") else None
    await require("alerts.read", resource(host_id) if host_id else "")
    wanted = {"type": _one_of("type", TYPES), "severity": _one_of("severity", SEVERITIES)}
    g.alerts_seen = now().timestamp()
    part, who = request.args.get("part"), await actor()
    open_, count, past = list[Alert](), 0, lists.Leaf[Alert]([], 0, 1, 1)
    if part != "past":
        open_, count = await roci.read(alerts.list_, "active", host_id, MOST_OPEN, **wanted)
    if part != "open":
        past = await lists.leaf_of(lambda *at: roci.read(alerts.list_, "resolved", host_id, *at, **wanted), PER_PAGE)
    page = await shell.render(
        "alerts/alerts.html",
        _("Alerts"),
        ("alerts", "channel", "beats"),
        styles=("alerts.css",),
        open=sorted(open_, key=lambda each: RANK.get(each.severity, 0)),
        more=count - len(open_),
        past=past.rows,
        total=past.total,
        number=past.number,
        last=past.last,
        wanted={**wanted, "host": host_id},
        hosts=shown.choosable(server(), who),
        is_untold=server().may(who, "channels.list") and not await roci.read(channels.exists),
        types=TYPES,
        severities=SEVERITIES,
        moment_of=moment_of,
        words=words,
        tone=shown.tone,
    )
    return await _looked(page)


def _one_of(name: str, known: Any) -> str | None:
    """What the address asks for, where it is something there is."""
    given = request.args.get(name)
    return given if given in known else None


def moment_of(alert: Alert, who: Actor) -> list[tuple[str, str]]:
    """Where to look: (`logs` or `metrics`, the address of that moment)."""
    at = alert.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    on = resource(alert.host_id)
    if alert.type.startswith("container_") and roci.may(who, "containers.logs", on):
        return [("logs", f"/logs?host={alert.host_id}&container={quote(alert.subject, safe='')}&at={at}")]
    is_measured = alert.type in ("cpu", "memory", "disk", "network", "disk_forecast")
    if is_measured and roci.may(who, "metrics.read", on):
        return [("metrics", f"/hosts/{alert.host_id}/metrics?at={at}")]
    return []


@routes.get("/<id>")
@signed_in
async def show(id: str) -> Any:
    """One alert, where notices lead: what is wrong, where to look, who was told."""
    found = await roci.read(Alert.get_or_none, Alert.id == id)
    await require("alerts.read", resource(found.host_id) if found else "")
    row = await roci.read(alerts.get, id)
    sees_channels = server().may(await actor(), "channels.list")
    told = await roci.read(notices.of_alert, id) if sees_channels else None
    return await shell.render(
        "alerts/alert.html",
        words.kind(row.type),
        ("alerts", "beats"),
        styles=("alerts.css",),
        row=row,
        told=None if told is None else [(each, notices.read(each)) for each in told],
        states=channels.STATES,
        tones=channels.TONES,
        moment_of=moment_of,
        words=words,
        tone=shown.tone,
    )


@routes.post("/<id>/resolve")
@signed_in
async def resolve(id: str) -> Any:
    """End an alert by hand, and go back to where that was pressed."""
    form = await sent()
    row = await roci.read(Alert.get_or_none, Alert.id == id)
    await require("alerts.resolve", resource(row.host_id) if row else "")
    found = await judge.resolve(server(), id)
    return done(
        local_path(form.get("next") or "/alerts"),
        _("%(what)s on %(host)s was resolved", what=words.kind(found.type), host=found.hostname),
    )
