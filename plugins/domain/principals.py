"""Who exists: people, services, agents and assistants. One enabled administrator among the people always stays."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
import unicodedata
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, cast

import peewee

from roci import (
    Conflict,
    Event,
    Invalid,
    Migration,
    NotFound,
    Protected,
    Sensitive,
    Unauthenticated,
    emit,
    hookimpl,
    now,
)

from . import roles
from .model import Model, Utc

KINDS = ("person", "service", "agent", "assistant")
NAME = re.compile(r"[A-Za-z0-9._@+-]{1,255}")
EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,190}")


class Principal(Model):
    name = peewee.TextField(unique=True, collation="NOCASE")
    kind = peewee.TextField(default="person")
    email = peewee.TextField(default="")
    email_vouched = peewee.BooleanField(default=True)  # by somebody else: an administrator, or a provider that checked
    display_name = peewee.TextField(default="")
    password_hash = peewee.TextField(null=True)
    password_set_at = Utc(null=True)
    administrator = peewee.BooleanField(default=False)  # holds everything everywhere: kept by `access`, for all to read
    disabled = peewee.BooleanField(default=False)
    description = peewee.TextField(null=True)
    space = peewee.TextField(null=True)  # the one it is confined to
    last_login_at = Utc(null=True)
    updated_at = Utc(default=now)


@dataclasses.dataclass(frozen=True)
class NewPrincipal:
    name: str
    kind: str = "person"
    email: str = ""
    display_name: str = ""
    password_hash: Sensitive | None = None
    description: str | None = None
    space: str | None = None
    email_vouched: bool = True  # False: nobody but its holder says that the address is theirs


@dataclasses.dataclass(frozen=True)
class PrincipalEvent(Event):
    principal_id: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class PrincipalAdded(PrincipalEvent):
    pass


class PrincipalChanged(PrincipalEvent):
    pass


class PasswordChanged(PrincipalEvent):
    pass


class PrincipalDisabled(PrincipalEvent):
    pass


class PrincipalEnabled(PrincipalEvent):
    pass


class PrincipalRemoved(PrincipalEvent):
    pass


def add(new: NewPrincipal, namesakes: bool = False) -> Principal:
    """`namesakes`: the address may be somebody else's name, since a provider says whose it is."""
    _check_name(new.name)
    if new.kind not in KINDS:
        raise Invalid(f"kind: {new.kind} is none of {', '.join(KINDS)}")
    check_lines(email=new.email, display_name=new.display_name, description=new.description)
    values = dataclasses.asdict(new) | {"email": _checked_email(new.email, namesakes=namesakes)}
    try:
        row = Principal.create(**values, password_set_at=now() if new.password_hash else None)
    except peewee.IntegrityError:
        raise Conflict(f"there is a {by_name(new.name).kind} named {new.name!r} already") from None
    emit(PrincipalAdded(row.id, row.name, after=shown(row)))
    return row


UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of characters, ends of lines
TURNING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # make text read as another


def check_lines(**given: Any) -> None:
    """Texts that lists, logs and terminals show as they are. Raises Invalid for what is not one printable line."""
    for field, text in given.items():
        if isinstance(text, str) and any(unicodedata.category(each) in UNSEEN or each in TURNING for each in text):
            raise Invalid(f"{field}: one line of printable characters only")


def _check_name(name: str) -> None:
    """Where people are named by id, name or address, each means one of them. Raises Invalid or Conflict."""
    if not NAME.fullmatch(name):
        raise Invalid("name: letters, digits and . _ @ + - only, at most 255")
    if _is_id(name):
        raise Invalid("name: this has the form of an id, and could be taken for somebody else's")
    if (holder := by_email(name)) is not None:
        raise Conflict(f"{name} is {holder.name}'s e-mail address")


