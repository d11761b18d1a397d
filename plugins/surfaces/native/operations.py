"""/api/v1/operations: what was and is done to hosts, with its output as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from quart import Blueprint, request

from roci import TooMany

from ...domain import operations
from ...domain.operations import Operation
from ...work.operate import Operator
from ...work.run import MARK, Run
from ..http import actor, needs, paging, raises, returns, roci
from ..stream import ServerSent, stream
from . import operation_shapes, shapes

routes = Blueprint("operations", __name__, url_prefix="/operations")
Reader = Callable[..., operation_shapes.OperationOut]
FILTERS = dict.fromkeys(("application_id", "agent_id", "status", "kind", "run_id"), "string")


@routes.get("")
@needs("operations.read")
@returns(operation_shapes.OperationList, paged=True, query=FILTERS)
async def index() -> Any:
    """List operations, newest first, without their output. At most 100, unless a limit is given."""
    limit, offset = paging()
    wanted = {name: request.args.get(name) for name in ("application_id", "status", "kind", "run_id")}
    filters = {**wanted, "host_id": request.args.get("agent_id")}
    rows, total = await roci.read(operations.list_, 100 if limit is None else limit, offset, **filters)
    return {"operations": [operation_shapes.operation_row(row) for row in rows], "total": total}


@routes.get("/<id>")
@needs("operations.read")
@returns(operation_shapes.OperationOut)
async def show(id: str) -> Any:
    """Get an operation, with its output so far. Its own credential sees its values for a quarter of an hour."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    operation = await roci.read(operations.get, id)
    is_running = operation.status == "running"  # its row tells first
    return (await reader())(operation, run.so_far if run and is_running else None)


async def reader() -> Reader:
    """How whoever asks now may see operations, now or later: secrets only with the credential they came with."""
    operator, who = roci.part(Operator), await actor()

    def read(operation: Operation, so_far: str | None = None) -> operation_shapes.OperationOut:
        return operation_shapes.operation(operation, so_far, operator.result(operation, who))

    return read


@routes.get("/<id>/output")
@needs("operations.read")
@returns(str, media="text/event-stream")
@raises(TooMany)
async def output(id: str) -> Any:
    """Follow an operation's output: events `output` ({"seq", "data"}), at last `end` with the operation."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    operation, read = await roci.read(operations.get, id), await reader()
    after = _after(request.headers.get("Last-Event-ID", ""))
    return stream(roci, _live(run, read, after) if run else _past(operation, read))


def _after(given: str) -> int:
    """The piece that a reader had last. -1: none, or one of another process, which begins with what was kept."""
    mark, _, number = given.partition("-")
    is_ours = mark == MARK and number.isascii() and number.isdecimal() and len(number) < 16
    return int(number) if is_ours else -1


async def _past(operation: Operation, read: Reader) -> AsyncIterator[ServerSent]:
    if operation.output:
        yield ServerSent("output", {"seq": 0, "data": operation.output})
    yield ServerSent("end", read(operation))


async def _live(run: Run, read: Reader, after: int) -> AsyncIterator[ServerSent]:
    async for number, text in run.follow(after):
        yield ServerSent("output", {"seq": number, "data": text}, f"{MARK}-{number}")
    assert run.ended
    yield ServerSent("end", read(run.ended))


@routes.post("/<id>/cancel")
@needs("operations.cancel")
@returns(shapes.Done)
async def cancel(id: str) -> Any:
    """Ask the agent to stop an operation that is under way."""
    await roci.part(Operator).cancel(id)
    return shapes.done("Cancel sent")
