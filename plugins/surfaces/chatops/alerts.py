"""/api/v1/alerts: what is or was wrong with servers, and the thresholds that people set."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import NotFound

from ...domain import alerts, hostcards
from ...domain.alerts import Alert, Threshold
from ...domain.hostkeys import resource
from ...work import alerts as judge
from ..http import accepts, raises, require, returns, roci, signed_in
from . import alert_shapes as shapes
from .query import asked, parameters, path_id

routes = Blueprint("alerts", __name__, url_prefix="/alerts")


def _of(host_id: Any) -> str:
    """Where a right is asked: for one server, or for all."""
    return resource(str(host_id)) if host_id else ""


async def _host(action: str, server_id: Any) -> str | None:
    """Which server a list or something new is for, if that may be; None: all of them."""
    host_id = str(server_id) if server_id else None
    await require(action, _of(host_id))
    if host_id:
        await roci.read(hostcards.get, host_id)
    return host_id


async def _one(action: str, model: type[Alert | Threshold], text: str) -> str:
    """The id of a path, if that may be. For what does not exist the right is asked everywhere: ids do not leak."""
    id = path_id(text, f"{model.__name__.lower()}_id")
    row = await roci.read(model.get_or_none, model.id == id)
    await require(action, _of(row and row.host_id))
    return id


@routes.get("")
@signed_in
@returns(
    list[shapes.AlertOut],
    query=parameters(shapes.Which),
)
@raises(NotFound)
async def index() -> Any:
    """Alerts, the newest first: active, resolved, or all."""
    given = asked(shapes.Which)
    host_id = await _host("alerts.read", given.server_id)
    rows, _ = await roci.read(alerts.list_, given.state, host_id, given.limit, given.skip)
    return [shapes.alert(row) for row in rows]


# --- thresholds ---


@routes.get("/thresholds")
@signed_in
@returns(list[shapes.ThresholdOut], query=parameters(shapes.OfServer))
@raises(NotFound)
async def thresholds() -> Any:
    """Of one server or of all, the oldest first."""
    rows = await roci.read(alerts.thresholds, await _host("thresholds.list", asked(shapes.OfServer).server_id))
    return [shapes.threshold(row) for row in rows]


@routes.post("/thresholds")
@signed_in
@accepts(shapes.ThresholdNew)
@returns(shapes.ThresholdOut, status=201)
@raises(NotFound)
async def add(new: shapes.ThresholdNew) -> Any:
    """Watch a metric of a server from the next sample on."""
    await _host("thresholds.create", new.server_id)
    return shapes.threshold(await judge.add_threshold(roci, shapes.new_threshold(new))), 201


@routes.put("/thresholds/<threshold_id>")
@signed_in
@accepts(shapes.ThresholdChange)
@returns(shapes.ThresholdOut, uuids=("threshold_id",))
async def change(given: shapes.ThresholdChange, threshold_id: str) -> Any:
    """Change what is given. What it had raised is resolved."""
    id = await _one("thresholds.update", Threshold, threshold_id)
    changes = given.model_dump(include=given.model_fields_set)
    return shapes.threshold(await judge.change_threshold(roci, id, **changes))


@routes.delete("/thresholds/<threshold_id>")
@signed_in
@returns(None, status=204, uuids=("threshold_id",))
async def remove(threshold_id: str) -> Any:
    """Watch it no more. What it had raised is resolved."""
    await judge.remove_threshold(roci, await _one("thresholds.delete", Threshold, threshold_id))
    return "", 204


# --- one alert ---


@routes.get("/<alert_id>")
@signed_in
@returns(shapes.AlertOut, uuids=("alert_id",))
async def show(alert_id: str) -> Any:
    """One alert."""
    return shapes.alert(await roci.read(alerts.get, await _one("alerts.read", Alert, alert_id)))


@routes.post("/<alert_id>/resolve")
@signed_in
@returns(shapes.AlertOut, uuids=("alert_id",))
async def resolve(alert_id: str) -> Any:
    """End it; once is enough. A threshold that is still violated opens another with the next sample."""
    return shapes.alert(await judge.resolve(roci, await _one("alerts.resolve", Alert, alert_id)))
