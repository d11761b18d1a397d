"""/people: users, services, roles, tokens and second factors; why somebody may do something."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("people", __name__)
