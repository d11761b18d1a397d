"""What this surface answers, for /openapi.json. `shapes` makes them."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Message(TypedDict):
    message: str


class User(TypedDict):
    id: str
    email: str | None
    displayName: str | None
    createdAt: str


class Registered(TypedDict):
    user: User


class AccessToken(TypedDict):
    accessToken: str
    expiresIn: int


class Tokens(AccessToken):
    refreshToken: str


class SignedIn(Tokens):
    user: User


class Provider(TypedDict):
    id: str
    displayName: str


class Mode(TypedDict):
    authRequired: bool
    setupRequired: bool
    passwordLoginEnabled: bool
    magicLinkEnabled: bool
    providers: list[Provider]


class Role(TypedDict):
    name: str
    description: str | None
    inherits: list[str]
    permissions: list[str]


class Assigned(TypedDict):
    userId: str
    role: str
    assignedAt: str


class Effective(TypedDict):
    roles: list[str]
    permissions: list[str]


class PermissionKey(TypedDict):
    key: str
    description: str


class SecretChanged(Message):
    workers_restarted: int


class Change(TypedDict):
    """A row of a table that changed."""

    id: int
    table_schema: str
    table_name: str
    record_id: str
    operation: str
    old_record: dict[str, Any] | None
    new_record: dict[str, Any] | None
    changed_at: str
    actor_uid: str
    delegator_uid: str | None
    trigger_ref: str | None


class Runtime(TypedDict):
    version: str
    state: str


class Database(TypedDict):
    state: str
    port: int | None
    data_dir: str | None


class Forge(TypedDict):
    state: str
    port: int | None


class Status(TypedDict):
    runtime: Runtime
    postgres: Database
    forge: Forge


class Alive(TypedDict):
    """With `full=true`, to who is signed in, what it uses too."""

    status: str
    memory: NotRequired[dict[str, int | None]]
    cpu: NotRequired[dict[str, float | None]]
    disk: NotRequired[dict[str, int] | None]
    database: NotRequired[dict[str, bool]]
