"""What hosts tell of themselves in the words of this dialect, as the hub has it from our own agents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ...agent import sample, wire
from .metric_shapes import Nonsense, Sent, read


def of(sent: Sent) -> wire.Heartbeat:
    """Raises Nonsense."""
    return wire.Heartbeat(metrics=sample.write(read(sent)), containers=_containers(sent.containers))


def of_frame(data: Mapping[str, Any]) -> wire.Heartbeat:
    """The same of a frame, of which whatever makes sense counts."""
    try:
        return of(Sent.model_validate(data))
    except (ValidationError, Nonsense):
        return wire.Heartbeat(containers=_containers(entries(data, "containers") if "containers" in data else None))


def entries(data: Mapping[str, Any], name: str) -> list[Any]:
    found = data.get(name)
    return found if isinstance(found, list) else []


def _containers(given: list[Any] | None) -> Any:
    if given is None:
        return wire.NOT_SAID
    return wire.report_containers([found for each in given if (found := _container(each))])


def _container(given: Any) -> wire.Container | None:
    if not isinstance(given, dict):
        return None
    texts = {name: str(given[name])[:500] for name in ("id", "name", "image") if given.get(name)}
    if not {"id", "name"} <= texts.keys():
        return None
    ports = [text for each in entries(given, "ports") if (text := _port(each))]
    state, status, created = (given.get(name) for name in ("state", "status", "created"))
    return wire.Container(
        id=texts["id"],
        name=texts["name"],
        image=texts.get("image", ""),
        status=str(state or "")[:100],
        state=None if status is None else str(status)[:200],
        created=None if created is None else str(created)[:64],
        ports=ports,
    )


def _port(given: Any) -> str:
    if not isinstance(given, dict) or not isinstance(given.get("private_port"), int):
        return ""
    inside = f"{given['private_port']}/{str(given.get('type') or 'tcp')[:10]}"
    public_port = given.get("public_port")
    return f"0.0.0.0:{public_port}->{inside}" if isinstance(public_port, int) and public_port else inside
