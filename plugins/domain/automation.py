"""Keys for CI systems: each acts as the principal who owns it, within limits of its own. Only digests are stored.

A key never does more than its owner may: what it is limited to narrows that, and an owner who is disabled or gone
takes it along. Rows stay when keys are revoked, since operations name them.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import peewee

from roci import Actor, Conflict, Event, Invalid, NotFound, Permission, Roci, Sensitive, emit, hookimpl, now

from . import access, principals, registries
from .credentials import TOUCH, Proven, digest
from .deployments import Deployment
from .model import Json, Model, Utc, picked
from .operations import Operation
from .principals import Principal, PrincipalRemoved
from .registries import RegistryCredentialRemoved
from .rules import Grant

PREFIX = "rca_"  # clients refuse keys that begin otherwise
SHOWN = 8  # characters of a key that are kept to tell it from others
VIA = "automation key"
# What a key may be limited to, and the right that each takes: on the host, or (deploy) on the application.
RIGHTS = {
    "exec": "hosts.exec",
    "deploy": "applications.deploy",
    "restart": "containers.control",
    "reboot": "hosts.reboot",
    "registry_login": "registries.login",
    "registry_logout": "registries.login",
}
KINDS = ("exec", "deploy", "container", "reboot", "registry_login", "registry_logout")  # of operations
FAILS = ("deploy", "reboot")  # for these a bad end is a failure; the others were done, whatever came of it
UNSTARTED = (126, 127)  # exit codes of what could not be run
Status = Literal["running", "completed", "failed", "timeout"]
RATE, MOST_RATE = 100, 1000  # requests a minute
MOST_ENTRIES, LONGEST_NAME, MOST_KEYS = 1000, 100, 1000
SCOPE = ("allowed_server_ids", "allowed_operations", "allowed_credential_ids", "ip_allowlist")
FIELDS = ("name", *SCOPE, "rate_limit_per_minute", "expires_at")
VOCABULARY = {
    "automation.list": "see the keys of CI systems",
    "automation.create": "make keys for CI systems, for what one may do oneself",
    "automation.update": "change keys of CI systems",
    "automation.revoke": "revoke keys of CI systems",
}


class AutomationKey(Model):
    owner_id = peewee.TextField(index=True)  # the principal's id
    owner_name = peewee.TextField()  # as it was when the key was made
    name = peewee.TextField()
    digest = peewee.TextField(unique=True)
    prefix = peewee.TextField(index=True)
    allowed_server_ids = Json(default=list)  # hosts; in all four, empty: any
    allowed_operations = Json(default=list)
    allowed_credential_ids = Json(default=list)
    ip_allowlist = Json(default=list)
    rate_limit_per_minute = peewee.IntegerField(default=RATE)
    expires_at = Utc(null=True)
    last_used_at = Utc(null=True)
    revoked_at = Utc(null=True)
    updated_at = Utc(default=now)

    @property
    def state(self) -> str:
        is_over = self.expires_at is not None and self.expires_at <= now()
        return "revoked" if self.revoked_at else "expired" if is_over else "valid"


@dataclasses.dataclass(frozen=True)
class NewKey:
    name: str
    allowed_server_ids: Sequence[str] = ()
    allowed_operations: Sequence[str] = ()
    allowed_credential_ids: Sequence[str] = ()
    ip_allowlist: Sequence[str] = ()
    rate_limit_per_minute: int = RATE
    expires_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a key is limited to; None: not limited."""

    name: str
    prefix: str
    servers: frozenset[str] | None
    operations: frozenset[str] | None
    credentials: frozenset[str] | None
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] | None
    rate: int  # requests a minute
    expires_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class KeyActor(Actor):
    """The owner of a key, as it acts with the key."""

    limits: Limits | None = None


@dataclasses.dataclass(frozen=True)
class AutomationKeyEvent(Event):
    automation_key_id: str
    name: str
    owner_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class AutomationKeyIssued(AutomationKeyEvent):
    pass


class AutomationKeyChanged(AutomationKeyEvent):
    pass


class AutomationKeyRevoked(AutomationKeyEvent):
    pass


# --- who acts ----------------------------------------------------------------


def verify(secret: str) -> Proven | None:
    """The owner as it acts with this key. None: unknown, expired, revoked, or of somebody who is disabled or gone."""
    row: AutomationKey | None = AutomationKey.get_or_none(AutomationKey.digest == digest(secret))
    if row is None or row.state != "valid":
        return None
    owner: Principal | None = Principal.get_or_none(Principal.id == row.owner_id, ~Principal.disabled)
    if owner is None:
        return None
    scopes = frozenset(RIGHTS[operation] for operation in row.allowed_operations or RIGHTS)
    actor = KeyActor(owner.id, owner.name, owner.kind, frozenset(), scopes, VIA, row.id, limits=limits(row))
    return Proven(row.id, actor, row.last_used_at is None or now() - row.last_used_at > TOUCH)


