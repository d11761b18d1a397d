"""The pages, server-rendered: signing in and out, the first run, one's account, and what /openapi.json says. They call
what the API calls.
"""

from __future__ import annotations

from urllib.parse import urlencode

from quart import Blueprint, Request, current_app, has_websocket_context, redirect, request

from roci import Answer, Roci, RociError, Surface, Unauthenticated, hookimpl

from ..surfaces.native.errors import answer as native_answer
from . import account, assets, docs, first, language, live, oidc, pages, second, shell, statics
from .forms import forget_said, segment


def wants_json() -> bool:
    """Whether the client is a program: it sends JSON, or asks for nothing but JSON."""
    accepted = request.accept_mimetypes
    return request.mimetype == "application/json" or (accepted.best == "application/json" and not accepted.accept_html)


def opens_own_page() -> bool:
    """Whether a browser opens one of the pages for who is signed in. Programs do not ask for text/html by name."""
    view = current_app.view_functions.get(request.endpoint or "")
    is_open = getattr(view, "access", "public") == "public"
    return request.method == "GET" and not is_open and "text/html" in request.headers.get("Accept", "")


def claims(request: Request, body: bytes) -> bool:
    """Of addresses that nobody has, those that a browser opens are ours."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


def answer(error: RociError) -> Answer:
    """A small page, or the way to the sign-in page and back; JSON for programs."""
    if has_websocket_context() or wants_json():
        return native_answer(error)
    if isinstance(error, Unauthenticated) and opens_own_page():
        return redirect(f"/login?{urlencode({'next': request.path})}", 303), 303
    return pages.error_page(error), error.status


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    web = Blueprint("web", __name__, template_folder="templates")
    language.record(web)
    web.add_app_template_filter(segment)
    web.after_request(forget_said)
    pages_of_all = shell.Shell(roci)
    roci.provide(pages_of_all)
    for routes in (
        *(part.routes for part in (pages, first, second, oidc, account, docs, statics, assets, live)),
        *pages_of_all.routes,
    ):
        web.register_blueprint(routes)
    return [Surface("web", "", web, answer, claims)]
