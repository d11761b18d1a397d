"""Credentials for container registries. The password is sealed under the scope `registry/ID`; nothing here shows it.

It is kept only as long as it goes where it went, so that nobody who may change a credential can have it sent to them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import peewee

from roci import (
    Conflict,
    Event,
    Invalid,
    NotFound,
    Permission,
    Sensitive,
    Unavailable,
    current_actor,
    emit,
    hookimpl,
    now,
)

from . import secrets
from .keyring import Keyring
from .model import Model, Utc, picked
from .principals import check_lines

DEFAULT_URLS = {"docker_hub": "docker.io", "ghcr": "ghcr.io"}
TYPES = ("docker_hub", "ghcr", "aws_ecr", "google_artifact_registry", "azure_acr", "harbor", "generic")
# How the address of a registry tells whose it is; the first that fits.
HOSTS = (
    (re.compile(r"((index|registry-1|registry|www)\.)?docker\.(io|com)"), "docker_hub"),
    (re.compile(r"ghcr\.io"), "ghcr"),
    (re.compile(r"public\.ecr\.aws|.+\.dkr\.ecr(-fips)?\..+\.amazonaws\.com(\.cn)?"), "aws_ecr"),
    (re.compile(r"(.+\.)?gcr\.io|.+-docker\.pkg\.dev"), "google_artifact_registry"),
    (re.compile(r".+\.azurecr\.(io|cn|us)"), "azure_acr"),
    (re.compile(r"harbor\..+"), "harbor"),
)
URL = re.compile(r"(https?://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
LONGEST_URL, LONGEST_NAME, LONGEST_USERNAME = 255, 100, 255
PASSWORD = "password"  # noqa: S105  the name it has in its scope
FIELDS = ("name", "registry_type", "registry_url", "username", "description")
VOCABULARY = {
    "registries.list": "see the credentials for registries, without their passwords",
    "registries.create": "add credentials for registries",
    "registries.update": "change credentials for registries",
    "registries.delete": "remove credentials for registries",
}


class RegistryCredential(Model):
    name = peewee.TextField(unique=True, collation="NOCASE")
    registry_type = peewee.TextField(default="generic")
    registry_url = peewee.TextField()
    username = peewee.TextField()
    description = peewee.TextField(default="")
    created_by = peewee.TextField()
    updated_at = Utc(default=now)


@dataclasses.dataclass(frozen=True)
class NewCredential:
    name: str
    username: str
    secret: Sensitive = dataclasses.field(repr=False)
    registry_type: str = "generic"
    registry_url: str | None = None  # None: the usual one of its type
    description: str = ""


@dataclasses.dataclass(frozen=True)
class RegistryCredentialAdded(Event):
    registry_credential_id: str
    name: str
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class RegistryCredentialChanged(Event):
    """`new_secret`: it has another password too."""

    registry_credential_id: str
    name: str
    new_secret: bool
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class RegistryCredentialRemoved(Event):
    registry_credential_id: str
    name: str
    before: Mapping[str, Any] | None = None


def type_of(url: str) -> str:
    """Whose registry an address is, as far as it says; else `generic`."""
    host = _machine(url).partition(":")[0]
    return next((kind for pattern, kind in HOSTS if pattern.fullmatch(host)), "generic")


def _machine(url: str) -> str:
    """Its name, and its port where one is given: what programs log in at, whatever else is in the address."""
    return (url.partition("://")[2] or url).partition("/")[0].lower()


def check_url(url: str) -> None:
    if not URL.fullmatch(url) or len(url) > LONGEST_URL:
        raise Invalid("registry_url: an address such as ghcr.io or registry.lan:5000")


def check_login(username: str, secret: str) -> None:
    """The name becomes an argument of a program."""
    if not username.strip() or len(username) > LONGEST_USERNAME or username.startswith("-"):
        raise Invalid(f"username: 1 to {LONGEST_USERNAME} characters, and no dash first")
    if not username.isprintable():
        raise Invalid("username: one line of printable characters only")
    if not secret.strip() or "\0" in secret:  # some are files of many lines
        raise Invalid("secret: must not be blank or contain a NUL")


def get(id: str) -> RegistryCredential:
    row: RegistryCredential | None = RegistryCredential.get_or_none(RegistryCredential.id == id)
    if row is None:
        raise NotFound("Registry credential not found")
    return row


def list_() -> list[RegistryCredential]:
    """By name."""
    return list(RegistryCredential.select().order_by(RegistryCredential.name, RegistryCredential.id))


def unknown(ids: Sequence[str]) -> list[str]:
    """Those of the ids that are no credential's."""
    known = {row.id for row in RegistryCredential.select(RegistryCredential.id).where(RegistryCredential.id.in_(ids))}
    return [id for id in ids if id not in known]


