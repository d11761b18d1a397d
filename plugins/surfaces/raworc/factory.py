"""The roles this dialect comes with, in its own words."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...domain import roles, spaces
from ...domain.roles import NewRole
from . import grammar


@dataclasses.dataclass(frozen=True)
class Factory:
    description: str
    rules: list[dict[str, Any]]


def _rule(resources: str, verbs: str, scope: str) -> dict[str, Any]:
    return {"resources": resources.split(), "verbs": verbs.split(), "scope": scope}


ROLES = {
    "admin": Factory("Full administrative access to all resources", [_rule("*", "*", "global")]),
    "operator": Factory(
        "Session and secret management permissions",
        [
            _rule("sessions agents secrets", "create read update delete list", "space"),
            _rule("spaces", "read list", "global"),
        ],
    ),
    "developer": Factory(
        "Development access without secret modification",
        [_rule("sessions agents", "create read update list", "space"), _rule("secrets", "read list", "space")],
    ),
}


def begin() -> None:
    """At the very first start: the default space, and the roles. Whoever removes one has it removed."""
    if spaces.begin():
        for name in ("operator", "developer"):
            made = ROLES[name]
            granted = grammar.rules(made.rules)
            text = {"rules": made.rules}
            roles.seed(NewRole(name, granted, made.description, "raworc", text, built_in=True))


def is_replaceable(row: roles.Role) -> bool:
    """A factory role that nobody has written yet."""
    return bool(row.built_in) and row.dialect == "raworc"


def is_shown(row: roles.Role) -> bool:
    """What other dialects come with does not belong in this one's list."""
    return row.name == roles.ADMIN or row.dialect == "raworc" or not row.built_in
