"""What somebody who administers does to somebody else. Nobody gets more by it: see `access.require_mastery`."""

from __future__ import annotations

import datetime
from typing import Any

from roci import NotFound, Sensitive

from . import access, credentials, principals
from .credentials import Login, Token
from .principals import NewPrincipal, Principal


def add(new: NewPrincipal, role: str | None = None) -> Principal:
    """A new one, with a role where one is named. A role may wait for the name already."""
    row = principals.add(new)
    access.require_covers(row)
    if role:
        access.bind(row.name, role)
    return principals.get(row.id)


def change(id: str, vouched: bool = True, **changes: Any) -> Principal:
    """As `principals.change`. Sign-in elsewhere may go by the e-mail address."""
    if "email" in changes:
        access.require_mastery(principals.get(id))
    return principals.change(id, vouched, **changes)


def enable(id: str) -> None:
    access.require_mastery(principals.get(id))
    principals.enable(id)


def set_password(id: str, password_hash: Sensitive, but: str | None = None) -> None:
    """Ends their stays, except one."""
    access.require_mastery(principals.get(id))
    credentials.set_password(id, password_hash, but=but)


def issue_token(
    id: str, name: str, scopes: list[str] | None, expires_at: datetime.datetime | None
) -> tuple[Token, Sensitive]:
    """For somebody who may do nothing that the actor may not."""
    access.require_covers(principals.get(id))
    return credentials.issue(id, name, scopes, expires_at)


def revoke_token(id: str, token_id: str) -> None:
    """One of theirs."""
    if token_id not in {row.id for row in credentials.tokens(id)}:
        raise NotFound("they have no such token")
    credentials.revoke(token_id)


def end_login(id: str, login_id: str) -> None:
    """One of their stays."""
    if login_id not in {row.id for row in credentials.logins(id)}:
        raise NotFound("they have no such stay; it may have ended")
    credentials.end_login(login_id)


def last_seen() -> dict[str, datetime.datetime]:
    """When each was here last, by their stays and their tokens; those who never were are left out."""
    found: dict[str, datetime.datetime] = {}
    asked: list[Any] = [
        Principal.select(Principal.id, Principal.last_login_at),
        Login.select(Login.principal, Login.last_seen_at),
        Token.select(Token.principal, Token.last_used_at),
    ]
    for id, at in (row for query in asked for row in query.tuples()):
        if at is not None:
            found[id] = max(at, found.get(id, at))
    return found
