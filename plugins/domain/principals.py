"""Who exists: people, services, agents and assistants. One enabled administrator among the people always stays."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import peewee

from roci import Conflict, Event, Invalid, NotFound, Sensitive, emit, hookimpl, now

from .model import Model, Utc

KINDS = ("person", "service", "agent", "assistant")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class Principal(Model):
    name = peewee.TextField(unique=True, collation="NOCASE")
    kind = peewee.TextField(default="person")
    email = peewee.TextField(default="")
    display_name = peewee.TextField(default="")
    password_hash = peewee.TextField(null=True)
    password_set_at = Utc(null=True)  # logins from before it are over
    administrator = peewee.BooleanField(default=False)
    disabled = peewee.BooleanField(default=False)


@dataclasses.dataclass(frozen=True)
class NewPrincipal:
    name: str
    kind: str = "person"
    email: str = ""
    display_name: str = ""
    password_hash: Sensitive | None = None
    administrator: bool = False


@dataclasses.dataclass(frozen=True)
class PrincipalEvent(Event):
    principal_id: str
    name: str


class PrincipalAdded(PrincipalEvent):
    pass


@dataclasses.dataclass(frozen=True)
class PrincipalChanged(PrincipalEvent):
    changed: tuple[str, ...]


class PasswordChanged(PrincipalEvent):
    pass


class PrincipalDisabled(PrincipalEvent):
    pass


class PrincipalEnabled(PrincipalEvent):
    pass


class PrincipalRemoved(PrincipalEvent):
    pass


def add(new: NewPrincipal) -> Principal:
    if not NAME.fullmatch(new.name):
        raise Invalid("name: letters, digits and . _ @ + - only, a letter or digit first, at most 100")
    if new.kind not in KINDS:
        raise Invalid(f"kind: {new.kind} is none of {', '.join(KINDS)}")
    try:
        row = Principal.create(**dataclasses.asdict(new), password_set_at=now() if new.password_hash else None)
    except peewee.IntegrityError:
        raise Conflict(f"there is a {by_name(new.name).kind} named {new.name!r} already") from None
    emit(PrincipalAdded(row.id, row.name))
    return row


def get(id: str) -> Principal:
    row = Principal.get_or_none(Principal.id == id)
    if row is None:
        raise NotFound("no such principal")
    return row


def find(name: str) -> Principal | None:
    """By name, whatever its case; None if there is nobody."""
    return Principal.get_or_none(Principal.name == name)


def by_name(name: str) -> Principal:
    row = find(name)
    if row is None:
        raise NotFound(f"there is nobody named {name!r}")
    return row


def all_() -> list[Principal]:
    return list(Principal.select().order_by(Principal.name))


def has_administrator() -> bool:
    return bool(_administrators().exists())


def _administrators() -> Any:
    return Principal.select().where(Principal.administrator & ~Principal.disabled & (Principal.kind == "person"))


def _keep_one_administrator(row: Principal, instead: str) -> None:
    """Somebody must be able to sign in and mend things."""
    if [each.id for each in _administrators()] == [row.id]:
        raise Conflict(f"{row.name} is the last enabled administrator and cannot be {instead}")


def change(id: str, **changes: Any) -> Principal:
    """Set `email`, `display_name` or `administrator`."""
    row = get(id)
    changed = tuple(name for name, value in changes.items() if getattr(row, name) != value)
    if "administrator" in changed and not changes["administrator"]:
        _keep_one_administrator(row, "demoted")
    if changed:
        Principal.update(**{name: changes[name] for name in changed}).where(Principal.id == id).execute()
        emit(PrincipalChanged(row.id, row.name, changed))
    return get(id)


def set_password(id: str, password_hash: Sensitive) -> None:
    """Also ends every login of this principal."""
    row = get(id)
    Principal.update(password_hash=str(password_hash), password_set_at=now()).where(Principal.id == id).execute()
    emit(PasswordChanged(row.id, row.name))


def disable(id: str) -> None:
    """Its credentials stop working at once, and work again once it is enabled."""
    row = get(id)
    if row.disabled:
        return
    _keep_one_administrator(row, "disabled")
    Principal.update(disabled=True).where(Principal.id == id).execute()
    emit(PrincipalDisabled(row.id, row.name))


def enable(id: str) -> None:
    row = get(id)
    if row.disabled:
        Principal.update(disabled=False).where(Principal.id == id).execute()
        emit(PrincipalEnabled(row.id, row.name))


def remove(id: str) -> None:
    """Its credentials go with it; the events it caused stay."""
    row = get(id)
    _keep_one_administrator(row, "removed")
    Principal.delete().where(Principal.id == id).execute()
    emit(PrincipalRemoved(row.id, row.name))


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Principal]