def password(ring: Keyring, id: str) -> Sensitive:
    """For ROCI's own use. Raises NotFound; Unavailable where it was given up with the key that sealed it."""
    get(id)
    found = secrets.value(ring, _scope(id), PASSWORD)
    if found is None:
        raise Unavailable("the password of this registry credential is lost: set it again")
    return found


def _scope(id: str) -> str:
    return f"registry/{id}"


def _check_type(kind: str) -> None:
    if kind not in TYPES:
        raise Invalid(f"registry_type: one of {', '.join(TYPES)}")


def _check(values: Mapping[str, Any], but: str = "") -> None:
    if not values["name"].strip() or len(values["name"]) > LONGEST_NAME:
        raise Invalid(f"name: 1 to {LONGEST_NAME} characters")
    check_lines(name=values["name"], description=values["description"])
    _check_type(values["registry_type"])
    check_url(values["registry_url"])
    same = RegistryCredential.get_or_none(RegistryCredential.name == values["name"])
    if same is not None and same.id != but:
        raise Conflict(f"there is a registry credential named {values['name']!r} already")


def add(ring: Keyring, new: NewCredential) -> RegistryCredential:
    values = {name: getattr(new, name) for name in FIELDS}
    values["registry_url"] = new.registry_url or DEFAULT_URLS.get(new.registry_type)
    _check_type(new.registry_type)
    if values["registry_url"] is None:
        raise Invalid(f"registry_url: is required for {new.registry_type}")
    _check(values)
    check_login(new.username, new.secret)
    row = RegistryCredential.create(**values, created_by=current_actor.get().name)
    secrets.put(ring, _scope(row.id), PASSWORD, new.secret)
    emit(RegistryCredentialAdded(row.id, row.name, picked(row, *FIELDS)))
    return row


def change(ring: Keyring, id: str, secret: Sensitive | None = None, **changes: Any) -> RegistryCredential:
    """Set some of name, registry_type, registry_url, username and description; a secret of None stays as it is.

    With another type the usual address becomes the usual one of that, where it has one.
    """
    row = get(id)
    before = picked(row, *FIELDS)
    after = {**before, **changes}
    if "registry_url" not in changes and before["registry_url"] == DEFAULT_URLS.get(before["registry_type"]):
        after["registry_url"] = DEFAULT_URLS.get(after["registry_type"], before["registry_url"])
    _check(after, but=row.id)
    if secret is None:
        _check_goes_where_it_went(before, after)
    check_login(after["username"], "unchanged" if secret is None else secret)
    RegistryCredential.update(**after, updated_at=now()).where(RegistryCredential.id == id).execute()
    if secret is not None:
        secrets.put(ring, _scope(id), PASSWORD, secret)
    if after != before or secret is not None:
        emit(RegistryCredentialChanged(id, after["name"], secret is not None, before, after))
    return get(id)


def _check_goes_where_it_went(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    if _machine(before["registry_url"]) != _machine(after["registry_url"]):
        raise Invalid("secret: send it again, since registry_url has changed")
    if before["username"] != after["username"]:
        raise Invalid("secret: send it again, since username has changed")


def remove(id: str) -> None:
    """Forget one. Whoever still needs it raises Conflict before this is committed."""
    row = get(id)
    before = picked(row, *FIELDS)
    row.delete_instance()
    secrets.remove_scope(_scope(id))
    emit(RegistryCredentialRemoved(id, row.name, before))


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [RegistryCredential]


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission(name, meaning) for name, meaning in VOCABULARY.items()]
