"""/activity: operations and the audit on one time axis."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("activity", __name__)
