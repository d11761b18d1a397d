"""The tab of a host with its charts, from an hour to thirty days."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("metrics", __name__)
