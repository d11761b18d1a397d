"""The pages, server-rendered: signing in and out, the first run, one's account. They call what the API calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quart import Blueprint, Response, has_websocket_context, request

from roci import Answer, Roci, RociError, Surface, hookimpl

from ..surfaces.http import public
from ..surfaces.native.errors import answer as native_answer
from . import account, oidc, pages, second

STATIC = Path(__file__).parent / "static"
FILES = {"style.css": "text/css", "passkeys.js": "text/javascript"}  # all there is: nothing else is looked for


def wants_json() -> bool:
    """Whether the client is a program: it sends JSON, or asks for nothing but JSON."""
    accepted = request.accept_mimetypes
    return request.mimetype == "application/json" or (accepted.best == "application/json" and not accepted.accept_html)


def answer(error: RociError) -> Answer:
    """A small page; JSON for programs."""
    if has_websocket_context() or wants_json():
        return native_answer(error)
    return pages.error_page(error), error.status


def static_file(name: str) -> Any:
    """The view of one file."""

    async def view() -> Response:
        content = (STATIC / name).read_bytes()
        return Response(content, content_type=FILES[name], headers={"Cache-Control": "max-age=3600"})

    return public(view)


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    web = Blueprint("web", __name__, template_folder="templates")
    for part in (pages, second, oidc, account):
        web.register_blueprint(part.routes)
    for name in FILES:
        web.add_url_rule(f"/static/{name}", name.replace(".", "_"), static_file(name))
    return [Surface("web", "", web, answer)]