def limits(row: AutomationKey) -> Limits:
    def some(values: Sequence[str]) -> frozenset[str] | None:
        return frozenset(values) or None

    networks = tuple(ipaddress.ip_network(text, strict=False) for text in row.ip_allowlist)
    return Limits(
        row.name,
        row.prefix,
        some(row.allowed_server_ids),
        some(row.allowed_operations),
        some(row.allowed_credential_ids),
        networks or None,
        row.rate_limit_per_minute,
        row.expires_at,
    )


def known_by(secret: str) -> str:
    """What a key that proves nothing may be called: one that was known, or whose beginning is; else nothing."""
    row: AutomationKey | None = AutomationKey.get_or_none(AutomationKey.digest == digest(secret))
    if row is not None:
        return f"{row.name} ({row.prefix}…)"
    prefix = secret[:SHOWN]
    return f"{prefix}…" if AutomationKey.select().where(AutomationKey.prefix == prefix).exists() else ""


def touch(id: str) -> None:
    AutomationKey.update(last_used_at=now()).where(AutomationKey.id == id).execute()


# --- keys --------------------------------------------------------------------


def get(id: str) -> AutomationKey:
    row: AutomationKey | None = AutomationKey.get_or_none(AutomationKey.id == id)
    if row is None:
        raise NotFound("Automation key not found")
    return row


def list_(limit: int | None = None, offset: int = 0) -> tuple[list[AutomationKey], int]:
    """All that were ever made, the newest first; and how many there are."""
    rows = AutomationKey.select().order_by(AutomationKey.created_at.desc(), AutomationKey.id)
    return list(rows.limit(-1 if limit is None else limit).offset(offset)), AutomationKey.select().count()


def operation_counts(ids: Iterable[str]) -> dict[str, int]:
    """How many operations were done with each key, as far as they are kept."""
    query = Operation.select(Operation.credential, peewee.fn.count(Operation.id)).group_by(Operation.credential)
    rows = query.where(Operation.credential.in_(list(ids))).tuples()
    return dict(cast(Iterable[tuple[str, int]], rows))


def issue(owner_id: str, new: NewKey) -> tuple[AutomationKey, Sensitive]:
    """A new key of somebody, and its secret, which is not to be had again.

    Raises Forbidden for what the current actor lacks, Invalid for what makes no sense.
    """
    owner: Principal | None = Principal.get_or_none(Principal.id == owner_id)
    if owner is None:
        raise Conflict("a key belongs to somebody who is stored here: sign in first")
    values = _checked({name: getattr(new, name) for name in FIELDS})
    _check_grantable(values, owner)
    alive = AutomationKey.select().where(AutomationKey.owner_id == owner.id, AutomationKey.revoked_at.is_null())
    if alive.count() >= MOST_KEYS:
        raise Conflict(f"{owner.name} has {MOST_KEYS} keys already: revoke those that are not used any more")
    secret = Sensitive(PREFIX + secrets.token_urlsafe(32))
    row = AutomationKey.create(
        **values, owner_id=owner.id, owner_name=owner.name, digest=digest(secret), prefix=secret[:SHOWN]
    )
    emit(AutomationKeyIssued(row.id, row.name, owner.id, after=_state(row)))
    return row, secret


def change(id: str, **changes: Any) -> AutomationKey:
    """Set some of the fields that a new key has. Raises as `issue` does, and Conflict for one that is revoked."""
    row = get(id)
    if row.revoked_at is not None:
        raise Conflict("this key is revoked: make a new one")
    before = _state(row)
    values = _checked({**picked(row, *FIELDS), **changes}, set(changes))
    _check_grantable(values, principals.get(row.owner_id))
    AutomationKey.update(**values, updated_at=now()).where(AutomationKey.id == id).execute()
    row = get(id)
    if (after := _state(row)) != before:
        emit(AutomationKeyChanged(id, row.name, row.owner_id, before, after))
    return row


def revoke(id: str) -> AutomationKey:
    """It works no more, and stays listed. Twice is the same as once."""
    row = get(id)
    if row.revoked_at is None:
        _end(row)
    return get(id)


def _end(row: AutomationKey) -> None:
    AutomationKey.update(revoked_at=now()).where(AutomationKey.id == row.id).execute()
    emit(AutomationKeyRevoked(row.id, row.name, row.owner_id, before=_state(row)))


def _state(row: AutomationKey) -> dict[str, Any]:
    ends = row.expires_at and row.expires_at.isoformat()
    return {**picked(row, *FIELDS), "expires_at": ends, "key_prefix": row.prefix}


def _check_grantable(values: Mapping[str, Any], owner: Principal) -> None:
    """Nobody gives a key what they lack, nor one of somebody else what its owner has and they do not."""
    access.require_covers(owner)
    for operation in values["allowed_operations"] or RIGHTS:
        if operation == "deploy":  # where an application lies, may change
            resources = ["application/*"]
        else:
            resources = [f"host/{id}" for id in values["allowed_server_ids"] or ["*"]]
        access.require_grantable(Grant(RIGHTS[operation], resource, None) for resource in resources)


