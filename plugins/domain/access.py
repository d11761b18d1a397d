"""Who may do what: the rights that a principal's actor carries. Roles and bindings will come in here."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from roci import Actor

from .principals import Principal


def rights(principal: Principal) -> frozenset[str]:
    """Patterns of permissions. Administrators may do everything; nobody else has been given anything yet."""
    return frozenset({"*"}) if principal.administrator else frozenset()


def actor(principal: Principal, scopes: Iterable[str] | None = None, via: str = "") -> Actor:
    """The principal as it acts through a credential; `scopes` only ever narrow its rights."""
    narrowed = None if scopes is None else frozenset(scopes)
    return Actor(principal.id, principal.name, principal.kind, rights(principal), narrowed, via)


def covers(patterns: Iterable[str], permission: str) -> bool:
    """Whether a permission fits one of the patterns: `hosts.*` covers `hosts.read`."""
    return any(fnmatchcase(permission, pattern) for pattern in patterns)
