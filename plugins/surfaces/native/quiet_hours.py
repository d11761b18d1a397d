"""/api/v1/alerting/quiet-hours: when notices wait, week by week or once until a moment."""

from __future__ import annotations

import datetime
from typing import Any

from quart import Blueprint

from roci import now

from ...domain import quiet
from ..http import accepts, needs, paging, returns, roci
from . import notice_shapes as wire
from . import shapes

routes = Blueprint("quiet_hours", __name__, url_prefix="/alerting/quiet-hours")


async def _known(id: str) -> None:
    await roci.read(quiet.get, id)


def _out(row: quiet.QuietHours) -> dict[str, Any]:
    active_until: datetime.datetime | None = quiet.ending(row, now()) if row.enabled else None
    return wire.quiet_hours(row, active_until)


@routes.get("")
@needs("quiet-hours.list")
@returns(wire.AllQuietHours, paged=True)
async def index() -> Any:
    """List quiet hours by name, those that are past or switched off too."""
    limit, offset = paging()
    rows = await roci.read(quiet.all_)
    return {"quiet_hours": [_out(row) for row in shapes.page(rows, limit, offset)], "total": len(rows)}


@routes.post("")
@needs("quiet-hours.create")
@accepts(wire.NewQuietHours)
@returns(wire.QuietHoursOut, status=201)
async def add(new: wire.NewQuietHours) -> Any:
    """Let notices wait: on `days` (0 is Monday) between `from` and `to`, or once, from now on `until` a moment.

    At the end goes out what still is so. Severities that `passes` names do not wait.
    """
    return _out(await roci.write(quiet.add, quiet.NewQuietHours(**wire.columns(new)))), 201


@routes.get("/<id>")
@needs("quiet-hours.list")
@returns(wire.QuietHoursOut)
async def show(id: str) -> Any:
    """Get one of them."""
    return _out(await roci.read(quiet.get, id))


@routes.route("/<id>", methods=["PUT", "PATCH"])
@needs("quiet-hours.update")
@accepts(wire.QuietHoursChanges, of=_known)
@returns(wire.QuietHoursOut)
async def change(body: wire.QuietHoursChanges, id: str) -> Any:
    """Change quiet hours. What is not sent stays; `until: null` makes weekly ones of those that were meant once."""
    return _out(await roci.write(quiet.change, id, **wire.columns(body)))


@routes.delete("/<id>")
@needs("quiet-hours.delete")
@returns(shapes.Done)
async def remove(id: str) -> Any:
    """Delete quiet hours. What they held goes out now, unless others hold it too."""
    await roci.write(quiet.remove, id)
    return shapes.done("Quiet hours deleted")
