"""The tabs with a terminal: on a host, in a container."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("terminal", __name__)
