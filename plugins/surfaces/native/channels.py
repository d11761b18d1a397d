"""/api/v1/alerting/channels: where people are told of alerts, and what went out there."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from roci import Malformed

from ...domain import channels, notices
from ...work.notify import Courier
from ..http import accepts, needs, paging, returns, roci
from . import notice_shapes as wire
from . import shapes

routes = Blueprint("channels", __name__, url_prefix="/alerting/channels")


async def _known(id: str) -> None:
    await roci.read(channels.get, id)


async def _out(rows: list[channels.Channel]) -> list[dict[str, Any]]:
    return [wire.channel(*each) for each in await roci.part(Courier).shown(rows)]


@routes.get("")
@needs("channels.list")
@returns(wire.Channels, paged=True)
async def index() -> Any:
    """List channels by name, with how each does."""
    limit, offset = paging()
    rows = await roci.read(channels.all_)
    return {"channels": await _out(list(shapes.page(rows, limit, offset))), "total": len(rows)}


@routes.get("/kinds")
@needs("channels.list")
@returns(wire.Kinds)
async def kinds() -> Any:
    """What kinds of channels there are, each with the JSON Schema of its settings."""
    return {"kinds": roci.part(Courier).kinds()}


@routes.post("")
@needs("channels.create")
@accepts(wire.NewChannel)
@returns(wire.ChannelOut, status=201)
async def add(new: wire.NewChannel) -> Any:
    """Add a channel. What its settings are depends on its kind; secrets among them are never shown again."""
    values = channels.NewChannel(new.name, new.kind, new.enabled, new.min_severity, new.host_ids)
    row = await roci.part(Courier).add(values, new.settings)
    return (await _out([row]))[0], 201


@routes.get("/<id>")
@needs("channels.list")
@returns(wire.ChannelOut)
async def show(id: str) -> Any:
    """Get one channel, all of it but its secrets."""
    return (await _out([await roci.read(channels.get, id)]))[0]


@routes.route("/<id>", methods=["PUT", "PATCH"])
@needs("channels.update")
@accepts(wire.ChannelChanges, of=_known)
@returns(wire.ChannelOut)
async def change(body: wire.ChannelChanges, id: str) -> Any:
    """Change a channel. Settings that are not sent stay, and null is the default again.

    When the place that notices go to changes, the secrets for it must be sent again.
    """
    said = {name: value for name in body.model_fields_set if (value := getattr(body, name, None)) is not None}
    given = said.pop("settings", None)
    row = await roci.part(Courier).change(id, given, **said)
    return (await _out([row]))[0]


@routes.delete("/<id>")
@needs("channels.delete")
@returns(shapes.Done)
async def remove(id: str) -> Any:
    """Delete a channel, and what waits to be sent on it."""
    await roci.write(channels.remove, id)
    return shapes.done("Channel deleted")


@routes.post("/<id>/test")
@needs("channels.test")
@returns(shapes.Done)
async def test(id: str) -> Any:
    """Send a notice at once, and answer once it has arrived. 503 says why it did not; 409: another is on its way."""
    await roci.part(Courier).test(id)
    return shapes.done("The notice was delivered")


@routes.get("/<id>/deliveries")
@needs("channels.list")
@returns(wire.Deliveries, paged=True, query={"status": "string"})
async def deliveries(id: str) -> Any:
    """What went out, waits, was muted or given up on a channel, newest first."""
    limit, offset = paging()
    status = request.args.get("status")
    if status is not None and status not in notices.STATES:
        raise Malformed(f"status: one of {', '.join(notices.STATES)}")
    rows, total = await roci.read(notices.list_, id, status, limit, offset)
    return {"deliveries": [wire.delivery(row) for row in rows], "total": total}
