"""Operations that several surfaces serve on one path: one operation with the words of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Served = Mapping[str, dict[str, Any]]  # by the name of the surface
DIALECT = "X-ROCI-Dialect"


def merge(served: Served, media: Mapping[str, str]) -> dict[str, Any]:
    """`media` are what a client sends as Accept to choose a surface, by its name."""
    operations = list(served.values())
    merged = {
        "operationId": operations[0]["operationId"],
        "tags": list(dict.fromkeys(tag for each in operations for tag in each["tags"])),
        "summary": " / ".join(dict.fromkeys(each["summary"] for each in operations)),
        "description": _description(served, media),
        "parameters": _parameters(operations),
        "responses": _responses(served),
    }
    if bodies := [each["requestBody"] for each in operations if "requestBody" in each]:
        required = len(bodies) == len(operations) and all(body["required"] for body in bodies)
        merged["requestBody"] = {"required": required, "content": _content(bodies)}
    if any("security" in each for each in operations):
        merged["security"] = _security(operations)
    merged["x-permission"] = {name: each.get("x-permission", "public") for name, each in served.items()}
    return merged


def _description(served: Served, media: Mapping[str, str]) -> str:
    lines = [
        f"- **{name}** (`Accept: {media[name]}`): {each['summary']} {each.get('description', '')}".rstrip()
        for name, each in served.items()
    ]
    return "\n".join(
        ["Served in several dialects; which one answers, the token, the body or `Accept` decides.\n", *lines]
    )


def _parameters(operations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of all. Where two differ about the form of one, it is what both allow: text."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in (parameter for operation in operations for parameter in operation["parameters"]):
        key = each["in"], each["name"]
        known = found.setdefault(key, each)
        if known["schema"] != each["schema"]:
            found[key] = {**known, "schema": _any([known["schema"], each["schema"]])}
    return list(found.values())


def _responses(served: Served) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in served.values():
        for status, response in each["responses"].items():
            found.setdefault(status, []).append(response)
    return {status: _response(found[status], list(served)) for status in sorted(found)}


def _response(responses: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    headers = {DIALECT: {"description": "Which dialect this is.", "schema": {"type": "string", "enum": names}}}
    for response in responses:
        headers |= response.get("headers", {})
    merged: dict[str, Any] = {"description": responses[0]["description"], "headers": headers}
    if any("content" in response for response in responses):
        merged["content"] = _content(responses)
    return merged


def _content(bodies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for body in bodies:
        for media, content in body.get("content", {}).items():
            found.setdefault(media, []).append(content["schema"])
    return {media: {"schema": _any(schemas)} for media, schemas in found.items()}


def _any(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """`anyOf`, not `oneOf`: a body may read the same in two dialects."""
    different = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _security(operations: list[dict[str, Any]]) -> list[dict[str, list[str]]]:
    """Whatever one of them takes; {} is nobody at all. Where all are public, nothing."""
    if all(each.get("security") == [] for each in operations):
        return []
    usual: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
    asked = [each.get("security", usual) or [{}] for each in operations]
    found = [one for each in asked for one in each]
    return [one for number, one in enumerate(found) if one not in found[:number]]
