"""What secrets look like on the wire of /api/v1."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ...domain.model import wire_time
from ...domain.secrets import SCOPE
from ...work.vault import Entry
from .shapes import Body


class NewSecret(Body):
    scope: Annotated[str, Field(json_schema_extra={"pattern": f"^({SCOPE.pattern})$"})] | None = None
    value: str
    description: str | None = Field(None, max_length=10_000)


class SecretOut(TypedDict):
    scope: str
    name: str
    description: str
    created_by: str | None
    created_at: str | None
    updated_at: str | None
    store: str
    value: NotRequired[str]


class Secrets(TypedDict):
    secrets: list[SecretOut]
    total: int


def secret(entry: Entry) -> dict[str, Any]:
    stored = entry.stored
    return {
        "scope": entry.scope,
        "name": stored.name,
        "description": stored.description,
        "created_by": stored.created_by,
        "created_at": wire_time(stored.created_at),
        "updated_at": wire_time(stored.updated_at),
        "store": entry.store,
    }
