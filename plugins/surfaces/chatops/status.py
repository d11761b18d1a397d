"""/chatops and /chatops/health: what a client finds that was given /chatops as its base address."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from roci import __version__

from ..http import public

probes = Blueprint("probes", __name__, url_prefix="/chatops")


@probes.get("/", strict_slashes=False)
@public
async def root() -> Any:
    """Who answers here."""
    return {"message": "ROCI, as ChatOps API", "version": __version__, "docs": "/docs"}


@probes.get("/health")
@public
async def health() -> Any:
    """That this process answers."""
    return {"status": "ok"}
