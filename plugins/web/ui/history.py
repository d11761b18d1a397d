"""The tab of an application with its revisions, what differs between them, and what was done to it."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("history", __name__)
