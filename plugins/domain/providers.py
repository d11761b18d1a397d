"""Identity providers (OpenID Connect), and whom each of their accounts stands for here.

A provider decides who somebody is, so only who holds everything may name one, or change what is known of it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import peewee

from roci import (
    SYSTEM,
    Conflict,
    Event,
    Forbidden,
    Invalid,
    NotFound,
    Permission,
    Sensitive,
    current_actor,
    emit,
    hookimpl,
    now,
)

from . import access, principals, registration, roles, secrets
from .keyring import Keyring
from .model import Json, Model, Utc
from .principals import NewPrincipal, Principal
from .roles import BASE, Role
from .rules import EVERYTHING, Grant

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
SCOPES = ("openid", "email", "profile")
SECRET = "client_secret"  # noqa: S105  the name it is kept under
MOST_ROLES = 50  # that one claim may name


class Provider(Model):
    name = peewee.TextField(unique=True)
    display_name = peewee.TextField()
    issuer = peewee.TextField()
    client_id = peewee.TextField()
    scopes = Json()
    auto_register = peewee.BooleanField()
    default_role = peewee.TextField()
    role_claim = peewee.TextField(null=True)
    enabled = peewee.BooleanField()
    updated_at = Utc(default=now)


class Identity(Model):
    """One account at a provider is one person here."""

    provider = peewee.ForeignKeyField(Provider, backref="identities", on_delete="CASCADE")
    subject = peewee.TextField()
    principal = peewee.ForeignKeyField(Principal, backref="identities", on_delete="CASCADE")

    class Meta:
        indexes = ((("provider", "subject"), True),)


principals.way_in(
    "identity", "select principal_id from identity join provider on provider.id = provider_id where provider.enabled"
)


@dataclasses.dataclass(frozen=True)
class NewProvider:
    """`role_claim` names the claim whose values are roles that newcomers get: any role that exists here."""

    name: str
    display_name: str
    issuer: str
    client_id: str
    scopes: Sequence[str] = SCOPES
    auto_register: bool = True
    default_role: str = BASE
    role_claim: str | None = None
    enabled: bool = True


@dataclasses.dataclass(frozen=True)
class Account:
    """What a provider's signed statement says of somebody."""

    subject: str
    email: str
    email_verified: bool | None
    display_name: str = ""
    roles: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class ProviderEvent(Event):
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class ProviderAdded(ProviderEvent):
    pass


class ProviderChanged(ProviderEvent):
    pass


class ProviderRemoved(ProviderEvent):
    pass


@dataclasses.dataclass(frozen=True)
class IdentityAdded(Event):
    identity_id: str
    provider: str
    subject: str
    principal_id: str
    name: str


# --- providers ---------------------------------------------------------------


def put(ring: Keyring, new: NewProvider, client_secret: str | None = None, is_known: bool | None = None) -> Provider:
    """Add one, or replace what is known of it. A secret that is not given stays as it was, and with its issuer.

    `is_known`: as `check` has it.
    """
    check(new, is_known)
    values = dataclasses.asdict(new) | {"scopes": list(new.scopes)}
    row = find(new.name)
    if row is None:
        Provider.create(**values)
        emit(ProviderAdded(new.name, after=values))
    else:
        if row.issuer != new.issuer:
            _check_move(row, client_secret)
        before = shown(row)
        with principals.keeping_an_administrator(row.name, "switched off: an administrator signs in with it"):
            Provider.update(**values, updated_at=now()).where(Provider.id == row.id).execute()
        emit(ProviderChanged(new.name, before, values))
    if client_secret is not None:
        secrets.put(ring, f"provider/{new.name}", SECRET, client_secret)
    return get(new.name)


def _check_move(row: Provider, client_secret: str | None) -> None:
    """Whether another issuer may take the place of its own: it gets neither the people nor the secret of that."""
    if Identity.select().where(Identity.provider == row).exists():
        raise Conflict(f"people are linked to {row.name} at {row.issuer}: remove it before another takes its name")
    if client_secret is None and secrets.find(f"provider/{row.name}", SECRET):
        raise Invalid("client_secret: send it again, since issuer has changed")


def check(new: NewProvider, is_known: bool | None = None) -> None:
    """Raise Invalid, with the field, and Forbidden for whoever does not hold everything.

    `is_known` True: it is changed, so NotFound where there is none; False: it is added, so Conflict where there is one.
    """
    access.require_grantable([Grant(*EVERYTHING, None)])
    if not NAME.fullmatch(new.name):
        raise Invalid("id: a small letter, then small letters, digits, _ and -, at most 63")
    if is_known:
        get(new.name)
    elif is_known is not None and find(new.name):
        raise Conflict(f"id: there is a provider named {new.name} already")
    for field in ("display_name", "issuer", "client_id", "default_role"):
        if not getattr(new, field).strip():
            raise Invalid(f"{field}: must not be empty")
    check_address(new.issuer, "issuer")
    if "?" in new.issuer or "#" in new.issuer:
        raise Invalid("issuer: an address without ? and #")
    if "openid" not in new.scopes or any(not scope or not scope.isprintable() or " " in scope for scope in new.scopes):
        raise Invalid("scopes: words, openid among them")
    if not _is_role(new.default_role):
        raise Invalid(f"default_role: there is no role named {new.default_role!r}")


def check_address(address: str, what: str) -> None:
    """Raise Invalid for what secrets and people must not be sent to: anything but https, and this machine."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Invalid(f"{what}: this is no address") from None
    if parts.username or parts.password or not host or not address.isascii() or not address.isprintable():
        raise Invalid(f"{what}: this is no address")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here(host)):
        raise Invalid(f"{what}: https:// is needed, except on localhost")


def is_here(host: str) -> bool:
    """Whether a host is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(row: Provider) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(NewProvider)}


