"""/policies: who is let in as a host, in order; a dry run that explains itself."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("policies", __name__)
