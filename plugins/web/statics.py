"""Our own scripts, styles and icon. What they are is in their address, so browsers keep them for good."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from quart import Blueprint, Response, request

from roci import NotFound

from ..surfaces.http import public

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_GOOD = "public, max-age=31536000, immutable"
ICON = "icon.svg"

routes = Blueprint("statics", __name__)


@functools.cache
def files() -> dict[str, tuple[bytes, str]]:
    """All there is, with the beginning of its hash; nothing else is looked for."""
    found = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
    return {name: (content, hashlib.sha256(content).hexdigest()[:12]) for name, content in found.items()}


def url(name: str) -> str:
    """The address of a file as it is now."""
    return f"/static/{name}?v={files()[name][1]}"


@routes.get("/static/<name>")
@public
async def show(name: str) -> Response:
    """One file."""
    if name not in files():
        raise NotFound(f"there is no file {name[:100]!r}")
    content, version = files()[name]
    lasts = FOR_GOOD if request.args.get("v") == version else "max-age=3600"
    return Response(content, content_type=TYPES[Path(name).suffix], headers={"Cache-Control": lasts})


@routes.get("/favicon.ico")
@public
async def favicon() -> Response:
    """Where browsers look when no page tells them."""
    return await show(ICON)
