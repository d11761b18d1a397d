"""Servers on the wire: what this dialect calls approved hosts. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ...agent.hub import Live
from ...domain.hostcards import LONGEST, Carded
from ...domain.model import wire_time
from .shapes import Body

Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Condition = Literal["healthy", "warning", "critical"]


class Page(Body):
    skip: int = Field(0, ge=0, le=2**53)
    limit: int = Field(100, ge=1, le=1000)


class NewServer(Body):
    name: Text
    host: Text | None = None
    port: Port | None = None
    metadata: dict[str, Any] | None = None


class ServerChange(Body):
    name: Text = ""
    host: Text | None = None
    port: Port | None = None
    metadata: dict[str, Any] | None = None


class Server(BaseModel):
    id: str
    name: str
    host: str | None
    port: int | None
    status: Literal["online", "offline", "unknown"]
    health_status: Condition
    last_seen: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class ServerHealth(BaseModel):
    status: Literal["healthy", "warning", "critical", "offline", "unknown"]
    message: str


def noted(given: NewServer | ServerChange) -> dict[str, Any]:
    """What was sent, by the core's names."""
    names = {"name": "name", "host": "address", "port": "port", "metadata": "data"}
    return {names[field]: getattr(given, field) for field in given.model_fields_set}


def status(found: Carded, live: Live | None) -> Literal["online", "offline", "unknown"]:
    if live is not None and live.is_online:
        return "online"
    return "unknown" if found.host.last_seen is None else "offline"


def server(found: Carded, live: Live | None, condition: str) -> dict[str, Any]:
    host, card = found.host, found.card
    return {
        "id": host.id,
        "name": found.name,
        "host": (card and card.address) or host.effective_ip or None,
        "port": card and card.port,
        "status": status(found, live),
        "health_status": condition,
        "last_seen": wire_time(live.last_seen if live else host.last_seen),
        "metadata": card.data if card else {},
        "created_at": wire_time(host.created_at),
        "updated_at": wire_time(card.updated_at if card else host.created_at),
    }


def health(found: Carded, live: Live | None, condition: str, open_alerts: int) -> dict[str, str]:
    """How a server is, in a word and a sentence."""
    now = status(found, live)
    if now == "unknown":
        return {"status": now, "message": "No agent has connected for this server yet"}
    if now == "offline":
        return {"status": now, "message": "The agent of this server is not connected"}
    if live is not None and live.engine_error:
        return {"status": "warning" if condition == "healthy" else condition, "message": live.engine_error}
    count = f"{open_alerts} open alert{'' if open_alerts == 1 else 's'}" if open_alerts else "Server is healthy"
    return {"status": condition, "message": count}
