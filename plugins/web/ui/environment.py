"""The tab of an application with its environment and its secrets."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("environment", __name__)
