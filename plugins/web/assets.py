"""The browser libraries that the build brings in. Their version is in their address, so browsers keep them for good."""

from __future__ import annotations

import asyncio
import functools
import gzip
from pathlib import Path

from quart import Blueprint, Response, request

from roci import NotFound

from ..surfaces.http import public

FOLDER = Path(__file__).parent / "static" / "vendor"
STAMP = FOLDER / "VERSION"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
FOR_GOOD = "public, max-age=31536000, immutable"

routes = Blueprint("assets", __name__, url_prefix="/static/vendor")


@functools.cache
def version() -> str | None:
    """Which list of libraries these are of; None: this ROCI was built without, or is a checkout that lacks them."""
    return STAMP.read_text().strip() if STAMP.exists() else None


@functools.cache
def files() -> dict[str, Path]:
    """By the name they are asked for; all there is, and nothing else is looked for."""
    return {str(path.relative_to(FOLDER))[: -len(".gz")]: path for path in sorted(FOLDER.rglob("*.gz"))}


def url(name: str) -> str:
    """The address of a library: `ace/ace.js`; of a folder of them: `ace`."""
    return f"/static/vendor/{version()}/{name}"


@routes.get("/<asked>/<path:name>")
@public
async def show(asked: str, name: str) -> Response:
    """One file. A page that is older than this server gets what there is now, and keeps it for no longer than it is."""
    path = files().get(name)
    if path is None:
        raise NotFound(f"there is no library file {name[:100]!r}")
    headers = {
        "ETag": f'"{version()}"',
        "Vary": "Accept-Encoding",
        "Cache-Control": FOR_GOOD if asked == version() else "no-cache",
        "Content-Type": TYPES[Path(name).suffix],
    }
    if request.if_none_match.contains(version() or ""):
        return Response(status=304, headers=headers)
    content = await asyncio.to_thread(path.read_bytes)
    if request.accept_encodings["gzip"]:
        headers["Content-Encoding"] = "gzip"
    else:
        content = await asyncio.to_thread(gzip.decompress, content)
    return Response(content, headers=headers)
