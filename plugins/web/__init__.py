"""The pages, server-rendered: signing in and out, the first run, the start page. They call what the API calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quart import Blueprint, Response, has_websocket_context, request

from roci import Answer, Roci, RociError, Surface, hookimpl

from ..surfaces.http import public
from ..surfaces.native.errors import answer as native_answer
from . import pages

STYLE = Path(__file__).parent / "static" / "style.css"


def wants_json() -> bool:
    """Whether the client is a program: it sends JSON, or asks for nothing but JSON."""
    accepted = request.accept_mimetypes
    return request.mimetype == "application/json" or (accepted.best == "application/json" and not accepted.accept_html)


def answer(error: RociError) -> Answer:
    """A small page; JSON for programs."""
    if has_websocket_context() or wants_json():
        return native_answer(error)
    return pages.error_page(error), error.status


async def style() -> Response:
    """The one style sheet."""
    return Response(STYLE.read_bytes(), content_type="text/css", headers={"Cache-Control": "max-age=3600"})


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    web = Blueprint("web", __name__, template_folder="templates")
    web.register_blueprint(pages.routes)
    view: Any = public(style)
    web.add_url_rule("/static/style.css", "style", view)
    return [Surface("web", "", web, answer)]
