"""/applications/new and /applications/…/edit: the Compose file, checked as one types."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("editor", __name__)
