"""/logs: what containers say, of one or many at once; the same as a tab of hosts and applications."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("logs", __name__)
