"""/api/v1/policies"""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from ...domain import policies
from ...work.enrol import Doorkeeper
from ..http import accepts, needs, paging, returns, roci
from . import shapes

routes = Blueprint("policies", __name__, url_prefix="/policies")


def _out(policy: policies.Policy) -> dict[str, Any]:
    """A policy; where its clause is open for so many seconds, with the end of that time."""
    return shapes.policy(policy, policies.closes_at(policy))


async def _known(id: str) -> None:
    await roci.read(policies.get, id)


@routes.get("")
@needs("policies.read")
@returns(shapes.Policies, paged=True)
async def index() -> Any:
    """List all policies ordered by priority."""
    limit, offset = paging()
    rows = await roci.read(policies.all_)
    return {"policies": [_out(row) for row in shapes.page(rows, limit, offset)], "total": len(rows)}


@routes.post("/reload")
@needs("policies.write")
@returns(shapes.Done)
async def reload() -> Any:
    """Reload policies from database into the evaluator."""
    await roci.part(Doorkeeper).reload()
    return shapes.done("Policies reloaded")


@routes.post("/dry-run")
@needs("policies.read")
@accepts(shapes.DryRun)
@returns(shapes.DecisionOut)
async def dry_run(body: shapes.DryRun) -> Any:
    """Would a host of this address and name be admitted, and why? Nothing is stored or used up."""
    return shapes.decision(await roci.part(Doorkeeper).rehearse(body.hostname, body.ip_address, body.totp))


@routes.get("/<id>")
@needs("policies.read")
@returns(shapes.PolicyOut)
async def show(id: str) -> Any:
    """Get a specific policy by ID."""
    return _out(await roci.read(policies.get, id))


@routes.post("")
@needs("policies.write")
@accepts(shapes.NewPolicy)
@returns(shapes.PolicyOut, status=201)
async def add(new: shapes.NewPolicy) -> Any:
    """Create a policy. The lowest priority is asked first, and the first that matches decides."""
    roci.part(Doorkeeper).read_clause(new.match_type)
    values = new.name, new.priority, new.match_type, new.action, new.enabled
    return _out(await roci.write(policies.add, *values)), 201


@routes.route("/<id>", methods=["PUT", "PATCH"])
@needs("policies.write")
@accepts(shapes.PolicyChanges, of=_known)
@returns(shapes.PolicyOut)
async def change(body: shapes.PolicyChanges, id: str) -> Any:
    """Change a policy."""
    changes = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
    return _out(await _change(id, **changes))


@routes.route("/<id>/priority", methods=["PUT", "PATCH"])
@needs("policies.write")
@accepts(shapes.Priority, of=_known)
@returns(shapes.Done)
async def priority(body: shapes.Priority, id: str) -> Any:
    """Update a policy's priority."""
    await _change(id, priority=body.priority)
    return shapes.done("Priority updated")


@routes.post("/<id>/enable")
@needs("policies.write")
@returns(shapes.Done)
async def enable(id: str) -> Any:
    """Enable a policy. A time window opens anew."""
    await _change(id, enabled=True)
    return shapes.done("Policy enabled")


@routes.post("/<id>/disable")
@needs("policies.write")
@returns(shapes.Done)
async def disable(id: str) -> Any:
    """Disable a policy."""
    await _change(id, enabled=False)
    return shapes.done("Policy disabled")


@routes.delete("/<id>")
@needs("policies.write")
@returns(shapes.Done)
async def remove(id: str) -> Any:
    """Delete a policy."""
    await roci.write(policies.remove, id)
    return shapes.done("Policy deleted")


async def _change(id: str, **changes: Any) -> policies.Policy:
    if "match_type" in changes:
        roci.part(Doorkeeper).read_clause(changes["match_type"])
    return await roci.write(policies.change, id, **changes)
