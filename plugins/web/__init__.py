"""The pages, server-rendered: signing in and out, the first run, one's account, and what /openapi.json says. They call
what the API calls.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from quart import Blueprint, Response, current_app, has_websocket_context, redirect, request

from roci import Answer, Roci, RociError, Surface, Unauthenticated, hookimpl

from ..surfaces.http import public
from ..surfaces.native.errors import answer as native_answer
from . import account, assets, docs, live, oidc, pages, second, shell

STATIC = Path(__file__).parent / "static"
ICON = "icon.svg"
# All there is: nothing else is looked for.
FILES = {
    "style.css": "text/css",
    "app.css": "text/css",
    "app.js": "text/javascript",
    "passkeys.js": "text/javascript",
    "docs.js": "text/javascript",
    ICON: "image/svg+xml",
}


def wants_json() -> bool:
    """Whether the client is a program: it sends JSON, or asks for nothing but JSON."""
    accepted = request.accept_mimetypes
    return request.mimetype == "application/json" or (accepted.best == "application/json" and not accepted.accept_html)


def opens_own_page() -> bool:
    """Whether a browser opens one of the pages for who is signed in. Programs do not ask for text/html by name."""
    view = current_app.view_functions.get(request.endpoint or "")
    is_open = getattr(view, "access", "public") == "public"
    return request.method == "GET" and not is_open and "text/html" in request.headers.get("Accept", "")


def answer(error: RociError) -> Answer:
    """A small page, or the way to the sign-in page and back; JSON for programs."""
    if has_websocket_context() or wants_json():
        return native_answer(error)
    if isinstance(error, Unauthenticated) and opens_own_page():
        return redirect(f"/login?{urlencode({'next': request.path})}", 303), 303
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
    for part in (pages, second, oidc, account, docs, assets, live):
        web.register_blueprint(part.routes)
    for page in shell.pages_of(roci):
        web.register_blueprint(page.routes)
    for name in FILES:
        web.add_url_rule(f"/static/{name}", name.replace(".", "_"), static_file(name))
    web.add_url_rule("/favicon.ico", "favicon", static_file(ICON))  # where browsers look when no page tells them
    return [Surface("web", "", web, answer)]
