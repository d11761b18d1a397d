"""What proves who somebody is: API tokens, logins, and the link of the first start. Only digests are stored."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import peewee

from roci import Actor, Conflict, Event, Invalid, Migration, NotFound, Sensitive, current_actor, emit, hookimpl, now

from . import access, principals
from .model import Json, Model, Utc
from .principals import NewPrincipal, PasswordChanged, Principal, PrincipalDisabled

PREFIX = "roci_"  # tells our tokens from others', and secret scanners what they found
LOGIN_LASTS = datetime.timedelta(hours=12)  # since it was last used
TOUCH = datetime.timedelta(minutes=1)  # how old "last used" may be before it is written again
SCOPE = re.compile(r"[A-Za-z0-9_.:/@*-]{1,200}")  # a pattern of actions
MOST_SCOPES, MOST_TOKENS, MOST_LOGINS = 100, 100, 100  # of a token, and of one principal


class Token(Model):
    principal = peewee.ForeignKeyField(Principal, backref="tokens", on_delete="CASCADE")
    name = peewee.TextField()
    digest = peewee.TextField(unique=True)
    scopes = Json(null=True)
    expires_at = Utc(null=True)
    last_used_at = Utc(null=True)
    revoked_at = Utc(null=True)


class Login(Model):
    """One signed-in stay of somebody, in whatever dialect: a cookie's secret or a signed token names it."""

    principal = peewee.ForeignKeyField(Principal, backref="logins", on_delete="CASCADE")
    digest = peewee.TextField(unique=True)  # of a secret that nobody has, where a signed token names it
    dialect = peewee.TextField(default="cookie")
    via = peewee.TextField(default="password")  # how it began: password, passkey, oidc:NAME
    address = peewee.TextField(default="")
    proved_at = Utc(default=now)  # passwords set since then end it
    last_seen_at = Utc()
    expires_at = Utc()
    closed_at = Utc(null=True)  # nothing new is given out for it


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
class LoginMade(Event):
    login_id: str
    name: str
    principal_id: str
    dialect: str
    how: str


@dataclasses.dataclass(frozen=True)
class LoginRevoked(Event):
    """Signed out, or ended from elsewhere."""

    login_id: str
    name: str
    principal_id: str
    dialect: str


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
    principals.check_lines(name=name)
    if expires_at and expires_at <= now():
        raise Invalid("expires: this time is over")
    _check_scopes(scopes or ())
    if _live().where(Token.principal == principal).count() >= MOST_TOKENS:
        raise Conflict(f"{principal.name} has {MOST_TOKENS} tokens already: revoke one that is not used any more")
    if _live().where(Token.principal == principal, Token.name == name).exists():
        raise Conflict(f"{principal.name} has a token named {name!r} already: revoke it, or take another name")
    secret = Sensitive(PREFIX + secrets.token_urlsafe(32))
    kept = None if scopes is None else list(scopes)
    row = Token.create(principal=principal, name=name, digest=digest(secret), scopes=kept, expires_at=expires_at)
    emit(TokenIssued(row.id, name, principal.id, kept))
    return row, secret


def _check_scopes(scopes: Iterable[str]) -> None:
    for number, scope in enumerate(scopes):
        if number >= MOST_SCOPES or not SCOPE.fullmatch(scope):
            raise Invalid(f"scopes: at most {MOST_SCOPES} patterns like hosts.*, each of at most 200 characters")


def _live() -> Any:
    usable = Token.revoked_at.is_null() & (Token.expires_at.is_null() | (Token.expires_at > now()))
    return Token.select(Token, Principal).join(Principal).where(usable)


def verify_token(secret: str) -> Proven | None:
    """None: unknown, expired, revoked, or of somebody who is disabled."""
    row = _live().where(Token.digest == digest(secret), ~Principal.disabled).get_or_none()
    if row is None:
        return None
    stale = row.last_used_at is None or now() - row.last_used_at > TOUCH
    return Proven(row.id, access.actor(row.principal, row.scopes, "token", row.id), stale)


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


def log_in(principal: Principal, via: str = "password") -> Sensitive:
    """A new login, and the secret that its cookie carries. The caller has checked who it is.

    `principal` is as it was then: raises Unauthenticated if its password was changed since, or it was disabled.
    """
    secret = Sensitive(secrets.token_urlsafe(32))
    _begin(principal, "cookie", LOGIN_LASTS, via, secret)
    return secret


def open_login(principal: Principal, dialect: str, lasts: datetime.timedelta, via: str = "password") -> Login:
    """A new login that signed tokens name by its id. Raises as `log_in` does."""
    return _begin(principal, dialect, lasts, via, secrets.token_urlsafe(32))


def _begin(principal: Principal, dialect: str, lasts: datetime.timedelta, via: str, secret: str) -> Login:
    principals.still(principal.id, principal.password_set_at)
    _make_room(principal, dialect)
    moment = now()
    row = Login.create(
        principal=principal,
        digest=digest(secret),
        dialect=dialect,
        via=via,
        address=current_actor.get().address,
        proved_at=moment,
        last_seen_at=moment,
        expires_at=moment + lasts,
    )
    principals.note_login(principal.id)
    emit(LoginMade(row.id, principal.name, principal.id, dialect, via))
    return row


