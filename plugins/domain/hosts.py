"""Machines that run containers, and what is known of the agent on each. What is live lies with the hub."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import peewee

from roci import Conflict, Event, NotFound, Sensitive, current_actor, emit, hookimpl, now

from .model import Json, Model, Utc, picked

MOVES = {"pending": {"approved", "rejected"}, "approved": set[str](), "rejected": set[str]()}


class Host(Model):
    hostname = peewee.TextField(index=True)
    status = peewee.TextField(default="pending")  # pending, approved, rejected
    declared_ip = peewee.TextField()
    peer_ip = peewee.TextField()
    effective_ip = peewee.TextField()
    volume_base = peewee.TextField(default="/data")
    agent_version = peewee.TextField(null=True)
    protocol = peewee.IntegerField(default=1)  # 1: the published messages only
    capabilities = Json(default=list)
    os = peewee.TextField(null=True)
    arch = peewee.TextField(null=True)
    local = peewee.BooleanField(default=False)  # this very machine, over the in-process link
    policy_id = peewee.TextField(null=True)  # the policy that decided
    decision_reason = peewee.TextField(default="")
    reject_reason = peewee.TextField(null=True)
    token_digest = peewee.TextField(null=True)
    token_presented = peewee.BooleanField(default=False)  # from then on the token is required
    last_seen = Utc(null=True)  # None: expected, and no agent has come yet
    containers = Json(null=True)  # as last reported; None: never


@dataclasses.dataclass(frozen=True)
class Introduction:
    """What an agent says of its host when it registers, and where it was seen from."""

    hostname: str
    declared_ip: str
    peer_ip: str
    effective_ip: str
    volume_base: str = "/data"
    protocol: int = 1
    agent_version: str | None = None
    capabilities: tuple[str, ...] = ()
    os: str | None = None
    arch: str | None = None
    local: bool = False


@dataclasses.dataclass(frozen=True)
class HostAdded(Event):
    host_id: str
    hostname: str
    effective_ip: str
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class HostDecided(Event):
    """A host was admitted, refused or held; by a policy, or by the actor."""

    host_id: str
    hostname: str
    status: str
    policy_id: str | None
    reason: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class HostRemoved(Event):
    host_id: str
    hostname: str
    before: Mapping[str, Any] | None = None


def get(host_id: str) -> Host:
    host: Host | None = Host.by_id(host_id)
    if host is None:
        raise NotFound("Agent not found")
    return host


def all_() -> list[Host]:
    return list(Host.select().order_by(Host.created_at, Host.id))


def local() -> Host | None:
    """This very machine, where it is enrolled."""
    found: Host | None = Host.get_or_none(Host.local == True)  # noqa: E712
    return found


def add(introduction: Introduction) -> Host:
    host = Host.create(**dataclasses.asdict(introduction), last_seen=now())
    emit(HostAdded(host.id, host.hostname, host.effective_ip, _state(host)))
    return host


def expect(name: str) -> Host:
    """A host that is approved before it was ever seen. Its agent is the one that brings a key of it."""
    by = f"expected by {current_actor.get().name}"
    nowhere = {"declared_ip": "", "peer_ip": "", "effective_ip": ""}
    host = Host.create(hostname=name, status="approved", decision_reason=by, token_presented=True, **nowhere)
    emit(HostAdded(host.id, host.hostname, "", _state(host)))
    return host


def by_key(host_id: str, introduction: Introduction) -> Host:
    """The host that a key speaks for introduced itself. From now on nobody is this host by name and address alone."""
    host = refresh(get(host_id), introduction)
    if host.status == "pending":
        decide(host, "approved", None, "its agent has a key of this host")
    host.token_presented = True
    host.save()
    return host


def refresh(host: Host, introduction: Introduction) -> Host:
    """The same host introduced itself again; what it says of itself may have changed."""
    for name, value in dataclasses.asdict(introduction).items():
        setattr(host, name, value)
    host.last_seen = now()
    host.save()
    return host


def is_taken(hostname: str, connected: Collection[str], but: str) -> bool:
    """Whether another approved host that is connected has this name."""
    others = Host.select(Host.id).where(Host.hostname == hostname, Host.status == "approved", Host.id != but)
    return any(host.id in connected for host in others)


def find_by_token(host_id: str, token: str) -> Host | None:
    """The host whose agent holds this token; None for a wrong one, whatever record it names."""
    host: Host | None = Host.by_id(host_id)
    if host is None or not host.token_digest or not secrets.compare_digest(host.token_digest, digest(token)):
        return None
    return host


def by_token(host_id: str, token: str) -> Host | None:
    """The same, and from now on this host needs its token."""
    host = find_by_token(host_id, token)
    if host and not host.token_presented:
        host.token_presented = True
        host.save()
    return host


def token_kept(host_id: str) -> None:
    """The host's agent has the token that was issued last: from now on the host needs it."""
    unsure = (Host.id == host_id) & Host.token_digest.is_null(False) & ~Host.token_presented
    Host.update(token_presented=True).where(unsure).execute()


