"""/automation/runs: what CI systems did, run by run."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from ....domain import automation, runs
from ....domain.runs import Run
from ....surfaces.http import needs, roci
from ... import shell
from ...language import N_, _
from .. import lists, shown

routes = Blueprint("runs", __name__, url_prefix="/runs")
PER_PAGE = 25
SAID = ("provider", "repository", "workflow", "ref", "branch", "sha", "commit", "actor")  # of a run, in this order
LONGEST = 80
STATES = {"running": N_("running"), "succeeded": N_("succeeded"), "failed": N_("failed")}


def told(run: Run) -> str:
    """What a client said of its run, in one line; it may have said anything."""
    words = [str(run.context[name]) for name in SAID if isinstance(run.context.get(name), str | int)]
    return " · ".join(word[:LONGEST] for word in words if word)


def lasted(run: Run) -> str:
    """Minutes and seconds; empty while it runs."""
    if run.ended is None:
        return ""
    seconds = max(int((run.ended - run.begun).total_seconds()), 0)
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


@routes.get("")
@needs("operations.read")
async def index() -> Any:
    """The newest first; of `?key=` only."""
    key_id = request.args.get("key") or None
    leaf = await lists.leaf_of(lambda limit, offset: roci.read(runs.list_, limit, offset, key_id), PER_PAGE)
    key = await roci.read(automation.AutomationKey.get_or_none, automation.AutomationKey.id == key_id)
    return await shell.render(
        "automation/runs.html",
        _("Runs"),
        ("operations",),
        styles=("alerts.css",),
        **vars(leaf),
        key=key,
        told=told,
        lasted=lasted,
        states=STATES,
        tone=shown.tone,
    )