def _make_room(principal: Principal, dialect: str) -> None:
    """For one more login: those of one principal in a dialect that were not seen for longest end."""
    held = Login.select().where(Login.principal == principal, Login.dialect == dialect, Login.expires_at > now())
    for row in list(held.order_by(Login.last_seen_at.desc(), Login.created_at.desc()).offset(MOST_LOGINS - 1)):
        end_login(row.id)


def _current() -> Any:
    """Logins that hold, with their principals."""
    fresh = Principal.password_set_at.is_null() | (Login.proved_at >= Principal.password_set_at)
    held = (Login.expires_at > now()) & ~Principal.disabled & fresh
    return Login.select(Login, Principal).join(Principal).where(held)


def verify_login(secret: str) -> Proven | None:
    """By the secret of a cookie. None: unknown, over, or of somebody who is disabled."""
    return _proven(_current().where(Login.digest == digest(secret)).get_or_none(), "cookie")


def verify_login_id(id: str) -> Proven | None:
    """By the id in a signed token, which the caller has verified. A closed login still proves who it was."""
    return _proven(_current().where(Login.id == id, Login.dialect != "cookie").get_or_none(), "jwt")


def _proven(row: Login | None, via: str) -> Proven | None:
    if row is None:
        return None
    return Proven(row.id, access.actor(row.principal, None, via, row.id), now() - row.last_seen_at > TOUCH)


def refreshable(id: str) -> Login | None:
    """The login, with its principal, for which new tokens may be given out; None: over, closed or unknown."""
    row: Login | None = _current().where(Login.id == id, Login.closed_at.is_null()).get_or_none()
    return row


def logins(principal_id: str) -> list[Login]:
    """Those that hold; the newest first."""
    found = _current().where(Login.principal == principal_id, Login.closed_at.is_null())
    return list(found.order_by(Login.created_at.desc()))


def is_fresh(id: str, lasts: datetime.timedelta) -> bool:
    """Whether somebody proved no longer ago than this, in this stay or to begin it, that it is them."""
    return bool(_current().where(Login.id == id, Login.proved_at > now() - lasts).exists())


def touch_login(id: str) -> None:
    """Seen now. A cookie lasts from now; what a signed token says of its end stands."""
    Login.update(last_seen_at=now()).where(Login.id == id).execute()
    Login.update(expires_at=now() + LOGIN_LASTS).where(Login.id == id, Login.dialect == "cookie").execute()


def log_out(secret: str) -> None:
    """End a cookie's login. Nothing happens where there is no such login."""
    row = Login.get_or_none(Login.digest == digest(secret))
    if row is not None:
        end_login(row.id)


def close_login(id: str) -> None:
    """Nothing new is given out for it; what was given out lives out its minutes. Twice is the same as once."""
    row = Login.select(Login, Principal).join(Principal).where(Login.id == id, Login.closed_at.is_null()).get_or_none()
    if row is not None:
        Login.update(closed_at=now()).where(Login.id == id).execute()
        emit(LoginRevoked(row.id, row.principal.name, row.principal.id, row.dialect))


def end_login(id: str) -> None:
    """At once, and with all that names it. Nothing happens where there is no such login."""
    row = Login.select(Login, Principal).join(Principal).where(Login.id == id).get_or_none()
    if row is not None:
        Login.delete().where(Login.id == id).execute()
        emit(LoginRevoked(row.id, row.principal.name, row.principal.id, row.dialect))


def end_logins(principal_id: str, but: str | None = None) -> None:
    """Every login of somebody, except one."""
    for row in list(Login.select().where(Login.principal == principal_id)):
        if row.id != but:
            end_login(row.id)


def set_password(principal_id: str, password_hash: Sensitive, but: str | None = None) -> None:
    """Also ends every login of this principal, except the one that the change was made in."""
    principals.set_password(principal_id, password_hash)
    if but is not None:
        Login.update(proved_at=now()).where(Login.id == but, Login.principal == principal_id).execute()


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


def use_setup_link(secret: str, name: str, email: str, password_hash: Sensitive | None) -> Principal:
    """Make the first administrator; the link is gone with it. Without a password the caller adds another way in."""
    check_setup_link(secret)
    SetupLink.delete().execute()
    return access.add_administrator(NewPrincipal(name, email=email, password_hash=password_hash))


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Token, Login, SetupLink]


def _add_columns(db: peewee.SqliteDatabase) -> None:
    sql = cast(Callable[[str], Any], db.execute_sql)
    for name, start in (("dialect", "cookie"), ("via", "password"), ("address", ""), ("proved_at", "")):
        sql(f"alter table login add column {name} text not null default '{start}'")
    sql("alter table login add column closed_at text")
    sql("update login set proved_at = created_at")


@hookimpl
def register_migrations() -> list[Migration]:
    return [Migration("credentials_0001_logins_of_every_dialect", _add_columns)]


@hookimpl
def before_commit(events: Sequence[Event]) -> None:
    """Logins that no longer hold go with what ended them: whoever is enabled again signs in again."""
    for event in events:
        if isinstance(event, PrincipalDisabled):
            Login.delete().where(Login.principal == event.principal_id).execute()
        elif isinstance(event, PasswordChanged):
            set_at = Principal.select(Principal.password_set_at).where(Principal.id == event.principal_id)
            Login.delete().where(Login.principal == event.principal_id, Login.proved_at < set_at).execute()
