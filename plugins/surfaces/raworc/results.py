"""What this surface answers, for /openapi.json. `shapes` makes them."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Done(TypedDict):
    success: bool


class Healthy(TypedDict):
    """With `verbose`; the text OK or ERROR without."""

    status: str
    problems: list[str]


class Version(TypedDict):
    version: str
    api: str
    server: str


class Token(TypedDict):
    token: str
    token_type: str
    expires_at: str


class Me(TypedDict):
    user: str
    namespace: str | None
    type: str


class Times(TypedDict):
    created_at: str
    updated_at: str


class Account(Times):
    id: str
    user: str
    space: str | None
    description: str | None
    active: bool
    last_login_at: str | None


class Rule(TypedDict):
    resources: list[str]
    verbs: list[str]
    scope: str
    apiGroups: NotRequired[list[str]]


class Role(TypedDict):
    id: str
    name: str
    description: str | None
    rules: list[Rule]
    created_at: str


class Binding(Times):
    id: str
    subject: str
    role_ref: str
    space: str | None


class Space(Times):
    name: str
    description: str | None
    settings: dict[str, Any]
    active: bool
    created_by: str | None


class Secret(Times):
    """`value` only where it was asked for by who may see it."""

    space: str
    key_name: str
    description: str | None
    created_by: str | None
    value: NotRequired[str]
