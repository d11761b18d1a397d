"""The tabs of a host with its images, volumes and networks, and what a prune of them would take."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("inventory", __name__)
