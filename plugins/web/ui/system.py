"""/system: how this ROCI is, its plugins, its backup, its versions."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("system", __name__)
