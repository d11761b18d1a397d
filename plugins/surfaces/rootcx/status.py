"""/api/v1/status, and /health outside every prefix, where probes look."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import __version__

from ..http import public, signed_in

routes = Blueprint("status", __name__)
probes = Blueprint("probes", __name__)


@routes.get("/status")
@signed_in
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
async def health() -> Any:
    """That this process answers."""
    return {"status": "ok"}
