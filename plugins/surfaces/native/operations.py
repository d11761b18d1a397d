"""/api/v1/operations: what was and is done to hosts, with its output as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from quart import Blueprint, request

from ...domain import operations
from ...domain.operations import Operation
from ...work.operate import Operator, Run
from ..http import needs, paging, returns, roci
from ..stream import ServerSent, stream
from . import shapes

routes = Blueprint("operations", __name__, url_prefix="/operations")
FILTERS = {"application_id": "string", "agent_id": "string", "status": "string", "kind": "string"}


@routes.get("")
@needs("operations.read")
@returns(shapes.OperationList, paged=True, query=FILTERS)
async def index() -> Any:
    """List operations, newest first, without their output. At most 100, unless a limit is given."""
    limit, offset = paging()
    wanted = {name: request.args.get(name) for name in ("application_id", "status", "kind")}
    filters = {**wanted, "host_id": request.args.get("agent_id")}
    rows, total = await roci.read(operations.list_, 100 if limit is None else limit, offset, **filters)
    return {"operations": [shapes.operation_row(row) for row in rows], "total": total}


@routes.get("/<id>")
@needs("operations.read")
@returns(shapes.OperationOut)
async def show(id: str) -> Any:
    """Get an operation, with its output so far."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    operation = await roci.read(operations.get, id)
    is_running = operation.status == "running"  # its row tells first
    return shapes.operation(operation, run.so_far if run and is_running else None)


@routes.get("/<id>/output")
@needs("operations.read")
@returns(str, media="text/event-stream")
async def output(id: str) -> Any:
    """Follow an operation's output: events `output` ({"seq", "data"}), at last `end` with the operation."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    operation = await roci.read(operations.get, id)
    after = request.headers.get("Last-Event-ID", "")
    return stream(roci, _live(run, int(after) if after.isdecimal() else -1) if run else _past(operation))


async def _past(operation: Operation) -> AsyncIterator[ServerSent]:
    if operation.output:
        yield ServerSent("output", {"seq": 0, "data": operation.output})
    yield ServerSent("end", shapes.operation(operation))


async def _live(run: Run, after: int) -> AsyncIterator[ServerSent]:
    async for number, text in run.follow(after):
        yield ServerSent("output", {"seq": number, "data": text}, number)
    assert run.ended
    yield ServerSent("end", shapes.operation(run.ended))


@routes.post("/<id>/cancel")
@needs("operations.cancel")
@returns(shapes.Done)
async def cancel(id: str) -> Any:
    """Ask the agent to stop an operation that is under way."""
    await roci.part(Operator).cancel(id)
    return shapes.done("Cancel sent")
