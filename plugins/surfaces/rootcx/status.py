"""/api/v1/status, and /health outside every prefix, where probes look."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from quart import Blueprint, request

from roci import Unauthenticated, __version__

from ...work import usage
from ...work.health import Health
from ..http import actor, public, returns, roci, signed_in
from . import results

routes = Blueprint("status", __name__)
probes = Blueprint("probes", __name__)


@routes.get("/status")
@signed_in
@returns(results.Status)
async def status() -> Any:
    """What runs. The database has no port, and there is no forge."""
    return {
        "runtime": {"version": __version__, "state": "online"},
        "postgres": {"state": "online", "port": None, "data_dir": None},
        "forge": {"state": "offline", "port": None},
    }


@probes.get("/health")
@probes.get("/rootcx/health")
@public
@returns(results.Alive, query={"full": "string"})
async def health() -> Any:
    """That this process answers; with `full=true`, to whoever is signed in, what it uses too."""
    if request.args.get("full", "").lower() not in ("true", "1") or not await _is_known():
        return {"status": "ok"}
    used = await asyncio.to_thread(usage.measure, roci.settings.data)
    problems = await roci.part(Health).problems()
    return {"status": "ok", **dataclasses.asdict(used), "database": {"reachable": "database" not in problems}}


async def _is_known() -> bool:
    """A probe is answered whatever it sends along."""
    try:
        await actor()
    except Unauthenticated:
        return False
    return True
