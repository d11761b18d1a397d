"""The command palette: finds pages, hosts, applications and what can be done to them."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("palette", __name__)
