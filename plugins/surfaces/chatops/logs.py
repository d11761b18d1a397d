"""/api/v1/logs: what happened to a server and what was done to it, from the event log and the operations."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from ...domain import events, hostcards, operations
from ...domain.events import Where
from ..http import needs, returns, roci
from . import log_shapes as shapes
from .query import asked, id_is, parameters

routes = Blueprint("logs", __name__, url_prefix="/logs")
READ = 1000  # of each kind, the newest, that filters look at


@routes.get("/<server_id>")
@id_is("server_id")
@needs("operations.read", on="host/{id}")
@returns(list[shapes.LogEntry], query=parameters(shapes.Which))
async def index(id: str) -> Any:
    """Entries, the newest first. `source` is who did it, `component` what kind of thing it was."""
    given = asked(shapes.Which)
    return await roci.read(_entries, id, given)


def _entries(id: str, given: shapes.Which) -> list[dict[str, Any]]:
    hostcards.get(id)
    most = given.limit if given.level is given.source is given.component is None else READ
    done, _ = operations.list_(most, host_id=id)
    happened = events.find([Where("host", id), Where("noun", "operation", "neq")], most)
    entries = [shapes.of_operation(row) for row in done] + [shapes.of_recorded(row, id) for row in happened]
    entries.sort(key=lambda entry: entry["timestamp"], reverse=True)
    return [entry for entry in entries if given.takes(entry)][: given.limit]
