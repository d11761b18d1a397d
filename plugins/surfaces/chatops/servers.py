"""/api/v1/servers: approved hosts, and those that are expected until an agent brings one of their keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from quart import Blueprint

from ...agent.hub import Hub, Live
from ...domain import alerts, hostcards
from ...domain.alerts import Alert
from ...domain.hostcards import Carded
from ...work import deploy
from ..http import accepts, needs, returns, roci
from . import server_shapes as shapes
from .query import asked, id_is, parameters

routes = Blueprint("servers", __name__, url_prefix="/servers")
MOST_ALERTS = 1000  # open ones of a host that are looked at
WORSE = ("healthy", "warning", "critical")


def live_of(host_id: str) -> Live | None:
    return roci.part(Hub).roster.get(host_id)


def worst(open_alerts: Iterable[Alert]) -> str:
    """How a host with these alerts is."""
    return max((each.severity for each in open_alerts if each.severity in WORSE), key=WORSE.index, default="healthy")


def _open(host_id: str | None = None) -> dict[str, list[Alert]]:
    """The open alerts of one host, or of all, by host."""
    found: dict[str, list[Alert]] = {}
    for alert in alerts.open_() if host_id is None else alerts.list_("active", host_id, MOST_ALERTS)[0]:
        found.setdefault(alert.host_id, []).append(alert)
    return found


def _page(skip: int, limit: int) -> list[tuple[Carded, str]]:
    page, alarmed = hostcards.all_()[skip : skip + limit], _open()
    return [(found, worst(alarmed.get(found.host.id, ()))) for found in page]


def _one(id: str) -> tuple[Carded, list[Alert]]:
    return hostcards.get(id), _open(id).get(id, [])


async def _shown(id: str) -> dict[str, Any]:
    found, alarms = await roci.read(_one, id)
    return shapes.server(found, live_of(id), worst(alarms))


@routes.get("")
@needs("hosts.read")
@returns(list[shapes.Server], query=parameters(shapes.Page))
async def index() -> Any:
    """All servers, the oldest first."""
    page = asked(shapes.Page)
    found = await roci.read(_page, page.skip, page.limit)
    return [shapes.server(each, live_of(each.host.id), condition) for each, condition in found]


@routes.post("")
@needs("hosts.create")
@accepts(shapes.NewServer)
@returns(shapes.Server, status=201)
async def add(new: shapes.NewServer) -> Any:
    """A server whose agent is still to come, with one of its keys."""
    made = await roci.write(hostcards.add, **shapes.noted(new))
    return shapes.server(made, None, "healthy"), 201


@routes.get("/<server_id>")
@id_is("server_id")
@needs("hosts.read", on="host/{id}")
@returns(shapes.Server)
async def show(id: str) -> Any:
    """One server."""
    return await _shown(id)


@routes.put("/<server_id>")
@id_is("server_id")
@needs("hosts.update", on="host/{id}")
@accepts(shapes.ServerChange)
@returns(shapes.Server)
async def change(given: shapes.ServerChange, id: str) -> Any:
    """What people call it and note about it; what is not given stays."""
    await roci.write(hostcards.change, id, **shapes.noted(given))
    return await _shown(id)


@routes.delete("/<server_id>")
@id_is("server_id")
@needs("hosts.remove", on="host/{id}")
@returns(None, status=204)
async def remove(id: str) -> Any:
    """Forget it, with its metrics, thresholds, alerts and keys. What runs there goes on running."""
    await roci.read(hostcards.get, id)
    await deploy.remove_host(roci, id)
    return "", 204


@routes.post("/<server_id>/health")
@id_is("server_id")
@needs("hosts.read", on="host/{id}")
@returns(shapes.ServerHealth)
async def health(id: str) -> Any:
    """How it is at this moment."""
    found, alarms = await roci.read(_one, id)
    return shapes.health(found, live_of(id), worst(alarms), len(alarms))
