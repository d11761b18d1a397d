"""GET /openapi.json: what every described surface serves, read off its views. Built at the first request, then kept.

Own code, since the libraries for it want to own validation too: the bodies here are the very models that
requests are read with, and pydantic writes their schemas. What a view says of itself is in `http.Documented`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import msgspec
from quart import Blueprint, Quart, Response, current_app
from werkzeug.routing import Rule

from roci import Answer, Roci, RociError, Surface, __version__, hookimpl

from .description.operations import operation, tag, wanted
from .description.schemas import Schemas
from .description.shared import merge
from .dialect import MEDIA
from .http import JSON, documented, public

routes = Blueprint("openapi", __name__)
CREDENTIALS = {
    "cookie": {"type": "apiKey", "in": "cookie", "name": "roci_session", "description": "Set by signing in at /login."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of ours, or one that a dialect signed."},
    "hostKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key of a host."},
    "automationKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "rca_…",
        "description": "A key of a CI system.",
    },
}
ABOUT = """\
Programs sign in with `POST /login`, JSON with `username` and `password`, which sets the cookie; or send a token as
`Authorization: Bearer`. Any credential works on every surface, but for the keys of hosts and of CI systems."""


class Served(NamedTuple):
    """A view, where it is and whose."""

    surface: Surface
    rule: Rule
    view: Any

    @property
    def path(self) -> str:
        return _path(self.rule)

    @property
    def methods(self) -> list[str]:
        return sorted((self.rule.methods or set()) - {"HEAD", "OPTIONS"})


@routes.get("/openapi.json")
@public
async def show() -> Response:
    """This description."""
    app = cast(Any, current_app)._get_current_object()
    if "openapi" not in app.extensions:  # it takes half a second, in which others must be answered
        app.extensions["openapi"] = asyncio.ensure_future(asyncio.to_thread(_encoded, app))
    return Response(await asyncio.shield(app.extensions["openapi"]), content_type=JSON)


def _encoded(app: Quart) -> bytes:
    return msgspec.json.encode(describe(app, app.extensions["roci"]))


def describe(app: Quart, roci: Roci) -> dict[str, Any]:
    """The OpenAPI 3.1 document of one application."""
    served = list(_served(app, roci))
    schemas = _schemas(served)
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), several in sorted(_by_operation(served).items()):
        found = {
            each.surface.name: operation(each.surface, each.rule, method, each.view, schemas[each.surface.name])
            for each in several
        }
        described = next(iter(found.values())) if len(found) == 1 else merge(found, _media(found))
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "ROCI", "version": __version__, "description": _about(app, roci)},
        "paths": paths,
        "tags": [{"name": name} for names in _tags(served).values() for name in names],
        "x-tagGroups": [{"name": surface, "tags": names} for surface, names in _tags(served).items()],
        "components": {
            "schemas": {name: schema for each in schemas.values() for name, schema in each.all_.items()},
            "securitySchemes": CREDENTIALS,
        },
        "security": [{"bearer": []}, {"cookie": []}],
    }


def _served(app: Quart, roci: Roci) -> Iterator[Served]:
    """What is described. On a contested route the view is the one of the rule's own surface."""
    views = app.extensions["views"]
    for rule in app.url_map.iter_rules():
        surface = roci.surfaces.get(rule.endpoint.partition(".")[0])
        if surface and surface.error_body is not None and not rule.websocket:
            yield Served(surface, rule, views[rule.endpoint])


def _by_operation(served: list[Served]) -> dict[tuple[str, str], list[Served]]:
    found: dict[tuple[str, str], list[Served]] = {}
    for each in served:
        for method in each.methods:
            found.setdefault((each.path, method), []).append(each)
    return found


def _schemas(served: list[Served]) -> dict[str, Schemas]:
    """By surface. The first one's models have their plain names, those of others begin with the surface's."""
    models: dict[str, list[Any]] = {}
    for each in served:
        models.setdefault(each.surface.name, []).extend(wanted(each.surface, documented(each.view)))
    first = next(iter(models), "")
    return {name: Schemas("" if name == first else name.title(), found) for name, found in models.items()}


def _tags(served: list[Served]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for each in served:
        found.setdefault(each.surface.name, {})[tag(each.surface, each.rule)] = None
    return {surface: sorted(names) for surface, names in found.items()}


def _media(names: Any) -> dict[str, str]:
    """What chooses a surface on a route that others serve too."""
    return dict.fromkeys(names, JSON) | {name: media for media, name in MEDIA.items() if name in names}


def _about(app: Quart, roci: Roci) -> str:
    described = {surface.prefix for surface in roci.surfaces.values() if surface.error_body is not None}
    alone = [
        f"`{surface.prefix}`"
        for surface in roci.surfaces.values()
        if surface.error_body is None
        and any(surface.prefix.endswith(f"/{prefix[1:]}") for prefix in described if prefix)
    ]
    sockets = sorted(f"`{_path(rule)}`" for rule in app.url_map.iter_rules() if rule.websocket)
    lines = [ABOUT]
    if alone:
        lines.append(f"Dialects that share paths with others are served alone, too: {', '.join(alone)}.")
    if sockets:
        lines.append(f"Websockets, which this format has no words for: {', '.join(sockets)}.")
    return "\n\n".join(lines)


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule.rule)


def _answer(error: RociError) -> Answer:
    return {"error": {"code": error.code, "message": error.message}}, error.status


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [Surface("openapi", "", routes, _answer)]
