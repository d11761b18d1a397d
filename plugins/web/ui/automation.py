"""/automation: keys for CI, stored registry credentials, and runs."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("automation", __name__)
