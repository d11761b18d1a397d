"""/settings: all values with where each comes from."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("settings", __name__)
