"""/docs and /redoc: /openapi.json to read and to try out, by libraries of our own server and of no other."""

from __future__ import annotations

from quart import Blueprint, Response, render_template

from ..surfaces.http import public
from . import assets

routes = Blueprint("docs", __name__)
# Both write their styles into the page; ReDoc searches in a worker that it makes itself.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@routes.get("/docs")
@public
async def swagger() -> Response:
    """Swagger UI."""
    return await _page("swagger.html")


@routes.get("/redoc")
@public
async def redoc() -> Response:
    """ReDoc."""
    return await _page("redoc.html")


async def _page(template: str) -> Response:
    if assets.version() is None:
        return Response(await render_template("no_assets.html"), content_type="text/html; charset=utf-8")
    text = await render_template(template, url=assets.url)
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(text, content_type="text/html; charset=utf-8", headers=headers)
