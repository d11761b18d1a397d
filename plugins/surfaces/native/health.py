"""/api/v1/health"""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import __version__

from ...agent.hub import Hub
from ...work.health import Health
from ..http import public, returns, roci
from . import shapes

routes = Blueprint("health", __name__, url_prefix="/health")


@routes.get("")
@public
@returns(shapes.Health)
async def show() -> Any:
    """Get server health status including Docker connectivity and agent count."""
    health = roci.part(Health)
    problems = await health.problems()
    return {
        "status": "degraded" if problems else "ok",
        "version": __version__,
        "uptime_secs": health.uptime,
        "agents": roci.part(Hub).connected,
        "docker": "docker" not in problems,
        "problems": dict.fromkeys(problems, "see the server's log, or run: roci doctor"),
    }


@routes.get("/lite")
@public
@returns(shapes.HealthLite)
async def lite() -> Any:
    """Lightweight health check (no Docker ping)."""
    return {"status": "ok", "version": __version__}
