"""What proves who somebody is: API tokens, logins, and the link of the first start. Only digests are stored."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import peewee

from roci import Actor, Conflict, Event, Invalid, NotFound, Sensitive, emit, hookimpl, now

from . import access, principals
from .model import Json, Model, Utc
from .principals import NewPrincipal, Principal

PREFIX = "roci_"  # tells our tokens from others', and secret scanners what they found
LOGIN_LASTS = datetime.timedelta(hours=12)  # since it was last used
TOUCH = datetime.timedelta(minutes=1)  # how old "last used" may be before it is written again


class Token(Model):
    principal = peewee.ForeignKeyField(Principal, backref="tokens", on_delete="CASCADE")
    name = peewee.TextField()
    digest = peewee.TextField(unique=True)
    scopes = Json(null=True)
    expires_at = Utc(null=True)
    last_used_at = Utc(null=True)
    revoked_at = Utc(null=True)


class Login(Model):
    principal = peewee.ForeignKeyField(Principal, backref="logins", on_delete="CASCADE")
    digest = peewee.TextField(unique=True)
    last_seen_at = Utc()
    expires_at = Utc()


class SetupLink(Model):
    digest = peewee.TextField()


@dataclasses.dataclass(frozen=True)
class Proven:
    """A credential that holds. `stale`: its last use should be written down."""

    id: str
    actor: Actor
    stale: bool


@dataclasses.dataclass(frozen=True)
class TokenIssued(Event):
    token_id: str
    name: str
    principal_id: str
    scopes: Sequence[str] | None


@dataclasses.dataclass(frozen=True)
class TokenRevoked(Event):
    token_id: str
    name: str
    principal_id: str


@dataclasses.dataclass(frozen=True)
class LoggedIn(Event):
    principal_id: str
    name: str


@dataclasses.dataclass(frozen=True)
class LoggedOut(Event):
    principal_id: str
    name: str


def digest(secret: str) -> str:
    """Secrets are 32 random bytes, so a plain hash of one gives nothing away."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- API tokens --------------------------------------------------------------


def issue(
    principal_id: str, name: str, scopes: Sequence[str] | None = None, expires_at: datetime.datetime | None = None
) -> tuple[Token, Sensitive]:
    """A new token and its secret, which is not to be had again."""
    principal = principals.get(principal_id)
    if not name.strip() or len(name) > 100:
        raise Invalid("name: 1 to 100 characters")
    if expires_at and expires_at <= now():
        raise Invalid("expires: this time is over")
    if _live().where(Token.principal == principal, Token.name == name).exists():
        raise Conflict(f"{principal.name} has a token named {name!r} already: revoke it, or take another name")
    secret = Sensitive(PREFIX + secrets.token_urlsafe(32))
    kept = None if scopes is None else list(scopes)
    row = Token.create(principal=principal, name=name, digest=digest(secret), scopes=kept, expires_at=expires_at)
    emit(TokenIssued(row.id, name, principal.id, kept))
    return row, secret


def _live() -> Any:
    usable = Token.revoked_at.is_null() & (Token.expires_at.is_null() | (Token.expires_at > now()))
    return Token.select(Token, Principal).join(Principal).where(usable)


def verify_token(secret: str) -> Proven | None:
    """None: unknown, expired, revoked, or of somebody who is disabled."""
    row = _live().where(Token.digest == digest(secret), ~Principal.disabled).get_or_none()
    if row is None:
        return None
    stale = row.last_used_at is None or now() - row.last_used_at > TOUCH
    return Proven(row.id, access.actor(row.principal, row.scopes, "token"), stale)


def touch_token(id: str) -> None:
    Token.update(last_used_at=now()).where(Token.id == id).execute()


def tokens(principal_id: str | None = None) -> list[Token]:
    """All that were ever issued, with their principals; the newest first."""
    found = Token.select(Token, Principal).join(Principal).order_by(Token.created_at.desc())
    return list(found.where(Token.principal == principal_id) if principal_id else found)


def revoke(id: str) -> None:
    """Twice is the same as once."""
    row = Token.select(Token, Principal).join(Principal).where(Token.id == id).get_or_none()
    if row is None:
        raise NotFound("no such token")
    if row.revoked_at is None:
        Token.update(revoked_at=now()).where(Token.id == id).execute()
        emit(TokenRevoked(row.id, row.name, row.principal.id))


# --- logins ------------------------------------------------------------------


def log_in(principal: Principal) -> Sensitive:
    """A new login, and the secret that its cookie carries. The caller has checked the password."""
    secret = Sensitive(secrets.token_urlsafe(32))
    Login.create(principal=principal, digest=digest(secret), last_seen_at=now(), expires_at=now() + LOGIN_LASTS)
    emit(LoggedIn(principal.id, principal.name))
    return secret


def _open_logins() -> Any:
    """A login from before the password was set has ended."""
    fresh = Principal.password_set_at.is_null() | (Login.created_at >= Principal.password_set_at)
    current = (Login.expires_at > now()) & ~Principal.disabled & fresh
    return Login.select(Login, Principal).join(Principal).where(current)


def verify_login(secret: str) -> Proven | None:
    """None: unknown, over, or of somebody who is disabled."""
    row = _open_logins().where(Login.digest == digest(secret)).get_or_none()
    if row is None:
        return None
    return Proven(row.id, access.actor(row.principal, via="cookie"), now() - row.last_seen_at > TOUCH)


def touch_login(id: str) -> None:
    """Seen now, so it lasts from now."""
    Login.update(last_seen_at=now(), expires_at=now() + LOGIN_LASTS).where(Login.id == id).execute()


def log_out(secret: str) -> None:
    """Nothing happens where there is no such login."""
    row = Login.select(Login, Principal).join(Principal).where(Login.digest == digest(secret)).get_or_none()
    if row is not None:
        Login.delete().where(Login.id == row.id).execute()
        emit(LoggedOut(row.principal.id, row.principal.name))


def forget_expired() -> None:
    """Logins that are over go; tokens stay, to be listed."""
    Login.delete().where(Login.expires_at <= now()).execute()


# --- the first start ---------------------------------------------------------


def make_setup_link() -> Sensitive:
    """The secret of a link that makes the first administrator. It replaces an earlier one."""
    secret = Sensitive(secrets.token_urlsafe(32))
    SetupLink.delete().execute()
    SetupLink.create(digest=digest(secret))
    return secret


def check_setup_link(secret: str) -> None:
    """Raise NotFound unless the link is good, and good for anything: with an administrator it never is."""
    good = SetupLink.select().where(SetupLink.digest == digest(secret)).exists()
    if not good or principals.has_administrator():
        raise NotFound("this link was used already, or replaced by a newer one")


def use_setup_link(secret: str, name: str, email: str, password_hash: Sensitive) -> Principal:
    """Make the first administrator; the link is gone with it."""
    check_setup_link(secret)
    SetupLink.delete().execute()
    return principals.add(NewPrincipal(name, email=email, password_hash=password_hash, administrator=True))


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Token, Login, SetupLink]
