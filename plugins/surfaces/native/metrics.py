"""/api/v1/agents/{id}/metrics: what a host and its containers are doing, now and in the last month."""

from __future__ import annotations

import datetime
from typing import Any

from quart import Blueprint, Response, request

from roci import Malformed, NotFound, now

from ...agent.hub import Hub
from ...agent.sample import Sample
from ...work.metrics import MOST, Metrics
from ..http import JSON, moment, needs, returns, roci
from . import metric_shapes as shapes
from .hands import known

routes = Blueprint("metrics", __name__, url_prefix="/agents")
RANGE = {"start": "string", "end": "string", "limit": "integer", "step": "integer"}
LONGEST_STEP = 31 * 24 * 3600
HOUR = datetime.timedelta(hours=1)
Range = tuple[datetime.datetime, datetime.datetime, int, int | None]


def _range() -> Range:
    """From when to when: one hour up to now, unless the query says otherwise. Raises Malformed."""
    end = moment("end", request.args["end"]) if "end" in request.args else now()
    try:
        start = moment("start", request.args["start"]) if "start" in request.args else end - HOUR
    except OverflowError:
        raise Malformed("end: a time such as 2024-01-15T10:30:00Z") from None
    return start, end, _whole("limit", MOST) or 500, _whole("step", LONGEST_STEP)


def _whole(name: str, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not 1 <= int(text) <= most:
        raise Malformed(f"{name}: a whole number from 1 to {most}")
    return int(text)


def _is_current(id: str, sample: Sample) -> bool:
    hub = roci.part(Hub)
    age = (now() - datetime.datetime.fromisoformat(sample.timestamp)).total_seconds()
    return (live := hub.roster.get(id)) is not None and live.is_online and age <= hub.times.stale_after


@routes.get("/<id>/metrics")
@needs("metrics.read", on="host/{id}")
@returns(shapes.LatestOut)
async def show(id: str) -> Any:
    """What an agent's host was doing when it told last."""
    await known(id)
    sample = roci.part(Metrics).latest(id)
    if sample is None:
        raise NotFound("this agent has told no metrics yet")
    return Response(shapes.latest(id, _is_current(id, sample), sample), content_type=JSON)


@routes.get("/<id>/metrics/history")
@needs("metrics.read", on="host/{id}")
@returns(shapes.HistoryOut, query=RANGE)
async def history(id: str) -> Any:
    """What it did from `start` to `end`, the oldest first, without processes and containers. Averages where there are
    more than `limit`, or over `step` seconds."""
    asked = _range()
    await known(id)
    return Response(shapes.history(id, await roci.part(Metrics).history(id, *asked)), content_type=JSON)


@routes.get("/<id>/containers/<container>/metrics")
@needs("metrics.read", on="host/{id}")
@returns(shapes.ContainerHistoryOut, query=RANGE)
async def container_history(id: str, container: str) -> Any:
    """The same of one container: by its name, which outlives it, or by its id."""
    asked = _range()
    await known(id)
    found = await roci.part(Metrics).container_history(id, container, *asked)
    return Response(shapes.container_history(id, container, found), content_type=JSON)
