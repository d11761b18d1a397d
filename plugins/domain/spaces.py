"""Tenants: each owns secrets, and bindings can be limited to one. The space `default` always exists."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import peewee

from roci import Conflict, Event, Invalid, NotFound, Permission, current_actor, emit, hookimpl, now

from . import access, secrets
from .model import Json, Model, Utc

DEFAULT = "default"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
VOCABULARY = {
    "spaces.list": "list spaces",
    "spaces.get": "see a space",
    "spaces.create": "make spaces",
    "spaces.update": "change a space",
    "spaces.delete": "remove a space, with all that is in it",
}


class Space(Model):
    name = peewee.TextField(unique=True)
    description = peewee.TextField(null=True)
    settings = Json(default=dict)
    active = peewee.BooleanField(default=True)
    created_by = peewee.TextField()
    updated_at = Utc(default=now)

    @property
    def resource(self) -> str:
        """What rights, and the scope of its secrets, call it."""
        return resource(self.name)


@dataclasses.dataclass(frozen=True)
class SpaceEvent(Event):
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class SpaceAdded(SpaceEvent):
    pass


class SpaceChanged(SpaceEvent):
    pass


class SpaceRemoved(SpaceEvent):
    pass


def resource(name: str) -> str:
    return f"space/{name}"


def is_name(text: str) -> bool:
    """Whether a space could have this name."""
    return NAME.fullmatch(text) is not None and text not in (".", "..")


def add(name: str, description: str | None = None, settings: Mapping[str, Any] | None = None) -> Space:
    if not is_name(name):
        raise Invalid("name: letters, digits and _ . - only, at most 255, and not . or ..")
    values = {"description": description, "settings": dict(settings or {}), "created_by": current_actor.get().name}
    try:
        row: Space = Space.create(name=name, **values)
    except peewee.IntegrityError:
        raise Conflict(f"Space {name!r} already exists") from None
    emit(SpaceAdded(name, after=_shown(row)))
    return row


def get(name: str) -> Space:
    row: Space | None = Space.get_or_none(Space.name == name)
    if row is None:
        raise NotFound("Space not found")
    return row


def all_(active: bool | None = None) -> list[Space]:
    """The newest first; those that are active, are not, or all."""
    found = Space.select().order_by(peewee.SQL("rowid").desc())
    return list(found if active is None else found.where(Space.active == active))


def change(name: str, **changes: Any) -> Space:
    """Set `description`, `settings` (whole) or `active`."""
    before = get(name)
    Space.update(**changes, updated_at=now()).where(Space.name == name).execute()
    after = get(name)
    emit(SpaceChanged(name, _shown(before), _shown(after)))
    return after


def remove(name: str) -> None:
    """Its secrets and the bindings that are limited to it go too."""
    row = get(name)
    if name == DEFAULT:
        raise Invalid("the default space cannot be deleted")
    secrets.remove_scope(row.resource)
    access.unbind_space(name)
    Space.delete().where(Space.name == name).execute()
    emit(SpaceRemoved(name, before=_shown(row)))


def _shown(row: Space) -> dict[str, Any]:
    return {"description": row.description, "settings": row.settings, "active": row.active}


def begin() -> bool:
    """Make the space that always exists; whether there was none yet."""
    is_new = Space.get_or_none(Space.name == DEFAULT) is None
    if is_new:
        add(DEFAULT, "Default space")
    return is_new


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Space]


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission(name, meaning) for name, meaning in VOCABULARY.items()]
