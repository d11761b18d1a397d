"""The wire shapes of this surface: what comes in (pydantic models), what goes out (functions). Pure.

Case is mixed as in the original: people, roles and tokens are camelCase.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from ...domain.model import wire_time
from ...domain.principals import Principal
from ...domain.providers import Provider
from ...domain.roles import Binding, Role
from .permissions import keys_of


class Body(BaseModel):
    """What a client sends. Unknown fields are ignored; types are taken as they are."""

    model_config = ConfigDict(strict=True, extra="ignore", defer_build=True)


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(f"invalid UUID: {text[:50]!r}") from None


Id = Annotated[str, AfterValidator(_uuid)]
Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Description = Annotated[str, StringConstraints(max_length=10_000)]


class Registration(Body):
    email: Text
    password: Text
    display_name: str | None = Field(None, max_length=200, validation_alias=AliasChoices("displayName", "display_name"))


class Login(Body):
    email: Text
    password: Text
    otp: str | None = None


class Refresh(Body):
    refresh_token: Text = Field(validation_alias="refreshToken")


class NewProvider(Body):
    id: Name
    display_name: Name = Field(validation_alias=AliasChoices("displayName", "display_name"))
    issuer: Text = Field(validation_alias=AliasChoices("issuerUrl", "issuer_url"))
    client_id: Name = Field(validation_alias=AliasChoices("clientId", "client_id"))
    client_secret: Secret | None = Field(None, validation_alias=AliasChoices("clientSecret", "client_secret"))
    scopes: list[str] = ["openid", "email", "profile"]
    auto_register: bool = Field(True, validation_alias=AliasChoices("autoRegister", "auto_register"))
    default_role: Name = Field("base", validation_alias=AliasChoices("defaultRole", "default_role"))
    role_claim: Name | None = Field(None, validation_alias=AliasChoices("roleClaim", "role_claim"))
    enabled: bool = True


class IdToken(Body):
    provider_id: Text = Field(validation_alias=AliasChoices("providerId", "provider_id"))
    id_token: Text = Field(validation_alias=AliasChoices("idToken", "id_token"))
    otp: str | None = None


class Nonce(Body):
    nonce: Text
    otp: str | None = None


class NewRole(Body):
    name: Name
    description: Description | None = None
    inherits: list[str] = []
    permissions: list[str] = []


class RoleChanges(Body):
    description: Description | None = None
    inherits: list[str] | None = None
    permissions: list[str] | None = None


class Assignment(Body):
    user_id: Id = Field(validation_alias="userId")
    role: Text


class NewSecret(Body):
    key: Text = Field(pattern=r"^[A-Za-z0-9_]+$")
    value: str


# --- out ---------------------------------------------------------------------


def message(text: str) -> dict[str, Any]:
    return {"message": text}


def user(person: Principal) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "displayName": person.display_name or None,
        "createdAt": person.created_at.astimezone(datetime.UTC).isoformat(timespec="seconds"),
    }


def role(row: Role) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "inherits": row.inherits,
        "permissions": keys_of(row.dialect, row.text, row.grants),
    }


def assignment(binding: Binding, user_id: str) -> dict[str, Any]:
    return {"userId": user_id, "role": binding.role, "assignedAt": wire_time(binding.created_at)}


def effective(roles: Iterable[str], permissions: Iterable[str]) -> dict[str, Any]:
    return {"roles": sorted(roles), "permissions": sorted(permissions)}


def provider(row: Provider) -> dict[str, Any]:
    return {"id": row.name, "displayName": row.display_name}
