"""GET /audit: the audit trail as rows of tables that changed. Refused attempts change none, so they are not here."""

from __future__ import annotations

import datetime
from typing import Any

from quart import Blueprint, request

from roci import Malformed

from ...domain import events
from ...domain.events import Recorded, Where
from ..http import moment, needs, returns, roci
from . import results

routes = Blueprint("audit", __name__, url_prefix="/audit")
USUAL, MOST = 100, 1000  # rows
COLUMNS = {
    "id": "seq",
    "table_schema": "realm",
    "table_name": "noun",
    "record_id": "subject_id",
    "operation": "operation",
    "changed_at": "at",
    "actor_uid": "actor_id",
}
ALIASES = {"app_id": "table_schema", "entity": "table_name"}
QUERY = dict.fromkeys((*COLUMNS, *ALIASES, "limit", "before", "order_by", "order"), "string")
TESTS = ("eq", "neq", "contains", "gte", "lte")


@routes.get("")
@needs("audit.read")
@returns(list[results.Change], query=QUERY)
async def index() -> Any:
    """What changed, the last first. Parameters that are not known are ignored."""
    args = request.args
    where = [Where("operation", "NONE", "neq")]
    for name, value in args.items(multi=True):
        column, _, test = name.partition("__")
        column = ALIASES.get(column, column)
        if column in COLUMNS and (test or "eq") in TESTS:
            where.append(_where(column, test or "eq", value))
    if "before" in args:
        where.append(Where("seq", _whole("before", args["before"]), "lt"))
    limit = min(max(_whole("limit", args.get("limit", str(USUAL))), 1), MOST)
    order_by, order = args.get("order_by", "id"), args.get("order", "desc").lower()
    if order_by not in COLUMNS or order not in ("asc", "desc"):
        raise Malformed(f"order_by: one of {', '.join(COLUMNS)}; order: asc or desc")
    rows = await roci.read(events.find, where, limit, 0, COLUMNS[order_by], order == "desc")
    return [_row(row) for row in rows]


def _where(column: str, test: str, value: str) -> Where:
    if test != "contains" and column == "id":
        return Where("seq", _whole("id", value), test)
    if test != "contains" and column == "changed_at":
        return Where("at", moment("changed_at", value), test)
    return Where(COLUMNS[column], value.upper() if column == "operation" else value, test)


def _whole(name: str, text: str) -> int:
    if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal()) or len(text) > 16:
        raise Malformed(f"{name}: a whole number")
    return int(text)


def _row(row: Recorded) -> dict[str, Any]:
    """Where an event does not say what was before and after, it says what there is to say on the side that is there."""
    old, new = row.before, row.after
    if old is None and new is None:
        old, new = (row.data, None) if row.operation == "DELETE" else (None, row.data)
    return {
        "id": row.seq,
        "table_schema": row.realm,
        "table_name": row.noun,
        "record_id": row.subject_id,
        "operation": row.operation,
        "old_record": None if row.operation == "INSERT" else old,
        "new_record": None if row.operation == "DELETE" else new,
        "changed_at": row.at.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "actor_uid": row.actor_id,
        "delegator_uid": None,
        "trigger_ref": _trigger(row.via),
    }


def _trigger(via: str) -> str | None:
    """What led to the change: a request, the host's shell, or (None) nobody who asked."""
    return {"": None, "shell": "shell"}.get(via, "api")
