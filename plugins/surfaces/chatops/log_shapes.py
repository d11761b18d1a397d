"""Log entries on the wire: what happened to a server, and what was done to it. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, Field

from roci import Event

from ...domain import events
from ...domain.events import Recorded
from ...domain.model import wire_time
from ...domain.operations import Operation
from .shapes import Body

LEVELS = {"running": "info", "succeeded": "info", "cancelled": "warning", "done": "info", "refused": "warning"}
BAD = {"HostDisconnected": "warning"}
Level = Literal["debug", "info", "warning", "error", "critical"]
SAID = ("status", "reason", "severity", "message", "kind", "type", "subject", "name", "count")  # of an event


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


class Which(Body):
    limit: int = Field(100, ge=1, le=1000)
    level: Annotated[Level, BeforeValidator(_lower)] | None = None
    source: str | None = Field(None, max_length=100)
    component: str | None = Field(None, max_length=100)

    def takes(self, entry: Mapping[str, Any]) -> bool:
        wanted = {"level": self.level, "source": self.source, "component": self.component}
        return all(value is None or entry[name] == value for name, value in wanted.items())


class LogEntry(BaseModel):
    id: str
    server_id: str
    timestamp: str
    level: Level
    source: str
    message: str
    component: str
    extra_data: dict[str, Any]


def of_operation(row: Operation) -> dict[str, Any]:
    """The source is who did it, the component what kind of thing it was."""
    what = " ".join(str(row.args[name]) for name in ("action", "command", "container", "image") if row.args.get(name))
    tail = f" ({row.exit_code})" if row.exit_code else ""
    return {
        "id": row.id,
        "server_id": row.host_id,
        "timestamp": wire_time(row.finished_at or row.started_at or row.created_at),
        "level": LEVELS.get(row.status, "error"),
        "source": row.actor_name,
        "message": f"{row.kind}{f': {what}' if what else ''}: {row.status}{tail}",
        "component": row.kind,
        "extra_data": {
            "operation_id": row.id,
            "status": row.status,
            "exit_code": row.exit_code,
            "reason": row.reason,
            "application": row.application_name,
        },
    }


def of_recorded(row: Recorded, host_id: str) -> dict[str, Any]:
    data = {name: row.data[name] for name in SAID if name in row.data}
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"event {row.seq}")),
        "server_id": host_id,
        "timestamp": wire_time(row.at),
        "level": _level(row.name, row.outcome, data),
        "source": row.actor_name,
        "message": _line(row.name, data),
        "component": row.noun,
        "extra_data": {"event": row.name, **data},
    }


def of_event(event: Event, host_id: str) -> dict[str, Any]:
    """The same of one that happens now."""
    filed = events.filing(cast(Any, type(event)))
    data = {name: getattr(event, name) for name in SAID if isinstance(getattr(event, name, None), str | int)}
    return {
        "id": str(uuid.uuid4()),
        "server_id": host_id,
        "timestamp": wire_time(event.at),
        "level": _level(filed.name, getattr(event, "outcome", "done"), data),
        "source": event.actor.name,
        "message": _line(filed.name, data),
        "component": filed.noun,
        "extra_data": {"event": filed.name, **data},
    }


def _level(name: str, outcome: str, data: Mapping[str, Any]) -> str:
    """As severe as it says, else by how it came out."""
    return str(data.get("severity") or BAD.get(name) or LEVELS.get(outcome, "error"))


def _line(name: str, data: Mapping[str, Any]) -> str:
    known = {
        field: value for field, value in data.items() if value not in (None, "") and (field, value) != ("count", 1)
    }
    said = ", ".join(f"{value} times" if field == "count" else str(value) for field, value in known.items())
    return f"{name}: {said}" if said else name
