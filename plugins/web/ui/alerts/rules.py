"""/alerts/rules: thresholds of hosts, tried on the last day before they hold, and what is judged without them."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, request

from roci import Actor, Invalid, RociError

from ....core import configured
from ....domain import alerts
from ....domain.alerts import METRICS, NewThreshold, Threshold
from ....domain.hostkeys import resource
from ....surfaces.http import actor, require, roci, server, signed_in, uuid
from ....work import alerts as judge
from ....work.alerts import replay
from ....work.alerts.rules import value_of
from ....work.alerts.settings import MEANINGS, AlertSettings
from ....work.metrics import Metrics
from ... import shell
from ...forms import done, sent
from ...language import N_, _
from .. import fields, shown
from . import words

routes = Blueprint("rules", __name__, url_prefix="/rules")
HERE = "/alerts/rules"
UNITS = {"s": 1, "min": 60, "h": 3600}
PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
NEW = {
    "metric_type": "cpu",
    "comparison": "gt",
    "threshold_value": "90",
    "for_amount": "5",
    "for_unit": "min",
    "hysteresis": "5",
}
PERCENT = ("cpu", "memory", "disk")
NAMES = ("metric_type", "comparison", "threshold_value", "for_seconds", "hysteresis", "hosts")


@dataclass(frozen=True)
class Row:
    """A rule with its host, and what that measures now."""

    rule: Threshold
    host: str
    words: str
    now: str
    resource: str


@dataclass(frozen=True)
class Tried:
    """What a rule would have raised on a host in the last day; None: nothing is known."""

    host: str
    found: list[replay.Episode] | None


def _rows(found: list[Threshold]) -> list[Row]:
    here = {row.id: row for row in shown.host_rows(server())}
    rows = []
    for rule in found:
        host = here.get(rule.host_id)
        sample = server().part(Metrics).latest(rule.host_id) if host and host.state == "online" else None
        value = value_of(rule.metric_type, sample, None) if sample else None
        said = words.amount(rule.metric_type, value)
        rows.append(Row(rule, host.name if host else "", words.rule(rule), said, resource(rule.host_id)))
    return sorted(rows, key=lambda row: (row.host.lower(), row.rule.metric_type, row.rule.threshold_value))


async def _of(id: str, permission: str) -> Threshold:
    """A rule, for who has this right on its host. Ids that are none tell nobody anything."""
    row = await roci.read(Threshold.get_or_none, Threshold.id == id)
    await require(permission, resource(row.host_id) if row else "")
    return await roci.read(alerts.threshold, id)


@routes.get("")
@signed_in
async def index() -> Any:
    """All rules by host, or those of `?host=`; the form for a new one; the conditions."""
    return await _index(NEW, [request.args["host"]] if request.args.get("host") else [])


def _ruled(who: Actor) -> list[shown.Choice]:
    """The hosts that somebody may give rules to, by name."""
    return [row for row in shown.choosable(server(), who) if server().may(who, "thresholds.create", resource(row.id))]


async def _index(
    given: dict[str, str], chosen: list[str], wrong: dict[str, str] | None = None, tried: list[Tried] | None = None
) -> Any:
    host_id = uuid(request.args["host"]) if request.args.get("host") else None
    await require("thresholds.list", resource(host_id) if host_id else "")
    found = await roci.read(alerts.thresholds, host_id)
    who, part = await actor(), request.args.get("part")
    sees_conditions = part is None and server().may(who, "alerts.read")
    page = await shell.render(
        "alerts/rules.html",
        _("Rules"),
        ("alerts", "hosts", "beats"),
        styles=("alerts.css",),
        rows=_rows(found),
        hosts=_ruled(who),
        narrowed=host_id,
        given=given,
        chosen=chosen,
        wrong=wrong or {},
        tried=tried,
        conditions=await _conditions(server().section(AlertSettings)) if sees_conditions else [],
        metrics=METRICS,
        units=UNITS,
        words=words,
    )
    return page, 422 if wrong else 200


async def _conditions(settings: AlertSettings) -> list[dict[str, Any]]:
    """What is judged without rules, each with its settings and where these come from."""
    sections = await asyncio.to_thread(configured.all_, server())
    mine = {each.path: each for section in sections if section.name == "alerts" for each in section.settings}
    return [
        {
            "type": name,
            "severity": severity,
            "is_on": name not in settings.ignore,
            "without": settings.hosts_without(name),
            "settings": [mine[f"alerts.{key}"] for key in keys],
        }
        for name, (severity, _meaning, keys) in MEANINGS.items()
    ]


@routes.post("")
@signed_in
async def add() -> Any:
    """Add a rule to each host that is ticked; or only tell what it would have raised there, where `try` is pressed."""
    form = await sent()
    given = {name: form.get(name, "") for name in NEW}
    chosen = form.getlist("hosts")
    try:
        hosts = [uuid(each) for each in chosen]
        for each in hosts:
            await require("thresholds.create", resource(each))
        new = read(form)
        if not hosts:
            raise Invalid(f"hosts: {_('tick at least one')}")
        if form.get("then") == "try":
            return await _index(given, chosen, tried=[await _try(new, each) for each in hosts])
        count = await judge.add_thresholds(server(), new, hosts)
    except RociError as error:
        if error.status in (401, 403):
            raise
        return await _index(given, chosen, fields.wrong_in(error, NAMES))
    return done(HERE, _("The rule was added to %(count)s hosts", count=count) if count > 1 else _("The rule was added"))


async def _try(new: NewThreshold, host_id: str) -> Tried:
    await require("metrics.read", resource(host_id))
    values = dataclasses.asdict(dataclasses.replace(new, host_id=host_id))
    names = {row.id: row.name for row in shown.choosable(server(), await actor())}
    return Tried(names.get(host_id, host_id), await replay.last_day(server(), Threshold(**values)))


def read(form: Any) -> NewThreshold:
    """The rule that a form describes, of no host yet. Raises Invalid, with the field."""
    new = NewThreshold(
        "",
        form.get("metric_type", ""),
        _number("threshold_value", form.get("threshold_value", "")),
        form.get("comparison", ""),
        form.get("enabled", "yes") == "yes",
        round(_number("for_seconds", form.get("for_amount") or "0") * UNITS.get(form.get("for_unit", "s"), 1)),
        _number("hysteresis", form.get("hysteresis") or "0"),
    )
    alerts.check(dataclasses.asdict(new))
    if new.metric_type in PERCENT and new.threshold_value > 100:
        raise Invalid(f"threshold_value: {_('at most 100: it is a part of what there is')}")
    return new


def _number(name: str, text: str) -> float:
    """A number, with k, M or G behind it where it is a large one."""
    text = text.strip().replace(",", ".")
    factor = PREFIXES.get(text[-1:], 1.0)
    try:
        return float(text.rstrip("kMG") if factor > 1 else text) * factor
    except ValueError:
        raise Invalid(f"{name}: {_('a number is needed')}") from None


@routes.post("/copy")
@signed_in
async def copy() -> Any:
    """Give the rules of one host, or one rule, to other hosts."""
    form = await sent()
    targets = [uuid(each) for each in form.getlist("hosts")]
    for each in targets:
        await require("thresholds.create", resource(each))
    if form.get("from"):
        source = uuid(form["from"])
        await require("thresholds.list", resource(source))
        ids = [row.id for row in await roci.read(alerts.thresholds, source)]
    else:
        ids = [(await _of(form.get("id", ""), "thresholds.list")).id]
    if not targets:
        raise Invalid(_("tick at least one host to copy to"))
    count = await judge.copy_thresholds(server(), ids, targets)
    if not count:
        return done(HERE, _("Nothing to copy: they have these rules already"))
    return done(HERE, _("1 rule was added") if count == 1 else _("%(count)s rules were added", count=count))


# --- one rule ----------------------------------------------------------------


@routes.get("/<id>")
@signed_in
async def show(id: str) -> Any:
    """One rule: its form, what it would have raised in the last day, and where it can be copied to."""
    row = await _of(id, "thresholds.list")
    return await _show(row, _given(row))


def _given(row: Threshold) -> dict[str, str]:
    size, unit = next((size, unit) for unit, size in reversed(UNITS.items()) if row.for_seconds % size == 0)
    return {
        "metric_type": row.metric_type,
        "comparison": row.comparison,
        "threshold_value": words.typed(row.metric_type, row.threshold_value),
        "for_amount": words.number(row.for_seconds / size),
        "for_unit": unit if row.for_seconds else "min",
        "hysteresis": words.typed(row.metric_type, row.hysteresis),
    }


async def _show(row: Threshold, given: dict[str, str], wrong: dict[str, str] | None = None) -> Any:
    who, told = await actor(), _rows([row])[0]
    tries = not request.args.get("part") and server().may(who, "metrics.read", resource(row.host_id))
    page = await shell.render(
        "alerts/rule.html",
        told.host,
        ("alerts", "hosts", "beats"),
        styles=("alerts.css",),
        row=told,
        given=given,
        wrong=wrong or {},
        tried=[Tried(told.host, await replay.last_day(server(), row))] if tries else None,
        others=[each for each in _ruled(who) if each.id != row.host_id],
        metrics=METRICS,
        units=UNITS,
        words=words,
    )
    return page, 422 if wrong else 200


@routes.post("/<id>")
@signed_in
async def change(id: str) -> Any:
    """Change a rule. What it had raised is resolved, and the next sample is judged anew."""
    row = await _of(id, "thresholds.update")
    form = await sent()
    try:
        new = dataclasses.asdict(read(form))
        await judge.change_threshold(
            server(), id, **{name: new[name] for name in alerts.CHANGEABLE if name != "enabled"}
        )
    except Invalid as error:
        return await _show(row, {name: form.get(name, "") for name in NEW}, fields.wrong_in(error, NAMES))
    return done(HERE, _("The rule was changed"))


@routes.post("/<id>/<action>")
@signed_in
async def act(id: str, action: str) -> Any:
    """Switch a rule on or off, remove it, or send a test notice to whom it would tell."""
    await sent()
    if action == "test":
        await _of(id, "thresholds.list")
        await require("channels.test")
        names = await judge.rehearse(server(), id)
        if not names:
            return done(HERE, _("Nobody would be told: no channel takes a warning about this host"))
        return done(HERE, _("A test notice is on its way to %(names)s", names=", ".join(names)))
    if action == "remove":
        await _of(id, "thresholds.delete")
        await judge.remove_threshold(server(), id)
        return done(HERE, _("The rule was removed"))
    await _of(id, "thresholds.update")
    if action not in SWITCHES:
        raise Invalid(_("a rule can be switched on or off, tested or removed"))
    is_on, said = SWITCHES[action]
    await judge.change_threshold(server(), id, enabled=is_on)
    return done(HERE, _(said))


SWITCHES = {"on": (True, N_("The rule is on")), "off": (False, N_("The rule is off"))}
