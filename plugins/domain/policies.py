"""Rules of admission: an ordered list of clauses, each with what to do with a host for which it holds."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import peewee

from roci import Conflict, Event, Invalid, Matcher, NotFound, emit, hookimpl, now

from .model import Json, Model, Utc, picked

log = logging.getLogger("roci.policies")
ACTIONS = ("approve", "reject", "pending")
STATUS = {"approve": "approved", "reject": "rejected", "pending": "pending"}


class Policy(Model):
    name = peewee.TextField()
    priority = peewee.IntegerField()
    match_type = Json()  # as given: {"type": "cidr", "network": "10.0.0.0/8"}
    action = peewee.TextField()
    enabled = peewee.BooleanField(default=True)
    enabled_at = Utc(default=now)  # when its window opened: made, or enabled again
    updated_at = Utc(default=now)


@dataclasses.dataclass(frozen=True)
class PolicyAdded(Event):
    policy_id: str
    name: str
    priority: int
    match_type: Mapping[str, Any]
    action: str
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class PolicyChanged(Event):
    policy_id: str
    name: str
    changes: Mapping[str, Any]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class PolicyRemoved(Event):
    policy_id: str
    name: str
    before: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Rule:
    """An enabled policy, ready to be asked."""

    policy_id: str
    name: str
    action: str
    matcher: Matcher
    clause: Any
    enabled_at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of a candidate, the policy that decided (None: none matched), and how each one asked answered."""

    status: str
    policy_id: str | None
    reason: str
    trail: tuple[Mapping[str, Any], ...] = ()


def get(policy_id: str) -> Policy:
    policy: Policy | None = Policy.get_or_none(Policy.id == policy_id)
    if policy is None:
        raise NotFound("Policy not found")
    return policy


def all_() -> list[Policy]:
    """In the order in which they are asked."""
    return list(Policy.select().order_by(Policy.priority, Policy.created_at, Policy.id))


def add(name: str, priority: int, match_type: Mapping[str, Any], action: str, enabled: bool = True) -> Policy:
    check(name=name, action=action)
    policy = Policy.create(name=name, priority=priority, match_type=match_type, action=action, enabled=enabled)
    emit(PolicyAdded(policy.id, name, priority, match_type, action, _state(policy)))
    return policy


def change(policy_id: str, **changes: Any) -> Policy:
    """Change any of name, priority, match_type, action, enabled. Enabling opens a time window anew."""
    policy = get(policy_id)
    check(name=changes.get("name", policy.name), action=changes.get("action", policy.action))
    before = _state(policy)
    for field, value in changes.items():
        setattr(policy, field, value)
    policy.updated_at = now()
    if changes.get("enabled"):
        policy.enabled_at = policy.updated_at
    policy.save()
    emit(PolicyChanged(policy.id, policy.name, changes, before, _state(policy)))
    return policy


def remove(policy_id: str) -> None:
    policy = get(policy_id)
    policy.delete_instance()
    emit(PolicyRemoved(policy.id, policy.name, _state(policy)))


def closes_at(policy: Policy) -> datetime.datetime | None:
    """When the window of a policy closes, where its clause is open for so many seconds."""
    seconds = policy.match_type.get("seconds") if policy.match_type.get("type") == "time_window" else None
    return policy.enabled_at + datetime.timedelta(seconds=seconds) if isinstance(seconds, int) else None


def arrange(policy_ids: Sequence[str]) -> None:
    """Have them asked in this order, all of them. The priorities that were given stay in use as far as they differ."""
    found = {policy.id: policy for policy in all_()}
    if len(policy_ids) != len(found) or found.keys() != set(policy_ids):
        raise Conflict("policies were added or removed meanwhile: look at them again, then put them in order")
    priorities: list[int] = []
    for priority in sorted(policy.priority for policy in found.values()):
        priorities.append(max(priority, priorities[-1] + 1) if priorities else priority)
    for policy_id, priority in zip(policy_ids, priorities, strict=True):
        if found[policy_id].priority != priority:
            change(policy_id, priority=priority)


def _state(policy: Policy) -> dict[str, Any]:
    return picked(policy, "name", "priority", "match_type", "action", "enabled")


def check(name: str, action: str) -> None:
    if not name.strip():
        raise Invalid("name: must not be empty")
    if action not in ACTIONS:
        raise Invalid(f"action: must be one of {', '.join(ACTIONS)}, not {action!r}")


def decide(rules: Iterable[Rule], facts: Mapping[str, Any]) -> Decision:
    """The first rule whose clause holds decides; none: pending. A clause that cannot be judged does not hold."""
    trail: list[Mapping[str, Any]] = []
    for rule in rules:
        try:
            verdict = rule.matcher.matches(rule.clause, {**facts, "enabled_at": rule.enabled_at})
            holds, why = verdict.holds, verdict.why
        except Exception as error:
            log.exception("the policy %s could not be asked", rule.name)
            holds, why = False, f"could not be asked: {error}"
        trail.append({"policy_id": rule.policy_id, "name": rule.name, "holds": holds, "why": why})
        if holds:
            return Decision(STATUS[rule.action], rule.policy_id, f"policy {rule.name!r}: {why}", tuple(trail))
    why = "; ".join(f"{step['name']}: {step['why']}" for step in trail)
    return Decision("pending", None, f"no policy matched ({why})" if why else "no policy is enabled", tuple(trail))


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Policy]
