"""/api/v1/agents: hosts, as the wire has called them since the first version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from quart import Blueprint, Response

from roci import NotFound

from ...agent.hub import Hub, Live
from ...work import deploy, enrol
from ..http import accepts, needs, paging, returns, roci
from . import shapes

routes = Blueprint("agents", __name__, url_prefix="/agents")
_fragments: WeakKeyDictionary[Live, tuple[int, bytes]] = WeakKeyDictionary()


def _fragment(live: Live) -> bytes:
    """A host's JSON, encoded once for each change: lists of a thousand hosts are asked for often."""
    version, encoded = _fragments.get(live, (-1, b""))
    if version != live.version:
        encoded = msgspec.json.encode(shapes.agent(live))
        _fragments[live] = live.version, encoded
    return encoded


def _listing(hosts: Iterable[Live]) -> Response:
    limit, offset = paging()
    found = list(hosts)
    rows = b",".join(_fragment(live) for live in shapes.page(found, limit, offset))
    return Response(b'{"agents":[%b],"total":%d}' % (rows, len(found)), content_type="application/json")


def _live(id: str) -> Live:
    live = roci.part(Hub).roster.get(id)
    if live is None:
        raise NotFound("Agent not found")
    return live


async def _known(id: str) -> None:
    _live(id)


@routes.get("")
@needs("hosts.read")
@returns(shapes.Agents, paged=True)
async def index() -> Any:
    """List all registered agents."""
    return _listing(roci.part(Hub).roster.values())


@routes.get("/pending")
@needs("hosts.read")
@returns(shapes.Agents, paged=True)
async def pending() -> Any:
    """List agents awaiting approval."""
    return _listing(live for live in roci.part(Hub).roster.values() if live.host.status == "pending")


@routes.get("/<id>")
@needs("hosts.read")
@returns(shapes.Agent)
async def show(id: str) -> Any:
    """Get a specific agent by ID."""
    return shapes.agent(_live(id))


@routes.get("/<id>/containers")
@needs("hosts.read")
@returns(shapes.Containers)
async def containers(id: str) -> Any:
    """List an agent's containers, as it last reported them."""
    return shapes.containers(_live(id))


@routes.post("/<id>/approve")
@needs("hosts.decide")
@returns(shapes.Done)
async def approve(id: str) -> Any:
    """Approve a pending agent."""
    await enrol.approve(roci, id)
    return shapes.done("Agent approved")


@routes.post("/<id>/reject")
@needs("hosts.decide")
@accepts(shapes.Rejection, optional=True, of=_known)
@returns(shapes.Done)
async def reject(body: shapes.Rejection, id: str) -> Any:
    """Reject a pending agent."""
    await enrol.reject(roci, id, body.reason)
    return shapes.done("Agent rejected")


@routes.delete("/<id>")
@needs("hosts.remove")
@returns(shapes.Done)
async def remove(id: str) -> Any:
    """Delete an agent from the system."""
    await deploy.remove_host(roci, id)
    return shapes.done("Agent deleted")
