"""/containers: those of all hosts in one list."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("containers", __name__)