def find(name: str) -> Provider | None:
    found: Provider | None = Provider.get_or_none(Provider.name == name)
    return found


def get(name: str) -> Provider:
    if (found := find(name)) is None:
        raise NotFound(f"there is no identity provider {name!r}")
    return found


def usable(name: str) -> Provider:
    """One that people may sign in with. Raises NotFound."""
    found = find(name)
    if found is None or not found.enabled:
        raise NotFound(f"there is no identity provider {name!r}, or it is switched off")
    return found


def all_() -> list[Provider]:
    return list(Provider.select().order_by(Provider.name))


def enabled() -> list[Provider]:
    """Those a sign-in page offers."""
    return list(Provider.select().where(Provider.enabled).order_by(Provider.name))


def client_secret(ring: Keyring, name: str) -> Sensitive | None:
    return secrets.value(ring, f"provider/{name}", SECRET)


def remove(name: str, force: bool = False) -> None:
    """Its secret goes too. People who are linked to it stay, without the link, and only if it is forced."""
    access.require_grantable([Grant(*EVERYTHING, None)])
    row = get(name)
    linked = Identity.select().where(Identity.provider == row).count()
    if linked and not force:
        raise Conflict(f"{linked} people sign in with {name}: they could not any more; force it if that is meant")
    secrets.remove_scope(f"provider/{name}")
    with principals.keeping_an_administrator(name, "removed: an administrator signs in with it"):
        Provider.delete().where(Provider.id == row.id).execute()
    emit(ProviderRemoved(name, before=shown(row)))


# --- the people --------------------------------------------------------------


def admit(provider: Provider, account: Account) -> Principal:
    """Whom an account stands for; made just in time where the provider's settings say so. Raises Forbidden.

    An account is linked to somebody who exists only if the provider vouches for the e-mail address, somebody vouched
    for it here too, and only once.
    """
    acting = dataclasses.replace(current_actor.get(), id=SYSTEM.id, name=SYSTEM.name, kind=SYSTEM.kind)
    token = current_actor.set(dataclasses.replace(acting, via=f"oidc:{provider.name}"))
    try:
        known = Identity.get_or_none(Identity.provider == provider, Identity.subject == account.subject)
        person = _newcomer(provider, account) if known is None else _refreshed(known.principal, account)
    finally:
        current_actor.reset(token)
    if person.disabled:
        raise Forbidden(f"{person.name} is disabled here: an administrator can undo that")
    return person


def _refreshed(person: Principal, account: Account) -> Principal:
    """Name and address as the provider has them now; an address that is somebody else's is not taken."""
    changes: dict[str, Any] = {"display_name": account.display_name} if account.display_name else {}
    email = account.email.strip().lower()
    if account.email_verified and (email == person.email or _holder(email) is None):
        changes["email"] = email
    return principals.change(person.id, namesakes=True, **changes)


def _holder(email: str) -> Principal | None:
    """Whose an address is that a provider has verified: who only says that it is theirs loses it."""
    email = email.strip().lower()
    person = principals.by_email(email)
    if person is None or person.email_vouched:
        return person
    principals.change(person.id, email="")
    if person.name.lower() == email and not roles.bindings(person.name):  # nor may a role meant for its owner go there
        principals.rename(person.id, registration.free_name(f"unverified-{email}"))
    return None


def _newcomer(provider: Provider, account: Account) -> Principal:
    person = _holder(account.email) if account.email_verified else principals.by_email(account.email)
    if person is not None:
        _check_link(provider, account, person)
    elif not provider.auto_register:
        raise Forbidden(f"nobody here has this account of {provider.display_name}: ask an administrator for one")
    elif account.email_verified is False:
        raise Forbidden(f"{provider.display_name} has not verified the address {account.email}")
    else:
        person = _registered(provider, account)
    row = Identity.create(provider=provider, subject=account.subject, principal=person)
    emit(IdentityAdded(row.id, provider.name, account.subject, person.id, person.name))
    return person


def _check_link(provider: Provider, account: Account, person: Principal) -> None:
    """A provider that says nothing of whether it verified an address opens only what holds nothing yet."""
    if person.kind != "person" or Identity.select().where(Identity.principal == person).exists():
        raise Forbidden(f"the address {account.email} is somebody's here who signs in another way")
    is_worthless = account.email_verified is None and person.email_vouched and not access.grants(person)
    if not account.email_verified and not is_worthless:
        raise Forbidden(
            f"{account.email} is somebody's here, and {provider.display_name} does not say it verified that address"
        )


def _registered(provider: Provider, account: Account) -> Principal:
    """A new person: with the role of the first, else those the claim names, else the provider's default."""
    is_first = not principals.has_administrator()
    name = registration.free_name(account.email)
    is_vouched = account.email_verified is True
    new = NewPrincipal(name, email=account.email, display_name=account.display_name, email_vouched=is_vouched)
    person = principals.add(new, namesakes=True)
    if is_first:
        access.make_administrator(person.name)
    else:
        claimed = [role for role in dict.fromkeys(account.roles) if _is_role(role)][:MOST_ROLES]
        for role in claimed or [provider.default_role]:
            if _is_role(role):  # the default may have been removed since
                access.bind(person.name, role)
    return principals.get(person.id)


def _is_role(name: str) -> bool:
    return bool(Role.select().where(Role.name == name).exists())


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Provider, Identity]


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("providers.list", "See identity providers and their settings, without secrets"),
        Permission("providers.update", "Add, change and remove identity providers; it takes all rights besides"),
    ]
