"""GET /openapi.json: what every described surface serves, read off its views. Built at the first request, then kept.

Own code, since the libraries for it want to own validation too: the bodies here are the very models that
requests are read with, and pydantic writes their schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from quart import Blueprint, Quart, current_app
from werkzeug.routing import Rule

from roci import Answer, Roci, RociError, Surface, __version__, hookimpl

from .http import JSON, Documented, documented, public, roci

routes = Blueprint("openapi", __name__)
UUID = {"format": "uuid"}
REFERENCE = "#/components/schemas/{model}"
ERRORS = {
    "400": "The request cannot be read, or breaks a rule; the message names the field and the reason.",
    "401": "Nobody is signed in.",
    "403": "The caller may not do this.",
    "404": "There is no such thing.",
    "409": "Its state does not allow this.",
    "413": "The body is too large.",
    "429": "Too many attempts.",
    "503": "Something this depends on does not answer.",
}


@routes.get("/openapi.json")
@public
async def show() -> Any:
    """This description."""
    app = current_app
    if "openapi" not in app.extensions:
        app.extensions["openapi"] = describe(app, roci)
    return app.extensions["openapi"]


def describe(app: Quart, roci: Roci) -> dict[str, Any]:
    """The OpenAPI 3.1 document of one application."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for surface, rule, view in _views(app, roci):
        path = re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(surface, rule, method, view, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ROCI", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.all_,
            "securitySchemes": {
                "cookie": {"type": "apiKey", "in": "cookie", "name": "roci_session"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"bearer": []}, {"cookie": []}],
    }


def _views(app: Quart, roci: Roci) -> Iterator[tuple[Surface, Rule, Any]]:
    for rule in app.url_map.iter_rules():
        surface = roci.surfaces.get(rule.endpoint.partition(".")[0])
        if surface and surface.error_body is not None and not rule.websocket:
            yield surface, rule, app.view_functions[rule.endpoint]


class _Schemas:
    """Schemas by name, each once; two models of one name are told apart by their surface's module."""

    def __init__(self) -> None:
        self.all_: dict[str, Any] = {}

    def of(self, model: Any, mode: JsonSchemaMode = "serialization") -> dict[str, Any]:
        """A reference to a model's schema, or the schema itself of something small."""
        if isinstance(model, type) and issubclass(model, BaseModel):
            _, document = models_json_schema([(model, mode)], ref_template=REFERENCE)
            self.all_ |= document.get("$defs", {})
            return {"$ref": REFERENCE.format(model=model.__name__)}
        schema = TypeAdapter(model).json_schema(mode=mode, ref_template=REFERENCE)
        self.all_ |= schema.pop("$defs", {})
        if name := getattr(model, "__name__", None) if schema.get("type") == "object" else None:
            self.all_[name] = schema
            return {"$ref": REFERENCE.format(model=name)}
        return schema


def _operation(surface: Surface, rule: Rule, method: str, view: Any, schemas: _Schemas) -> dict[str, Any]:
    note = documented(view)
    summary, _, more = (view.__doc__ or "").strip().partition("\n")
    described: dict[str, Any] = {
        "operationId": f"{rule.endpoint.replace('.', '_')}_{method.lower()}",
        "tags": [rule.endpoint.split(".")[-2]],
        "summary": summary,
        "parameters": _parameters(rule, note),
        "responses": _responses(surface, note, schemas),
    }
    if more.strip():
        described["description"] = " ".join(more.split())
    if note.access == "public":
        described["security"] = []
    else:
        described["x-permission"] = note.access
    if note.body:
        content = {JSON: {"schema": schemas.of(note.body, "validation")}}
        described["requestBody"] = {"required": not note.body_optional, "content": content}
    return described


def _parameters(rule: Rule, note: Documented) -> list[dict[str, Any]]:
    """Ids of paths are UUIDs, names are text; every query parameter may be left out."""
    limits = {"limit": {"minimum": 1, "maximum": 1000}, "offset": {"minimum": 0, "maximum": 2**53}}
    path: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", **(UUID if name == "id" else {})}}
        for name in sorted(rule.arguments)
    ]
    query = [
        {"name": name, "in": "query", "schema": {"type": kind, **limits.get(name, {})}}
        for name, kind in note.query.items()
    ]
    return path + query


def _responses(surface: Surface, note: Documented, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of(note.result) if note.result is not None else {}
    good = {str(note.status): {"description": "It went well.", "content": {note.media: {"schema": schema}}}}
    error = {JSON: {"schema": schemas.of(surface.error_body)}}
    public_view = note.access == "public"
    bad = {
        status: {"description": text, "content": error}
        for status, text in ERRORS.items()
        if not (public_view and status in ("401", "403"))
    }
    return good | bad


def _answer(error: RociError) -> Answer:
    return {"error": {"code": error.code, "message": error.message}}, error.status


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [Surface("openapi", "", routes, _answer)]
