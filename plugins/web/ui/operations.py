"""/operations: what was and is done to hosts; one with its output as it comes."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect, request

from ...domain import operations
from ...surfaces.http import needs, roci, server
from ...work.operate import Operator
from .. import shell
from ..forms import sent
from . import shown

routes = Blueprint("operations", __name__, url_prefix="/operations")
PER_PAGE = 50


@routes.get("")
@needs("operations.read")
async def index() -> Any:
    """The newest first; by status or kind where asked."""
    wanted = {name: request.args.get(name) or None for name in ("status", "kind")}
    text = request.args.get("page", "1")
    number = int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 7 else 1
    rows, total = await roci.read(operations.list_, PER_PAGE, (max(number, 1) - 1) * PER_PAGE, **wanted)
    return await shell.render(
        "operations.html",
        "Operations",
        ("operations",),
        rows=rows,
        total=total,
        number=max(number, 1),
        last=-(-total // PER_PAGE) or 1,
        wanted=wanted,
        statuses=("running", *sorted(operations.ENDS)),
        tone=shown.tone,
    )


@routes.get("/<id>")
@needs("operations.read")
async def show(id: str) -> Any:
    """One operation. While it runs, its output comes in by itself."""
    run = roci.part(Operator).run(id)  # before the row is read: it may end in between
    row = await roci.read(operations.get, id)
    so_far = run.so_far if run and row.status == "running" else row.output
    title = f"{row.kind} on {row.hostname}"
    return await shell.render(
        "operation.html", title, ("operations",), scripts=("output.js",), row=row, output=so_far, tone=shown.tone
    )


@routes.post("/<id>/cancel")
@needs("operations.cancel")
async def cancel(id: str) -> Any:
    """Ask the agent to stop it."""
    await sent()
    here = server()
    await here.part(Operator).cancel(id)
    return redirect(f"/operations/{id}", 303)