def without_token(hostname: str, effective_ip: str, connected: Collection[str]) -> Host | None:
    """The record an agent without a token may take up again: one that never presented a token and is not here now."""
    same = (Host.hostname == hostname) & (Host.effective_ip == effective_ip)
    candidates = Host.select().where(same, ~Host.token_presented, ~Host.local).order_by(Host.created_at)
    return next((host for host in candidates if host.id not in connected), None)


def issue_token(host: Host) -> Sensitive:
    """A new token for the host's agent, returned once; only its digest is kept."""
    token = Sensitive(secrets.token_hex(32))
    host.token_digest = digest(token)
    host.save()
    return token


def decide(host: Host, status: str, policy_id: str | None, reason: str) -> Host:
    """Record what the policies or a person decided. `pending` keeps a pending host waiting, with the reason."""
    if status != host.status and status not in MOVES[host.status]:
        raise Conflict("Agent is not pending")
    is_news, before = status != host.status or not host.decision_reason, _state(host)
    host.status, host.policy_id, host.decision_reason = status, policy_id, reason
    host.save()
    if is_news:
        emit(HostDecided(host.id, host.hostname, status, policy_id, reason, before, _state(host)))
    return host


def make_room(most: int, connected: Collection[str], effective_ip: str | None = None) -> bool:
    """Whether one more host that is not approved may be kept, of all or of those at one address.

    One that is not connected makes room: what a policy refused, what waits, what a person refused; the longest silent
    first.
    """
    strangers = Host.select().where(Host.status != "approved")
    if effective_ip is not None:
        strangers = strangers.where(Host.effective_ip == effective_ip)
    if strangers.count() < most:
        return True
    refused_by_policy = (Host.status == "rejected") & Host.policy_id.is_null(False)
    for kind in (refused_by_policy, Host.status == "pending", Host.status == "rejected"):
        leaves = next(
            (host for host in strangers.where(kind).order_by(Host.last_seen) if host.id not in connected), None
        )
        if leaves is not None:
            remove(leaves.id)
            return True
    return False


def approve(host_id: str, by: str) -> Host:
    host = get(host_id)
    if host.status != "pending":
        raise Conflict(f"Agent is not pending (it is {host.status})")
    return decide(host, "approved", None, f"approved by {by}")


def reject(host_id: str, by: str, reason: str | None = None) -> Host:
    """Refuse a pending host. An approved one is removed instead."""
    host = get(host_id)
    if host.status != "pending":
        raise Conflict(f"Agent is not pending (it is {host.status})")
    host.reject_reason = reason
    return decide(host, "rejected", None, f"rejected by {by}")


def remove(host_id: str) -> Host:
    """Forget a host and its token. What it runs goes on running there."""
    host = get(host_id)
    host.delete_instance()
    emit(HostRemoved(host.id, host.hostname, _state(host)))
    return host


def _state(host: Host) -> dict[str, Any]:
    """A host as the audit trail shows it: what was decided about it, and where it is."""
    return picked(host, "hostname", "status", "effective_ip", "policy_id", "decision_reason", "reject_reason")


def record_heartbeats(rows: Iterable[tuple[datetime.datetime, str | None, str]]) -> None:
    """Write what was heard since the last flush: last seen, the containers' JSON where it changed (else None), id."""
    seen, last_seen = list(rows), Utc()
    sql = "update host set last_seen = ?, containers = coalesce(?, containers) where id = ?"
    values = [(last_seen.db_value(at), containers, host_id) for at, containers, host_id in seen]
    Host._meta.database.cursor().executemany(sql, values)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Host]
