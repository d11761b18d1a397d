"""/alerts: what is wrong, the rules of it, who is told, and when nobody is."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("alerts", __name__)
