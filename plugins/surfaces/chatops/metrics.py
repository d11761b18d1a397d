"""/api/v1/metrics: the newest sample of a server in both shapes, its history, and samples that are sent here."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import Invalid, NotFound, now

from ...agent.hub import Hub
from ...agent.sample import Sample
from ...domain import hostcards
from ...domain.hostkeys import resource
from ...work.metrics import Metrics
from ..http import accepts, needs, raises, require, returns, roci, signed_in_or_host
from . import heartbeats
from . import metric_shapes as shapes
from .query import asked, id_is, parameters

routes = Blueprint("metrics", __name__, url_prefix="/metrics")


async def _latest(id: str) -> Sample:
    await roci.read(hostcards.get, id)
    found = roci.part(Metrics).latest(id)
    if found is None:
        raise NotFound("No metrics available for this server")
    return found


@routes.get("/<server_id>")
@id_is("server_id")
@needs("metrics.read", on="host/{id}")
@returns(shapes.Metrics)
async def show(id: str) -> Any:
    """The newest sample; its timestamp tells how old it is."""
    return shapes.flat(id, await _latest(id))


@routes.get("/<server_id>/latest")
@id_is("server_id")
@needs("metrics.read", on="host/{id}")
@returns(shapes.NestedMetrics)
async def latest(id: str) -> Any:
    """The newest sample, nested."""
    return shapes.nested(id, await _latest(id))


@routes.get("/<server_id>/history")
@id_is("server_id")
@needs("metrics.read", on="host/{id}")
@returns(list[shapes.Metrics], query=parameters(shapes.Range))
async def history(id: str) -> Any:
    """Samples from `start` to `end`, the oldest first; averaged where there are more than `limit`."""
    given = asked(shapes.Range)
    start, end = given.bounds(now())
    await roci.read(hostcards.get, id)
    try:
        found = await roci.part(Metrics).history(id, start, end, given.limit, given.step)
    except Invalid as error:
        raise Invalid(error.message, where="query") from None
    return [shapes.flat(id, each) for each in found]


@routes.post("")
@signed_in_or_host
@accepts(shapes.SentOf, nan_is_null=True)
@returns(shapes.Taken, status=201)
@raises(NotFound)
async def take(sent: shapes.SentOf) -> Any:
    """A sample of the server that the body names."""
    await require("metrics.write", resource(str(sent.server_id)))
    return await _taken(str(sent.server_id), sent)


@routes.post("/<server_id>")
@id_is("server_id")
@needs("metrics.write", on="host/{id}")
@accepts(shapes.SentTo, nan_is_null=True)
@returns(shapes.Taken, status=201)
async def take_of(sent: shapes.SentTo, id: str) -> Any:
    """A sample of this server."""
    if sent.server_id and str(sent.server_id) != id:
        raise Invalid("server_id: is another server than the one in the path")
    return await _taken(id, sent)


async def _taken(id: str, sent: shapes.Sent) -> Any:
    found = await roci.read(hostcards.get, id)
    await roci.part(Hub).told(found.host, heartbeats.of(sent))
    return {"status": "success", "message": "Metrics received"}, 201
