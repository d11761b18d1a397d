"""What signing in and keys of hosts answer, for /openapi.json. `shapes` makes them."""

from __future__ import annotations

from typing_extensions import TypedDict


class Message(TypedDict):
    message: str


class User(TypedDict):
    id: str
    email: str | None
    username: str
    full_name: str | None
    is_active: bool
    created_at: str


class AccessToken(TypedDict):
    access_token: str
    token_type: str


class Tokens(AccessToken):
    refresh_token: str
    user: User


class Key(TypedDict):
    id: str
    name: str | None
    server_id: str
    created_at: str
    is_active: bool
    last_used: str | None
    expires_at: str | None


class NewlyMadeKey(Key):
    """The one time that the key itself is shown."""

    key: str


class OwnKey(TypedDict):
    """What a key is told of itself."""

    server_id: str
    key_id: str
    name: str | None
    is_active: bool