def _checked(values: dict[str, Any], given: set[str] | None = None) -> dict[str, Any]:
    """The values as they are kept; `given`: those that are new. Raises Invalid."""
    is_new = set(values) if given is None else given
    if not values["name"].strip() or len(values["name"]) > LONGEST_NAME:
        raise Invalid(f"name: 1 to {LONGEST_NAME} characters")
    principals.check_lines(name=values["name"])
    for field in SCOPE:
        values[field] = sorted(set(values[field]))
        if len(values[field]) > MOST_ENTRIES:
            raise Invalid(f"{field}: at most {MOST_ENTRIES}")
    if unknown := set(values["allowed_operations"]) - RIGHTS.keys():
        raise Invalid(f"allowed_operations: {min(unknown)[:50]!r} is none of {', '.join(RIGHTS)}")
    if not 1 <= values["rate_limit_per_minute"] <= MOST_RATE:
        raise Invalid(f"rate_limit_per_minute: a whole number from 1 to {MOST_RATE}")
    if "expires_at" in is_new and values["expires_at"] and values["expires_at"] <= now():
        raise Invalid("expires_at: this time is over")
    if lost := registries.unknown(values["allowed_credential_ids"]):
        raise Invalid(f"allowed_credential_ids: there is no registry credential {lost[0]}")
    values["ip_allowlist"] = list(dict.fromkeys(map(_network, values["ip_allowlist"])))
    return values


def _network(text: str) -> str:
    """An address or a network in one spelling, IPv4 unwrapped from ::ffff:."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Invalid(f"ip_allowlist: {text[:50]!r} is no address and no network such as 203.0.113.0/24") from None
    inner = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if inner is not None and network.prefixlen >= 96:
        network = ipaddress.ip_network((inner, network.prefixlen - 96))
    return str(network.network_address) if network.num_addresses == 1 else str(network)


# --- what was done -----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Done:
    """One thing that was done to a host, and the key it was done with, where it was one."""

    operation: Operation
    key: AutomationKey | None


def status(row: Operation) -> Status:
    """How an operation is or went, as CI systems are told: what was done is completed, whatever it exited with."""
    if row.status == "running":
        return "running"
    if row.status == "succeeded" or row.kind == "registry_logout":
        return "completed"
    if row.status == "timed_out":
        return "timeout"
    is_unstarted = row.exit_code in UNSTARTED and row.reason  # a program that ends so by itself has no reason
    has_ended = row.status == "failed" and row.exit_code is not None and not is_unstarted
    return "completed" if has_ended and row.kind not in FAILS else "failed"


def audit(
    limit: int,
    offset: int = 0,
    *,
    run_id: str | None = None,
    operation_id: str | None = None,
    key_id: str | None = None,
) -> tuple[list[Done], int]:
    """What was done to hosts, through whatever surface, the newest first; and how many they are."""
    query = Operation.select().where(Operation.kind.in_(KINDS))
    for field, value in ((Operation.run_id, run_id), (Operation.id, operation_id), (Operation.credential, key_id)):
        if value is not None:
            query = query.where(field == value)
    rows = list(query.order_by(Operation.created_at.desc(), Operation.id).limit(limit).offset(offset))
    used = {row.credential for row in rows if row.via == VIA}
    keys = {key.id: key for key in AutomationKey.select().where(AutomationKey.id.in_(list(used)))}
    return [Done(row, keys.get(row.credential)) for row in rows], query.count()


def deployment_id(operation: Operation) -> str | None:
    """The deployment that a deploy has made."""
    mine = (Deployment.application_id == operation.application_id) & (Deployment.operation_id == operation.id)
    found: str | None = Deployment.select(Deployment.id).where(mine).limit(1).scalar()
    return found


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [AutomationKey]


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission(name, meaning) for name, meaning in VOCABULARY.items()]


@hookimpl
def before_commit(roci: Roci, events: Sequence[Event]) -> None:
    """Keys end with their owner. A credential that a key is limited to stays, for an empty list means any."""
    owners = [event.principal_id for event in events if isinstance(event, PrincipalRemoved)]
    theirs = AutomationKey.owner_id.in_(owners) & AutomationKey.revoked_at.is_null()
    for row in list(AutomationKey.select().where(theirs)) if owners else ():
        _end(row)
    gone = {event.registry_credential_id for event in events if isinstance(event, RegistryCredentialRemoved)}
    for row in AutomationKey.select().where(AutomationKey.revoked_at.is_null()) if gone else ():
        if gone.intersection(row.allowed_credential_ids):
            raise Conflict(f"the automation key {row.name!r} is limited to this credential: change or revoke it first")
