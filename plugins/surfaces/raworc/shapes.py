"""The wire shapes of this surface: what comes in (pydantic models), what goes out, paging. Pure but for the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field
from quart import request

from roci import Invalid, Malformed

from ...domain import principals, spaces
from ...domain.model import wire_time
from ...domain.principals import Principal
from ...domain.roles import Binding, Role
from ...domain.rules import Rule
from ...domain.secrets import Secret
from ...domain.spaces import Space
from . import factory, grammar

T = TypeVar("T")
MOST = 1000  # rows of a page
PAGE = {"limit": {"type": "integer", "minimum": 1}, "offset": {"type": "integer", "minimum": 0}}
NAME = r"^[A-Za-z0-9_.-]{1,255}$"
KEY = r"^[A-Za-z_][A-Za-z0-9_.-]{0,254}$"
RESERVED = "RAWORC_"  # names that a handler's own environment has


class Body(BaseModel):
    """What a client sends. Unknown fields are ignored; types are taken as they are."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    def changes(self) -> dict[str, Any]:
        """The fields that were sent. Raises Invalid where there are none."""
        if not self.model_fields_set:
            raise Invalid("No fields to update")
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


Name = Annotated[str, Field(pattern=NAME)]
Subject = Annotated[str, Field(pattern=f"^{principals.NAME.pattern}$")]  # people's names may be addresses
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Words = Annotated[list[Annotated[str, Field(max_length=255)]], Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=10_000)]


class Login(Body):
    user: str
    password: str = Field(validation_alias="pass")
    otp: str | None = None


class NewAccount(Body):
    user: Name
    password: Password = Field(validation_alias="pass")
    space: Name | None = None
    description: Description | None = None


class AccountChanges(Body):
    space: Name | None = None
    description: Description | None = None
    active: bool = True


class PasswordChange(Body):
    current_password: str | None = None
    new_password: Password


def _scope(text: str) -> str:
    if text.lower() not in ("global", "space"):
        raise ValueError("must be global or space")
    return text.lower()


class RuleIn(Body):
    resources: Words
    verbs: Words
    apiGroups: list[Annotated[str, Field(max_length=255)]] | None = Field(
        None, validation_alias=AliasChoices("apiGroups", "api_groups"), max_length=100
    )
    scope: Annotated[str, AfterValidator(_scope)] | None = None


class NewRole(Body):
    id: Name = Field(validation_alias=AliasChoices("id", "name"))
    description: Description | None = None
    rules: list[RuleIn] = Field(min_length=1, max_length=100)

    def written(self) -> list[dict[str, Any]]:
        """The rules as they were sent."""
        return [rule.model_dump(exclude_unset=True) for rule in self.rules]


def _space_name(text: str) -> str:
    if not spaces.is_name(text):
        raise ValueError("no space can have this name")
    return text


class NewBinding(Body):
    subject: Subject = Field(validation_alias=AliasChoices("subject", "principal"))
    role_ref: str = Field(validation_alias=AliasChoices("role_ref", "role_name"), min_length=1, max_length=255)
    space: Annotated[Name, AfterValidator(_space_name)] | None = None
    id: Name | None = None


class NewSpace(Body):
    name: Name
    description: Description | None = None
    settings: dict[str, Any] = {}


class SpaceChanges(Body):
    name: str = ""
    description: Description | None = None
    settings: dict[str, Any] = {}
    active: bool = True


def _key(name: str) -> str:
    if name.upper().startswith(RESERVED):
        raise ValueError(f"names that begin with {RESERVED} are reserved")
    return name


class NewSecret(Body):
    key_name: Annotated[str, Field(pattern=KEY), AfterValidator(_key)]
    value: str
    description: Description | None = None


class SecretChanges(Body):
    value: str = ""
    description: Description | None = None


# --- out ---

DONE = {"success": True}


def _times(row: Principal | Binding | Space | Secret) -> dict[str, Any]:
    """When it was made and changed; a new row's two clocks were read one after the other."""
    created = row.created_at
    return {"created_at": wire_time(created), "updated_at": wire_time(max(created, row.updated_at))}


def account(row: Principal) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": row.name,
        "space": row.space,
        "description": row.description,
        "active": not row.disabled,
        **_times(row),
        "last_login_at": wire_time(row.last_login_at),
    }


def role(row: Role, granted: Sequence[Rule]) -> dict[str, Any]:
    """As it was written here, while that is still what it grants; else as well as this dialect can say it."""
    known = factory.ROLES.get(row.name) if row.built_in else None
    written = known.rules if known else row.text["rules"] if row.dialect == "raworc" else None
    as_written = written is not None and grammar.rules(written) == list(granted)
    return {
        "name": row.name,
        "description": known.description if known else row.description,
        "rules": [_rule(each) for each in written or ()] if as_written else [grammar.written(each) for each in granted],
        "created_at": wire_time(row.created_at),
        "id": row.name,
    }


def _rule(written: grammar.Written) -> dict[str, Any]:
    """Readers rely on the scope, which writers may leave out."""
    shown = {"resources": written["resources"], "verbs": written["verbs"], "scope": grammar.scope(written)}
    return shown if written.get("apiGroups") is None else shown | {"apiGroups": written["apiGroups"]}


def binding(row: Binding) -> dict[str, Any]:
    return {
        "id": row.id,
        "subject": row.subject,
        "role_ref": row.role,
        "space": row.space,
        **_times(row),
    }


def space(row: Space) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "settings": row.settings,
        "active": row.active,
        **_times(row),
        "created_by": row.created_by,
    }


def secret(row: Secret, value: str | None = None) -> dict[str, Any]:
    """With its value only where somebody asked who may see it."""
    shown = {
        "space": row.scope.partition("/")[2],
        "key_name": row.name,
        "description": row.description or None,
        **_times(row),
        "created_by": row.created_by,
    }
    return shown if value is None else shown | {"value": value}


# --- the query ---


def page(rows: Sequence[T]) -> Sequence[T]:
    """What `limit` and `offset` ask for. Raises Malformed."""
    limit, offset = _number("limit", 1), _number("offset", 0) or 0
    return rows[offset:] if limit is None else rows[offset : offset + min(limit, MOST)]


def _number(name: str, least: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) < least:
        raise Malformed(f"{name}: a whole number, {least} or more")
    return int(text)


def flag(name: str) -> bool:
    """A yes or no of the query; no when it is not there."""
    return request.args.get(name, "").lower() in ("true", "1", "yes")
