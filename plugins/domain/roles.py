"""Roles and bindings as they are kept: what a role grants, and who has it where. `access` guards their changes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import peewee

from roci import Conflict, Event, Invalid, NotFound, emit, hookimpl, now

from .model import Json, Model, Utc
from .rules import EVERYTHING, Rule

ADMIN, BASE = "admin", "base"
NAME = re.compile(r"[A-Za-z0-9_.:@+-]{1,255}")  # with the colon of roles that come with an app
PATTERN = re.compile(r"[A-Za-z0-9_.:/@*\[\]+-]{0,300}")
DEEPEST = 64  # roles that inherit from one another in a line


class Role(Model):
    name = peewee.TextField(unique=True)
    description = peewee.TextField(null=True)
    dialect = peewee.TextField(default="native")
    text = Json(null=True)  # as it was written, in its dialect
    rules = Json()
    inherits = Json()
    built_in = peewee.BooleanField(default=False)
    updated_at = Utc()

    @property
    def grants(self) -> list[Rule]:
        """Its own rules, without those it inherits."""
        return [Rule(*rule) for rule in self.rules]


class Binding(Model):
    subject = peewee.TextField(index=True, collation="NOCASE")  # a principal's name; it need not exist yet
    role = peewee.TextField(index=True)
    space = peewee.TextField(null=True)  # None: everywhere
    updated_at = Utc()


@dataclasses.dataclass(frozen=True)
class NewRole:
    """`text` is what the dialect wants back; None: the rules say it all."""

    name: str
    rules: Sequence[Rule]
    description: str | None = None
    dialect: str = "native"
    text: Any = None
    inherits: Sequence[str] = ()
    built_in: bool = False


@dataclasses.dataclass(frozen=True)
class RoleEvent(Event):
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class RoleAdded(RoleEvent):
    pass


class RoleChanged(RoleEvent):
    pass


class RoleRemoved(RoleEvent):
    pass


@dataclasses.dataclass(frozen=True)
class BindingEvent(Event):
    binding_id: str
    subject: str
    role: str
    space: str | None


class BindingAdded(BindingEvent):
    pass


class BindingRemoved(BindingEvent):
    pass


# --- roles -------------------------------------------------------------------


def get(name: str) -> Role:
    row = Role.get_or_none(Role.name == name)
    if row is None:
        raise NotFound(f"there is no role named {name!r}", noun="role")
    return row


def all_() -> list[Role]:
    """In the order in which they were made."""
    return list(Role.select().order_by(peewee.SQL("rowid")))


def store(new: NewRole) -> Role:
    """Keep a new role. For `access`, which asks whether that may be."""
    if not NAME.fullmatch(new.name):
        raise Invalid("name: letters, digits and . _ : @ + - only, at most 255")
    if Role.get_or_none(Role.name == new.name):
        raise Conflict(f"there is a role named {new.name!r} already")
    values = dataclasses.asdict(new) | {"rules": _checked_rules(new.rules), "inherits": list(new.inherits)}
    _check_parents(new.name, new.inherits)
    row = Role.create(**values, updated_at=now())
    emit(RoleAdded(row.name, after=shown(row)))
    return row


def edit(name: str, **changes: Any) -> Role:
    """Set description, text, rules, inherits, dialect or built_in. For `access`."""
    row = get(name)
    before = shown(row)
    if "rules" in changes:
        changes["rules"] = _checked_rules(changes["rules"])
    if "inherits" in changes:
        changes["inherits"] = list(changes["inherits"])
        _check_parents(name, changes["inherits"])
    Role.update(**changes, updated_at=now()).where(Role.name == name).execute()
    after = get(name)
    emit(RoleChanged(name, before, shown(after)))
    return after


def drop(name: str) -> None:
    """Remove a role, and every binding of it. For `access`."""
    row = get(name)
    for binding in list(Binding.select().where(Binding.role == name)):
        release(binding.id)
    Role.delete().where(Role.name == name).execute()
    emit(RoleRemoved(name, before=shown(row)))


def shown(row: Role) -> dict[str, Any]:
    return {"description": row.description, "rules": row.rules, "inherits": row.inherits}


def _checked_rules(rules: Iterable[Rule]) -> list[list[str]]:
    kept = [list(rule) for rule in rules]
    for rule in kept:
        for pattern in rule:
            if not PATTERN.fullmatch(pattern):
                raise Invalid(f"rules: {pattern[:60]!r} is no pattern of an action or a resource")
    return kept


def _check_parents(name: str, parents: Iterable[str]) -> None:
    known = {row.name: row.inherits for row in Role.select(Role.name, Role.inherits)}
    for parent in parents:
        if parent != name and parent not in known:
            raise Invalid(f"inherits: there is no role named {parent!r}")
    known[name] = list(parents)
    if name in {each for parent in parents for each in lineage([parent], known)}:
        raise Invalid(f"inherits: {name!r} would inherit from itself")


def lineage(names: Iterable[str], inherits: Mapping[str, Sequence[str]]) -> list[str]:
    """These roles and all they inherit from, each once; what does not exist is left out."""
    found: dict[str, None] = {}
    level = list(names)
    for _ in range(DEEPEST):
        level = [name for name in dict.fromkeys(level) if name in inherits and name not in found]
        found.update(dict.fromkeys(level))
        level = [parent for name in level for parent in inherits[name]]
    return list(found)


class Hierarchy:
    """All roles as they are now, read once, and what each grants with all that it inherits."""

    def __init__(self) -> None:
        self.rows = {row.name: row for row in all_()}
        self._inherits = {name: row.inherits for name, row in self.rows.items()}
        self._grants = {name: row.grants for name, row in self.rows.items()}

    def by_origin(self, names: Iterable[str]) -> list[tuple[str, Rule]]:
        """Every rule of these roles, with the role that says it: themselves, or one they inherit from."""
        return [(name, rule) for name in lineage(names, self._inherits) for rule in self._grants[name]]

    def rules(self, names: Iterable[str]) -> list[Rule]:
        """What these roles grant together, each rule once."""
        return list(dict.fromkeys(rule for _, rule in self.by_origin(names)))


# --- bindings ----------------------------------------------------------------


def binding(id: str) -> Binding:
    row = Binding.get_or_none(Binding.id == id)
    if row is None:
        raise NotFound("no such binding", noun="binding")
    return row


def bindings(subject: str | None = None) -> list[Binding]:
    """The newest first."""
    found = Binding.select().order_by(peewee.SQL("rowid").desc())
    return list(found.where(Binding.subject == subject) if subject is not None else found)


def find_binding(subject: str, role: str, space: str | None) -> Binding | None:
    where = Binding.space.is_null() if space is None else Binding.space == space
    return Binding.get_or_none(Binding.subject == subject, Binding.role == role, where)


def tie(subject: str, role: str, space: str | None = None, id: str | None = None) -> Binding:
    """Keep a new binding. For `access`."""
    get(role)
    if id and Binding.get_or_none(Binding.id == id):
        raise Conflict(f"there is a binding with the id {id!r} already")
    if find_binding(subject, role, space):
        raise Conflict(f"{subject} has the role {role!r} {f'in {space}' if space else 'everywhere'} already")
    values = {"id": id} if id else {}
    row = Binding.create(subject=subject, role=role, space=space, updated_at=now(), **values)
    emit(BindingAdded(row.id, subject, role, space))
    return row


def release(id: str) -> None:
    """Remove a binding. For `access`, and for what goes with its subject."""
    row = binding(id)
    Binding.delete().where(Binding.id == id).execute()
    emit(BindingRemoved(row.id, row.subject, row.role, row.space))


def release_all(subject: str) -> None:
    """Whoever takes the name next must not inherit."""
    for row in bindings(subject):
        release(row.id)


def release_space(space: str) -> None:
    for row in list(Binding.select().where(Binding.space == space)):
        release(row.id)


def holders_of_everything() -> set[str]:
    """Names, in lower case, that a global binding gives a role that holds everything."""
    known = Hierarchy()
    full = {name for name in known.rows if EVERYTHING in known.rules([name])}
    found = Binding.select(Binding.subject).where(Binding.space.is_null(), Binding.role.in_(full))
    return {row.subject.lower() for row in found}


def seed(role: NewRole) -> None:
    """Make a role that comes with ROCI or a plugin, unless there is one of its name."""
    if Role.get_or_none(Role.name == role.name) is None:
        store(role)


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Role, Binding]
