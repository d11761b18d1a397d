"""The wire shapes of people, tokens, roles, bindings and decisions: what comes in, what goes out. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr, WithJsonSchema
from typing_extensions import TypedDict

from roci import Actor

from ...auth.passwords import LONGEST, SHORTEST
from ...domain import credentials, principals, roles, spaces
from ...domain.access import Explanation, Source
from ...domain.credentials import Token
from ...domain.model import wire_time
from ...domain.principals import Principal
from ...domain.roles import Binding, Role
from ...domain.rules import Grant
from .shapes import Body, Id


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError:
        raise ValueError("this is no time") from None


When = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_in_utc)]
Name = Annotated[str, Field(json_schema_extra={"pattern": f"^{principals.NAME.pattern}$"})]
RoleName = Annotated[str, Field(json_schema_extra={"pattern": f"^{roles.NAME.pattern}$"})]
PRINTABLE: dict[str, Any] = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}  # about what check_lines lets pass
Line = Annotated[str, Field(max_length=200, json_schema_extra=PRINTABLE)]
Text = Annotated[str, Field(max_length=10_000)]
Described = Annotated[Text, Field(json_schema_extra=PRINTABLE)]
Scopes = Annotated[
    list[Annotated[str, Field(pattern=f"^{credentials.SCOPE.pattern}$")]], Field(min_length=1, max_length=100)
]
Email = Annotated[str, Field(max_length=255, json_schema_extra={"pattern": f"^({principals.EMAIL.pattern})?$"})]
# A secret, so that no message or log can show it.
Password = Annotated[SecretStr, Field(strict=False, json_schema_extra={"minLength": SHORTEST, "maxLength": LONGEST})]


def _fixed(value: Any) -> Any:
    raise ValueError("cannot be changed")


# Refused rather than ignored: who sends one believes that it took.
Fixed = Annotated[Any, AfterValidator(_fixed), WithJsonSchema({"not": {}}), Field(default_factory=lambda: None)]


class NewUser(Body):
    name: Name
    kind: Literal["person", "service"] = "person"
    email: Email = ""
    display_name: Line = ""
    description: Described | None = None
    password: Password | None = None


class UserChanges(Body):
    name: Fixed
    email: Email | None = None
    display_name: Line | None = None
    description: Described | None = None


class OwnChanges(Body):
    name: Fixed
    email: Email | None = None
    display_name: Line | None = None


class NewPassword(Body):
    password: Password
    current_password: Annotated[SecretStr, Field(strict=False)] | None = None


class NewToken(Body):
    name: str = Field(min_length=1, max_length=100, json_schema_extra=PRINTABLE)
    scopes: Scopes | None = None
    expires_at: When | None = None
    user: str | None = Field(None, max_length=255)


class RuleIn(Body):
    action: str = Field(min_length=1, max_length=300)
    resource: str = Field("*", max_length=300)


class NewRole(Body):
    name: RoleName
    description: Text | None = None
    rules: list[RuleIn] = Field([], max_length=1000)
    inherits: list[RoleName] = Field([], max_length=100)


class RoleChanges(Body):
    name: Fixed
    description: Text | None = None
    rules: list[RuleIn] | None = Field(None, max_length=1000)
    inherits: list[RoleName] | None = Field(None, max_length=100)


def _space_name(text: str) -> str:
    if not spaces.is_name(text):
        raise ValueError("no space can have this name")
    return text


class NewBinding(Body):
    subject: Annotated[str, Field(pattern=f"^{principals.NAME.pattern}$")]
    role: RoleName
    space: Annotated[str, Field(pattern=f"^{spaces.NAME.pattern}$"), AfterValidator(_space_name)] | None = None


# --- out ---------------------------------------------------------------------


class UserOut(TypedDict):
    id: Id
    name: str
    kind: Literal["person", "service", "agent", "assistant"]
    email: str
    display_name: str
    description: str | None
    administrator: bool
    disabled: bool
    space: str | None
    has_password: bool
    created_at: str
    last_login_at: str | None


class Users(TypedDict):
    users: list[UserOut]
    total: int


class GrantOut(TypedDict):
    action: str
    resource: str
    space: str | None


class Me(TypedDict):
    """`permissions` are those held for the whole of ROCI, with this credential; `grants` all that roles give."""

    id: str
    name: str
    kind: str
    email: str
    display_name: str
    administrator: bool
    via: str
    scopes: list[str] | None
    permissions: list[str]
    grants: list[GrantOut]


class TokenOut(TypedDict):
    id: Id
    name: str
    user: str
    user_id: Id
    scopes: list[str] | None
    state: Literal["valid", "expired", "revoked"]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class IssuedToken(TokenOut):
    """`token` is the secret itself. It is not shown again."""

    token: str


class Tokens(TypedDict):
    tokens: list[TokenOut]
    total: int


class RuleOut(TypedDict):
    action: str
    resource: str


class RoleOut(TypedDict):
    """`text` is the role as it was written in its dialect, where that is not this one."""

    name: str
    description: str | None
    dialect: str
    rules: list[RuleOut]
    inherits: list[str]
    built_in: bool
    text: Any
    created_at: str
    updated_at: str


class Roles(TypedDict):
    roles: list[RoleOut]
    total: int


class BindingOut(TypedDict):
    id: str
    subject: str
    role: str
    space: str | None
    created_at: str


class Bindings(TypedDict):
    bindings: list[BindingOut]
    total: int


class SourceOut(GrantOut):
    """A rule that somebody has: from which role, through which binding."""

    role: str
    bound_role: str
    binding_id: str


class ExplanationOut(TypedDict):
    subject: str
    action: str
    resource: str
    allowed: bool
    why: str
    because: list[SourceOut]
    nearly: list[SourceOut]


class PermissionOut(TypedDict):
    name: str
    meaning: str


class Permissions(TypedDict):
    permissions: list[PermissionOut]
    total: int


def user(row: Principal) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "email": row.email,
        "display_name": row.display_name,
        "description": row.description,
        "administrator": row.administrator,
        "disabled": row.disabled,
        "space": row.space,
        "has_password": row.password_hash is not None,
        "created_at": wire_time(row.created_at),
        "last_login_at": wire_time(row.last_login_at),
    }


def me(who: Actor, row: Principal | None, permissions: Iterable[str], grants: Iterable[Grant]) -> dict[str, Any]:
    """`row` is None for those who are nowhere stored: anybody, where sign-in is switched off."""
    return {
        "id": who.id,
        "name": who.name,
        "kind": who.kind,
        "email": row.email if row else "",
        "display_name": row.display_name if row else "",
        "administrator": row.administrator if row else "*" in who.rights,
        "via": who.via,
        "scopes": None if who.scopes is None else sorted(who.scopes),
        "permissions": sorted(permissions),
        "grants": [each._asdict() for each in grants],
    }


def token(row: Token, moment: datetime.datetime) -> dict[str, Any]:
    is_over = row.expires_at is not None and row.expires_at <= moment
    return {
        "id": row.id,
        "name": row.name,
        "user": row.principal.name,
        "user_id": row.principal.id,
        "scopes": row.scopes,
        "state": "revoked" if row.revoked_at else "expired" if is_over else "valid",
        "created_at": wire_time(row.created_at),
        "expires_at": wire_time(row.expires_at),
        "last_used_at": wire_time(row.last_used_at),
        "revoked_at": wire_time(row.revoked_at),
    }


def role(row: Role) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "dialect": row.dialect,
        "rules": [rule._asdict() for rule in row.grants],
        "inherits": row.inherits,
        "built_in": row.built_in,
        "text": row.text,
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
    }


def binding(row: Binding) -> dict[str, Any]:
    return {
        "id": row.id,
        "subject": row.subject,
        "role": row.role,
        "space": row.space,
        "created_at": wire_time(row.created_at),
    }


def explanation(subject: str, action: str, resource: str, found: Explanation) -> dict[str, Any]:
    return {
        "subject": subject,
        "action": action,
        "resource": resource,
        "allowed": found.allowed,
        "why": found.why,
        "because": [_source(each) for each in found.because],
        "nearly": [_source(each) for each in found.nearly],
    }


def _source(each: Source) -> dict[str, Any]:
    bound = each.binding
    return {**each.grant._asdict(), "role": each.role, "bound_role": bound.role, "binding_id": bound.id}
