"""/api/v1/automation: keys of CI systems, shown once, and what was done to hosts with them or otherwise."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from ...domain import automation
from ...domain.automation import AutomationKey
from ..http import accepts, actor, needs, paging, returns, roci
from . import automation_shapes as shapes
from .shapes import Done, done

routes = Blueprint("automation", __name__, url_prefix="/automation")
MOST_ENTRIES = 100  # of the audit view, whose entries have their output with them


async def _known(id: str) -> None:
    await roci.read(automation.get, id)


async def _out(row: AutomationKey) -> dict[str, Any]:
    return shapes.key(row, (await roci.read(automation.operation_counts, [row.id])).get(row.id, 0))


@routes.get("/keys")
@needs("automation.list")
@returns(shapes.Keys, paged=True)
async def index() -> Any:
    """List automation keys, newest first, revoked ones too. The keys themselves are not to be had again."""
    limit, offset = paging()
    rows, total = await roci.read(automation.list_, limit, offset)
    counts = await roci.read(automation.operation_counts, [row.id for row in rows])
    return {"keys": [shapes.key(row, counts.get(row.id, 0)) for row in rows], "total": total}


@routes.post("/keys")
@needs("automation.create")
@accepts(shapes.NewKey)
@returns(shapes.IssuedKey, status=201)
async def add(new: shapes.NewKey) -> Any:
    """Make a key that acts as the caller, for what the caller may do; an empty list limits nothing."""
    wanted = automation.NewKey(**{name: getattr(new, name) for name in automation.FIELDS})
    row, secret = await roci.write(automation.issue, (await actor()).id, wanted)
    return {**shapes.key(row, 0), "key": str(secret)}, 201, {"Cache-Control": "no-store"}


@routes.get("/keys/<id>")
@needs("automation.list")
@returns(shapes.KeyOut)
async def show(id: str) -> Any:
    """Get an automation key."""
    return await _out(await roci.read(automation.get, id))


@routes.patch("/keys/<id>")
@needs("automation.update")
@accepts(shapes.KeyChanges, of=_known)
@returns(shapes.KeyOut)
async def change(body: shapes.KeyChanges, id: str) -> Any:
    """Change what a key is limited to. Nobody gives it what they lack."""
    return await _out(await roci.write(automation.change, id, **body.changes()))


@routes.delete("/keys/<id>")
@needs("automation.revoke")
@returns(Done)
async def revoke(id: str) -> Any:
    """Revoke a key. It stops working at once, and stays listed; what it began goes on."""
    await roci.write(automation.revoke, id)
    return done("Automation key revoked")


@routes.get("/audit")
@needs("audit.read")
@returns(shapes.Audit, paged=True, query=dict.fromkeys(("run_id", "operation_id", "key_id"), "string"))
async def audit() -> Any:
    """List what was done to hosts, newest first, with its output, through whatever surface; at most 100 at a time."""
    limit, offset = paging()
    wanted = {name: request.args.get(name) for name in ("run_id", "operation_id", "key_id")}
    most = MOST_ENTRIES if limit is None else min(limit, MOST_ENTRIES)
    found, total = await roci.read(automation.audit, most, offset, **wanted)
    return {"entries": [shapes.done(each) for each in found], "total": total}