def _is_id(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


def _checked_email(email: str, of: str | None = None, namesakes: bool = False) -> str:
    """As it is kept: trimmed, in lower case, nobody else's, and nobody else's name."""
    email = email.strip().lower()
    if email and not EMAIL.fullmatch(email):
        raise Invalid("email: this is no e-mail address")
    holder = by_email(email)
    if holder is not None and holder.id != of:
        raise Conflict(f"the e-mail address {email} is {holder.name}'s already")
    named = None if namesakes else find(email)
    if named is not None and named.id != of:
        raise Conflict(f"there is somebody named {named.name}: the e-mail address would be taken for that name")
    return email


def shown(row: Principal) -> dict[str, Any]:
    """What a change is recorded with."""
    names = ("kind", "email", "email_vouched", "display_name", "description", "space", "disabled")
    return {name: getattr(row, name) for name in names}


def get(id: str) -> Principal:
    row = Principal.by_id(id)
    if row is None:
        raise NotFound("no such principal")
    return row


def find(name: str) -> Principal | None:
    """By name, whatever its case; None if there is nobody."""
    return Principal.get_or_none(Principal.name == name)


def by_email(email: str) -> Principal | None:
    """By e-mail address, whatever its case; None if it is nobody's, or empty."""
    return Principal.get_or_none(Principal.email == email.strip().lower()) if email.strip() else None


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


_OTHER_WAYS: dict[str, str] = {}  # table: whose sign-in it holds, as a select of principals' ids


def way_in(table: str, ids: str) -> None:
    """Say that people sign in by what this table holds, too. For the module that owns the table, which is above."""
    _OTHER_WAYS[table] = ids


def _with_other_ways() -> set[str]:
    """Ids of those who can sign in by something else than a password."""
    db = Principal._meta.database
    sql = cast(Callable[..., Any], db.execute_sql)
    return {id for table, ids in _OTHER_WAYS.items() if db.table_exists(table) for (id,) in sql(ids)}


@contextlib.contextmanager
def keeping_an_administrator(name: str, instead: str) -> Iterator[None]:
    """Somebody must stay who may do everything, and who can sign in. Raises Protected for a change that ends it."""
    enabled, able = _who_administers()
    yield
    still_enabled, still_able = _who_administers()
    if (enabled and not still_enabled) or (able and not still_able):
        raise Protected(f"{name} is the last enabled administrator who can sign in and cannot be {instead}")


def passwords_are_needed() -> bool:
    """Whether no administrator could sign in without one."""
    others = _with_other_ways()
    return not any(row.id in others for row in _administrators())


def _who_administers() -> tuple[set[str], set[str]]:
    """Ids of the enabled administrators, and of those among them who can sign in."""
    rows = list(_administrators())
    others = _with_other_ways() if rows else set()
    return {row.id for row in rows}, {row.id for row in rows if row.password_hash or row.id in others}


def change(id: str, vouched: bool = True, namesakes: bool = False, **changes: Any) -> Principal:
    """Set `email`, `display_name` or `description`; `space` is `access.confine`'s.

    `vouched`: somebody other than its holder says that the new address is theirs; `namesakes` as in `add`.
    """
    row = get(id)
    check_lines(**changes)
    if "email" in changes:
        changes["email"] = _checked_email(changes["email"], id, namesakes)
        changes["email_vouched"] = vouched or (changes["email"] == row.email and row.email_vouched)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if changed:
        Principal.update(**changed, updated_at=now()).where(Principal.id == id).execute()
        before, after = shown(row), shown(get(id))
        emit(PrincipalChanged(row.id, row.name, _only(before, changed), _only(after, changed)))
    return get(id)


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values.get(name) for name in names}


def rename(id: str, name: str) -> None:
    """For somebody without bindings, which go by name."""
    row = get(id)
    _check_name(name)
    Principal.update(name=name, updated_at=now()).where(Principal.id == id).execute()
    emit(PrincipalChanged(row.id, name, {"name": row.name}, {"name": name}))


def set_administrators(names: Collection[str]) -> None:
    """Who holds everything, by name in lower case. For `access`. Raises Conflict when nobody would be left."""
    concerned = Principal.select().where(Principal.administrator | peewee.fn.LOWER(Principal.name).in_(list(names)))
    changed = [row for row in concerned if row.administrator != (row.name.lower() in names and row.space is None)]
    demoted = [row.name for row in changed if row.administrator]
    with keeping_an_administrator(", ".join(demoted), "demoted"):
        for row in changed:
            Principal.update(administrator=not row.administrator).where(Principal.id == row.id).execute()


def still(id: str, password_set_at: datetime.datetime | None) -> Principal:
    """Whoever proved a while ago, when their password was that old, that it is them.

    Raises Unauthenticated if it was changed since, or if they were disabled or removed.
    """
    row: Principal | None = Principal.by_id(id)
    if row is None or row.disabled or row.password_set_at != password_set_at:
        raise Unauthenticated("your password was changed or your account disabled in between: sign in again")
    return row


def set_password(id: str, password_hash: Sensitive) -> None:
    """The caller ends what the old password had opened."""
    row = get(id)
    changes = {"password_hash": str(password_hash), "password_set_at": now(), "updated_at": now()}
    Principal.update(**changes).where(Principal.id == id).execute()
    emit(PasswordChanged(row.id, row.name))


def note_login(id: str) -> None:
    Principal.update(last_login_at=now()).where(Principal.id == id).execute()


def disable(id: str) -> None:
    """Its credentials stop working at once, and work again once it is enabled."""
    row = get(id)
    if row.disabled:
        return
    with keeping_an_administrator(row.name, "disabled"):
        Principal.update(disabled=True, updated_at=now()).where(Principal.id == id).execute()
    emit(PrincipalDisabled(row.id, row.name, {"disabled": False}, {"disabled": True}))


def enable(id: str) -> None:
    row = get(id)
    if row.disabled:
        Principal.update(disabled=False, updated_at=now()).where(Principal.id == id).execute()
        emit(PrincipalEnabled(row.id, row.name, {"disabled": True}, {"disabled": False}))


def remove(id: str) -> None:
    """Its credentials and bindings go with it; the events it caused stay."""
    row = get(id)
    with keeping_an_administrator(row.name, "removed"):
        roles.release_all(row.name)
        Principal.delete().where(Principal.id == id).execute()
    emit(PrincipalRemoved(row.id, row.name, before=shown(row)))


def _add_columns(db: peewee.SqliteDatabase) -> None:
    sql = cast(Callable[..., Any], db.execute_sql)
    for column in ("description text", "space text", "last_login_at text", "updated_at text not null default ''"):
        sql(f"alter table principal add column {column}")
    sql("update principal set updated_at = created_at")


def _add_vouched(db: peewee.SqliteDatabase) -> None:
    """Before there was registration, only administrators set addresses."""
    sql = cast(Callable[[str], Any], db.execute_sql)
    sql("alter table principal add column email_vouched integer not null default 1")


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Principal]


@hookimpl
def register_migrations() -> list[Migration]:
    return [
        Migration("principals_0001_description_space_and_times", _add_columns),
        Migration("principals_0002_vouched_addresses", _add_vouched),
    ]
