"""/api/v1/alerting: what is or was wrong with hosts, the rules that people set, and what is judged without them."""

from __future__ import annotations

from typing import Any, Literal, cast

from quart import Blueprint, request

from roci import Malformed, NotFound

from ...domain import alerts
from ...domain.alerts import Alert, NewThreshold, Threshold
from ...domain.hostkeys import resource
from ...work import alerts as judge
from ...work.alerts.settings import AlertSettings
from ..http import accepts, needs, paging, raises, require, returns, roci, signed_in, uuid
from . import alert_shapes as wire
from . import shapes

routes = Blueprint("alerting", __name__, url_prefix="/alerting")


def _host() -> str | None:
    """The host that the query narrows to. Raises Malformed."""
    given = request.args.get("agent_id")
    return None if given is None else uuid(given)


def _on(host_id: str | None) -> str:
    """Where a right is asked: on one host, or for all of ROCI."""
    return resource(host_id) if host_id else ""


async def _at(model: type[Alert | Threshold], id: str) -> str:
    """The same, for what belongs to a host. What is not there is asked for everywhere: ids tell nobody anything."""
    row = await roci.read(model.get_or_none, model.id == id)
    return _on(row.host_id if row else None)


async def _known_rule(id: str) -> None:
    await require("thresholds.update", await _at(Threshold, id))
    await roci.read(alerts.threshold, id)


# --- alerts ------------------------------------------------------------------


@routes.get("/alerts")
@signed_in
@returns(wire.Alerts, paged=True, query={"status": "string", "agent_id": "string"})
async def index() -> Any:
    """List alerts, newest first: active, resolved, or all. At most 100, unless a limit is given."""
    host_id, status = _host(), request.args.get("status", "all")
    await require("alerts.read", _on(host_id))
    limit, offset = paging()
    if status not in ("all", "active", "resolved"):
        raise Malformed("status: one of active, resolved, all")
    which = cast(Literal["all", "active", "resolved"], status)
    rows, total = await roci.read(alerts.list_, which, host_id, 100 if limit is None else limit, offset)
    return {"alerts": [wire.alert(row) for row in rows], "total": total}


@routes.get("/alerts/<id>")
@signed_in
@returns(wire.AlertOut)
async def show(id: str) -> Any:
    """Get one alert."""
    await require("alerts.read", await _at(Alert, id))
    return wire.alert(await roci.read(alerts.get, id))


@routes.post("/alerts/<id>/resolve")
@signed_in
@returns(wire.AlertOut)
async def resolve(id: str) -> Any:
    """End an alert. A rule that is still violated opens a new one with the next sample."""
    await require("alerts.resolve", await _at(Alert, id))
    return wire.alert(await judge.resolve(roci, id))


# --- what they are judged by -------------------------------------------------


@routes.get("/conditions")
@needs("alerts.read")
@returns(wire.Conditions)
async def conditions() -> Any:
    """What is judged without rules, and by which settings."""
    found = wire.conditions(roci.section(AlertSettings))
    return {"conditions": found, "total": len(found)}


@routes.get("/rules")
@signed_in
@returns(wire.Rules, paged=True, query={"agent_id": "string"})
async def rules() -> Any:
    """List rules, oldest first."""
    host_id = _host()
    await require("thresholds.list", _on(host_id))
    limit, offset = paging()
    rows = await roci.read(alerts.thresholds, host_id)
    return {"rules": [wire.rule(row) for row in shapes.page(rows, limit, offset)], "total": len(rows)}


@routes.post("/rules")
@signed_in
@accepts(wire.NewRule)
@returns(wire.RuleOut, status=201)
@raises(NotFound)
async def add(new: wire.NewRule) -> Any:
    """Add a rule: alert when a host's metric is above (gt) or below (lt) a value.

    cpu, memory and disk (the fullest) are percents, network is bytes a second, service is 1 while the host is offline.
    """
    await require("thresholds.create", _on(new.agent_id))
    values = new.model_dump(exclude={"agent_id"})
    return wire.rule(await judge.add_threshold(roci, NewThreshold(new.agent_id, **values))), 201


@routes.get("/rules/<id>")
@signed_in
@returns(wire.RuleOut)
async def rule(id: str) -> Any:
    """Get one rule."""
    await require("thresholds.list", await _at(Threshold, id))
    return wire.rule(await roci.read(alerts.threshold, id))


@routes.route("/rules/<id>", methods=["PUT", "PATCH"])
@signed_in
@accepts(wire.RuleChanges, of=_known_rule)
@returns(wire.RuleOut)
async def change(body: wire.RuleChanges, id: str) -> Any:
    """Change a rule. What it had raised is resolved, and the next sample is judged anew."""
    changes = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
    return wire.rule(await judge.change_threshold(roci, id, **changes))


@routes.delete("/rules/<id>")
@signed_in
@returns(shapes.Done)
async def remove(id: str) -> Any:
    """Delete a rule. What it had raised is resolved."""
    await require("thresholds.delete", await _at(Threshold, id))
    await judge.remove_threshold(roci, id)
    return shapes.done("Rule deleted")
