"""One view as OpenAPI has it: what it takes, what it answers, and which errors there are in its surface's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from werkzeug.routing import Rule

from roci import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    RociError,
    Surface,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

from ..http import JSON, WRITES, Documented, documented
from .schemas import Schemas, Wanted

ERRORS = {
    400: "The request cannot be read, or breaks a rule; the message names the field and the reason.",
    401: "Nobody is signed in.",
    403: "The caller may not do this.",
    404: "There is no such thing.",
    409: "Its state does not allow this.",
    413: "The body is too large.",
    422: "The request cannot be read, or breaks a rule; the message names the field and the reason.",
    429: "Too much at once, or too many attempts.",
    500: "It was tried, and it failed.",
    503: "Something this depends on does not answer.",
    504: "It did not end within the time.",
}
HEADERS: Mapping[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}
CONVERTED: Mapping[str, dict[str, Any]] = {
    "IntegerConverter": {"type": "integer", "minimum": 0},
    "UUIDConverter": {"type": "string", "format": "uuid"},
}


def wanted(surface: Surface, note: Documented) -> Iterator[Wanted]:
    """The models that the description of a view names."""
    yield from ((body, "serialization") for body in bodies(surface).values())
    if note.result is not None:
        yield note.result, "serialization"
    if note.body is not None:
        yield note.body, "validation"


def bodies(surface: Surface) -> dict[int, Any]:
    """A surface's types of error bodies by status; those of all others under 0."""
    types = surface.error_body
    return dict(types) if isinstance(types, Mapping) else {0: types}


def operation(surface: Surface, rule: Rule, method: str, view: Any, schemas: Schemas) -> dict[str, Any]:
    note = documented(view)
    summary, _, more = (view.__doc__ or "").strip().partition("\n")
    described: dict[str, Any] = {
        "operationId": f"{rule.endpoint.replace('.', '_')}_{method.lower()}",
        "tags": [tag(surface, rule)],
        "summary": summary,
        "parameters": [*_path(rule, note), *_query(note)],
        "responses": {**_good(note, schemas), **_bad(surface, rule, method, note, schemas)},
    }
    if more.strip():
        described["description"] = " ".join(more.split())
    if (security := _security(note)) is not None:
        described["security"] = security
    if note.access != "public":
        described["x-permission"] = note.access
    if note.body is not None:
        content = {media: {"schema": schemas.of(note.body, "validation")} for media in note.takes}
        described["requestBody"] = {"required": _is_required(note), "content": content}
    return described


def tag(surface: Surface, rule: Rule) -> str:
    """The surface and the noun; operations are listed by it."""
    return " ".join(dict.fromkeys([surface.name, rule.endpoint.split(".")[-2]]))


def _is_required(note: Documented) -> bool:
    """Where nothing at all is read as {}, its missing fields are missed."""
    fields = note.body.model_fields.values() if note.body else ()
    return not note.body_optional or any(field.is_required() for field in fields)


def _security(note: Documented) -> list[dict[str, list[str]]] | None:
    """Which kinds of credentials are good; None: those of the whole document."""
    if note.access == "public":
        return []
    if note.credentials:
        return [{name: []} for name in note.credentials]
    return [{"bearer": []}, {"cookie": []}, {"hostKey": []}] if note.hosts_too else None


def _path(rule: Rule, note: Documented) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        found = CONVERTED.get(type(rule._converters[name]).__name__, {"type": "string"})
        schema = {**found, "format": "uuid"} if _is_uuid(name, note) else found
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _is_uuid(name: str, note: Documented) -> bool:
    """A guarded view reads the parameter `id` as one; of others it is said."""
    return name in note.uuids or (name == "id" and note.is_guarded)


def _query(note: Documented) -> Iterator[dict[str, Any]]:
    """Every query parameter may be left out."""
    for name, kind in note.query.items():
        yield {"name": name, "in": "query", "schema": {"type": kind} if isinstance(kind, str) else dict(kind)}


def _good(note: Documented, schemas: Schemas) -> dict[str, Any]:
    well: dict[str, Any] = {"description": "It went well."}
    if 300 <= note.status < 400:
        well = {"description": "Go on there.", "headers": {"Location": {"schema": {"type": "string"}}}}
    elif note.status != 204:
        schema = schemas.of(note.result) if note.result is not None else {}
        as_text = {media: {"schema": {"type": "string"}} for media in note.other_media}
        well["content"] = {note.media: {"schema": schema}, **as_text}
    return {str(status): well for status in (note.status, *note.also)}


def _bad(surface: Surface, rule: Rule, method: str, note: Documented, schemas: Schemas) -> dict[str, Any]:
    known = bodies(surface)
    found: dict[str, Any] = {}
    for status in sorted({surface.answer(kind("…"))[1] for kind in errors(rule, method, note)}):
        schema = schemas.of(known.get(status, known.get(0)))
        found[str(status)] = {"description": ERRORS.get(status, "It failed."), "content": {JSON: {"schema": schema}}}
        if status in HEADERS:
            found[str(status)]["headers"] = HEADERS[status]
    return found


def errors(rule: Rule, method: str, note: Documented) -> Iterable[type[RociError]]:
    """What can go wrong: as far as the declaration of the view tells, and what it says itself."""
    yield from note.errors
    if note.access != "public":
        yield from (Unauthenticated, Forbidden)
    if rule.arguments:
        yield NotFound
    if any(_is_uuid(name, note) for name in rule.arguments) or note.query:
        yield Malformed
    if note.body is not None:
        yield from (Malformed, Invalid, TooLarge)
    if method in WRITES:
        yield from (Conflict, Unavailable)
