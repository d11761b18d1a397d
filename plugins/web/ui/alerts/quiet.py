"""/alerts/quiet: when notices wait, week by week or until a moment; and what waits now."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from quart import Blueprint, request

from roci import Invalid, NotFound, now

from ....domain import notices, quiet
from ....domain.channels import SEVERITIES
from ....domain.quiet import NewQuietHours, QuietHours
from ....surfaces.http import actor, needs, roci, server
from ... import shell
from ...forms import done, sent
from ...language import N_, _
from .. import fields, shown
from . import words

routes = Blueprint("quiet", __name__, url_prefix="/quiet")
HERE = "/alerts/quiet"
DAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
MORNING = datetime.time(7)
NAMES = ("name", "days", "from", "to", "time_zone", "until", "passes", "host_ids")
SHOWN = 50


@dataclass(frozen=True)
class Row:
    """Quiet hours in words; `open_until`: when those that reign now end."""

    row: QuietHours
    when: str
    open_until: datetime.datetime | None
    is_past: bool


def _row(row: QuietHours) -> Row:
    moment = now()
    until = quiet.ending(row, moment) if row.enabled else None
    return Row(row, _when(row), until, row.until is not None and row.until <= moment)


def _when(row: QuietHours) -> str:
    if row.until is not None:
        return ""
    days = _("every day") if len(row.days) == 7 else ", ".join(_(DAYS[day]) for day in row.days)
    return _("%(days)s, %(start)s to %(end)s (%(zone)s)", days=days, start=row.starts, end=row.ends, zone=row.zone)


def _blank(zone: str) -> dict[str, Any]:
    return {"name": "", "days": list(range(7)), "from": "22:00", "to": "07:00", "time_zone": zone} | {
        "until": "",
        "passes": ["critical"],
        "hosts": [],
    }


@routes.get("")
@needs("quiet-hours.list")
async def index() -> Any:
    """All of them, one click for a while of quiet, and what waits."""
    return await _index()


async def _index(given: dict[str, Any] | None = None, wrong: dict[str, str] | None = None) -> Any:
    rows = [_row(row) for row in await roci.read(quiet.all_)]
    zone = next((each.row.zone for each in rows if each.row.until is None), "UTC")
    sees = server().may(await actor(), "channels.list")
    waits, count = await roci.read(notices.held, SHOWN) if sees else ([], 0)
    page = await shell.render(
        "alerts/quiet.html",
        _("Quiet hours"),
        ("alerts", "quiet_hours", "beats"),
        styles=("alerts.css",),
        scripts=("alerts.js",),
        rows=sorted(rows, key=lambda each: (each.is_past, each.row.until is None)),
        waits=[(each, notices.read(each)) for each in waits],
        count=count,
        given=given or _blank(zone),
        wrong=wrong or {},
        zone=zone,
        **await _choices(),
    )
    return page, 422 if wrong else 200


async def _choices() -> dict[str, Any]:
    return {
        "hosts": shown.choosable(server(), await actor()),
        "days": [_(day) for day in DAYS],
        "severities": SEVERITIES,
        "words": words,
    }


def _typed(form: Any) -> dict[str, Any]:
    """The form as it was typed."""
    return {
        **{name: form.get(name, "") for name in ("name", "from", "to", "time_zone", "until")},
        "days": [int(day) for day in form.getlist("days") if day in tuple("0123456")],
        "passes": form.getlist("passes"),
        "hosts": form.getlist("hosts"),
    }


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """What is typed, as the domain calls it. Raises Invalid."""
    return {
        "name": given["name"],
        "days": given["days"],
        "starts": given["from"],
        "ends": given["to"],
        "zone": given["time_zone"],
        "until": _moment(given["until"], given["time_zone"]) if given["until"] else None,
        "passes": given["passes"],
        "host_ids": given["hosts"],
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Invalid(f"time_zone: {_('there is no such time zone, as Europe/Berlin is one')}") from None


def _moment(text: str, zone: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text).replace(tzinfo=_zone(zone)).astimezone(datetime.UTC)
    except ValueError:
        raise Invalid(f"until: {_('a day and a time are needed')}") from None


@routes.post("")
@needs("quiet-hours.create")
async def add() -> Any:
    """Let notices wait at these hours of the week."""
    given = _typed(await sent())
    try:
        await roci.write(quiet.add, NewQuietHours(**_values(given)))
    except Invalid as error:
        return await _index(given, fields.wrong_in(error, NAMES))
    return done(HERE, _("The quiet hours were added"))


@routes.post("/until")
@needs("quiet-hours.create")
async def until() -> Any:
    """Quiet from now on: for some hours, or until the next morning of a time zone."""
    form = await sent()
    end = _end(form.get("for", ""), _zone(form.get("time_zone") or "UTC"))
    passes = [] if form.get("all") == "yes" else ["critical"]
    await roci.write(quiet.add, NewQuietHours(_("Quiet for now"), until=end, passes=passes))
    return done(HERE, _("It is quiet now"))


def _end(length: str, zone: ZoneInfo) -> datetime.datetime:
    moment = now()
    if length == "morning":
        local = moment.astimezone(zone)
        today = datetime.datetime.combine(local.date(), MORNING, zone)
        later = datetime.datetime.combine(local.date() + datetime.timedelta(days=1), MORNING, zone)
        return (today if today > local else later).astimezone(datetime.UTC)
    if not (length.isascii() and length.isdecimal() and len(length) < 4 and 0 < int(length) <= 168):
        raise Invalid(_("for: a whole number of hours, at most a week"))
    return moment + datetime.timedelta(hours=int(length))


@routes.get("/<id>")
@needs("quiet-hours.list")
async def show(id: str) -> Any:
    """The form to change them."""
    row = await roci.read(quiet.get, id)
    local = row.until.astimezone(ZoneInfo(row.zone)) if row.until else None
    given = {
        "name": row.name,
        "days": row.days,
        "from": row.starts,
        "to": row.ends,
        "time_zone": row.zone,
        "until": local.strftime("%Y-%m-%dT%H:%M") if local else "",
        "passes": row.passes,
        "hosts": row.host_ids,
    }
    return await _show(row, given)


async def _show(row: QuietHours, given: dict[str, Any], wrong: dict[str, str] | None = None) -> Any:
    page = await shell.render(
        "alerts/quiet_one.html",
        row.name,
        styles=("alerts.css",),
        scripts=("alerts.js",),
        row=row,
        given=given,
        wrong=wrong or {},
        **await _choices(),
    )
    return page, 422 if wrong else 200


@routes.post("/<id>")
@needs("quiet-hours.update")
async def change(id: str) -> Any:
    """Change them; what they hold is looked at anew."""
    given = _typed(await sent())
    row = await roci.read(quiet.get, id)
    try:
        await roci.write(lambda: quiet.change(id, **_values(given)))
    except Invalid as error:
        return await _show(row, given, fields.wrong_in(error, NAMES))
    return done(HERE, _("%(name)s was changed", name=given["name"]))


@routes.post("/<id>/<action>")
@needs("quiet-hours.update")
async def switch(id: str, action: str) -> Any:
    """Switch them on or off."""
    await sent()
    if action not in ("on", "off"):
        raise NotFound(_("there is nothing at %(path)s", path=request.path))
    row = await roci.write(lambda: quiet.change(id, enabled=action == "on"))
    said = _("%(name)s is on", name=row.name) if row.enabled else _("%(name)s is off", name=row.name)
    return done(HERE, said)


@routes.post("/<id>/remove")
@needs("quiet-hours.delete")
async def remove(id: str) -> Any:
    """No longer; what they held goes out now, unless others hold it too."""
    await sent()
    row = await roci.read(quiet.get, id)
    await roci.write(quiet.remove, id)
    return done(HERE, _("%(name)s was removed", name=row.name))
