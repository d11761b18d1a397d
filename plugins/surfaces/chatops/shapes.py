"""The wire shapes of this surface: what comes in (pydantic models), what goes out. Pure."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ...domain.hostkeys import LONGEST_NAME, HostKey
from ...domain.model import wire_time
from ...domain.principals import EMAIL, NAME, Principal

SHORTEST = 8  # characters of a password here
Password = Annotated[str, Field(min_length=SHORTEST, max_length=1024)]


class Body(BaseModel):
    """What a client sends. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, defer_build=True)


def _email(text: str) -> str:
    if not EMAIL.fullmatch(text.strip()):
        raise ValueError("value is not a valid email address")
    return text.strip()


def _username(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("letters, digits and . _ @ + - only, at most 255")
    return text


def _same(text: str, info: ValidationInfo, other: str) -> str:
    if other in info.data and text != info.data[other]:
        raise ValueError("passwords do not match")
    return text


class Registration(Body):
    email: Annotated[str, AfterValidator(_email)]
    username: Annotated[str, AfterValidator(_username)]
    password: Password
    password_confirm: str
    full_name: str | None = Field(None, max_length=255)

    @field_validator("password_confirm")
    @classmethod
    def _repeats(cls, text: str, info: ValidationInfo) -> str:
        return _same(text, info, "password")


class Login(Body):
    username: str
    password: str
    otp: str | None = None


class Refresh(Body):
    refresh_token: str


class Profile(Body):
    full_name: str | None = Field(None, max_length=255)


class PasswordChange(Body):
    current_password: str
    new_password: Password
    new_password_confirm: str

    @field_validator("new_password_confirm")
    @classmethod
    def _repeats(cls, text: str, info: ValidationInfo) -> str:
        return _same(text, info, "new_password")


def in_utc(moment: datetime.datetime) -> datetime.datetime:
    """Without a zone it is in UTC already."""
    try:
        return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    except OverflowError:
        raise ValueError("this is no time") from None


class NewKey(Body):
    server_id: uuid.UUID
    name: str | None = Field(None, max_length=LONGEST_NAME)
    expires_at: Annotated[datetime.datetime, AfterValidator(in_utc)] | None = None


class WhichKeys(Body):
    active_only: bool = False


# --- out ---


def user(row: Principal) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "username": row.name,
        "full_name": row.display_name or None,
        "is_active": not row.disabled,
        "created_at": wire_time(row.created_at),
    }


def key(row: HostKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "server_id": row.host_id,
        "created_at": wire_time(row.created_at),
        "is_active": row.is_active,
        "last_used": wire_time(row.last_used_at),
        "expires_at": wire_time(row.expires_at),
    }


def own_key(row: HostKey) -> dict[str, Any]:
    """What a key is told of itself."""
    return {"server_id": row.host_id, "key_id": row.id, "name": row.name, "is_active": row.is_active}


def done(message: str) -> dict[str, str]:
    return {"message": message}
