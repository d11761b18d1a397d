from __future__ import annotations

import datetime
from typing import Any, cast

import pytest

from roci import SYSTEM, Conflict, Event, Forbidden, Invalid, NotFound, Sensitive, current_actor, now
from roci_plugins.domain import (
    access,
    automation,
    credentials,
    operations,
    principals,
    registries,
    roles,
    secrets,
)
from roci_plugins.domain.automation import (
    VIA,
    AutomationKey,
    AutomationKeyChanged,
    AutomationKeyRevoked,
    KeyActor,
    NewKey,
)
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.domain.registries import NewCredential
from roci_plugins.domain.rules import Rule

HOST = "11111111-1111-4111-8111-111111111111"
OWNERS = (registries, secrets, principals, roles, operations, automation)
pytestmark = pytest.mark.usefixtures("events")


def refuse(emitted: list[Event]) -> None:
    """As the running ROCI does before a commit."""
    automation.before_commit(cast(Any, None), emitted)


def person(name: str, *rules: Rule) -> Principal:
    row = principals.add(NewPrincipal(name))
    if rules:
        access.add_role(roles.NewRole(f"of-{name}", list(rules)))
        access.bind(name, f"of-{name}")
    return row


def issue_as(who: Principal, new: NewKey, scopes: list[str] | None = None) -> tuple[AutomationKey, Sensitive]:
    token = current_actor.set(access.actor(who, scopes))
    try:
        return automation.issue(who.id, new)
    finally:
        current_actor.reset(token)


def test_a_key_is_shown_once_and_stored_as_a_digest() -> None:
    ann = person("ann")
    row, secret = automation.issue(ann.id, NewKey("ci"))
    assert secret.startswith("rca_") and len(secret) == 47 and row.prefix == secret[:8]
    assert row.digest == credentials.digest(secret) and secret not in repr(row.__data__)
    proven = automation.verify(secret)
    assert proven and isinstance(proven.actor, KeyActor)
    assert (proven.actor.id, proven.actor.name, proven.actor.via, proven.actor.credential) == (
        ann.id,
        "ann",
        VIA,
        row.id,
    )
    assert automation.verify(f"{secret}x") is None


@pytest.mark.parametrize(
    "wrong, why",
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"allowed_operations": ["exec", "format"]}, "allowed_operations: 'format'"),
        ({"allowed_credential_ids": [HOST]}, "allowed_credential_ids"),
        ({"ip_allowlist": ["203.0.113.0/24", "here"]}, "ip_allowlist: 'here'"),
        ({"ip_allowlist": ["203.0.113.0/33"]}, "ip_allowlist"),
        ({"rate_limit_per_minute": 0}, "rate_limit"),
        ({"rate_limit_per_minute": 1001}, "rate_limit"),
        ({"expires_at": now()}, "expires_at"),
        ({"allowed_server_ids": [str(number) for number in range(1001)]}, "allowed_server_ids"),
    ],
    ids=lambda each: each.replace(" ", "-") if isinstance(each, str) else next(iter(each)),
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any], why: str) -> None:
    ann = person("ann")
    with pytest.raises(Invalid, match=why):
        automation.issue(ann.id, NewKey(**{"name": "ci", **wrong}))
    assert (automation.list_())[1] == 0


def test_addresses_are_kept_in_one_spelling() -> None:
    ann = person("ann")
    given = ["::ffff:203.0.113.9", "203.0.113.9/32", "10.1.2.3/8", "2001:DB8:0::/32", "::ffff:10.0.0.0/104"]
    row, _ = automation.issue(ann.id, NewKey("ci", ip_allowlist=given))
    assert sorted(row.ip_allowlist) == ["10.0.0.0/8", "2001:db8::/32", "203.0.113.9"]


def test_nobody_makes_a_key_for_what_they_lack() -> None:
    ann = person("ann", Rule("hosts.exec", f"host/{HOST}"), Rule("applications.deploy"))
    for new in (
        NewKey("all"),
        NewKey("exec everywhere", allowed_operations=["exec"]),
        NewKey("all there", allowed_server_ids=[HOST]),
        NewKey("reboot", allowed_operations=["reboot"], allowed_server_ids=[HOST]),
    ):
        with pytest.raises(Forbidden, match="nobody grants what they lack"):
            issue_as(ann, new)
    row, _ = issue_as(ann, NewKey("ci", allowed_operations=["exec", "deploy"], allowed_server_ids=[HOST]))
    assert row.owner_name == "ann"


def test_a_narrow_credential_makes_no_wider_key() -> None:
    ann = person("ann", Rule("*"))
    with pytest.raises(Forbidden):
        issue_as(ann, NewKey("ci", allowed_operations=["exec"]), ["automation.*"])
    issue_as(ann, NewKey("ci", allowed_operations=["exec"]), ["automation.*", "hosts.exec"])


def test_nobody_widens_the_key_of_somebody_who_may_more() -> None:
    ann = person("ann", Rule("*"))
    bob = person("bob", Rule("automation.*"), Rule("hosts.exec"))
    row, _ = issue_as(ann, NewKey("ci", allowed_operations=["exec"]))
    token = current_actor.set(access.actor(bob))
    try:
        with pytest.raises(Forbidden):
            automation.change(row.id, ip_allowlist=[])
    finally:
        current_actor.reset(token)


def test_the_actor_is_for_no_more_than_the_key() -> None:
    ann = person("ann")
    new = NewKey("ci", allowed_operations=["registry_login", "exec"], allowed_server_ids=[HOST])
    _, secret = automation.issue(ann.id, new)
    proven = automation.verify(secret)
    assert proven and isinstance(proven.actor, KeyActor) and proven.actor.limits
    assert proven.actor.scopes == {"registries.login", "hosts.exec"} and proven.actor.rights == frozenset()
    assert proven.actor.limits.servers == {HOST} and proven.actor.limits.credentials is None


def test_a_change_is_checked_as_a_new_key_is_and_told(events: list[Event]) -> None:
    ann = person("ann")
    row, _ = automation.issue(ann.id, NewKey("ci", expires_at=now() + datetime.timedelta(days=1)))
    with pytest.raises(Invalid):
        automation.change(row.id, ip_allowlist=["x"])
    changed = automation.change(row.id, ip_allowlist=["10.0.0.1"], expires_at=None)
    assert (changed.ip_allowlist, changed.expires_at, changed.name) == (["10.0.0.1"], None, "ci")
    (event,) = [each for each in events if isinstance(each, AutomationKeyChanged)]
    assert event.before and event.after and event.automation_key_id == row.id
    assert (event.before["ip_allowlist"], event.after["ip_allowlist"]) == ([], ["10.0.0.1"])


def test_a_revoked_key_stays_in_the_list_and_comes_back_never(events: list[Event]) -> None:
    ann = person("ann")
    row, secret = automation.issue(ann.id, NewKey("ci"))
    for _ in range(2):
        assert (automation.revoke(row.id)).state == "revoked"
    assert automation.verify(secret) is None
    rows, total = automation.list_()
    assert (total, rows[0].id) == (1, row.id)
    with pytest.raises(Conflict):
        automation.change(row.id, name="again")
    assert sum(isinstance(each, AutomationKeyRevoked) for each in events) == 1
    with pytest.raises(NotFound):
        automation.revoke(HOST)


def test_a_key_belongs_to_somebody_who_is_stored() -> None:
    with pytest.raises(Conflict, match="sign in first"):
        automation.issue(SYSTEM.id, NewKey("ci"))


def test_the_only_credential_of_a_key_is_not_removed(ring: Keyring, events: list[Event]) -> None:
    """Its list would be empty then, which means any credential."""
    credential = registries.add(ring, NewCredential("hub", "me", Sensitive("x"), "ghcr"))
    row, _ = automation.issue(person("ann").id, NewKey("ci", allowed_credential_ids=[credential.id]))
    registries.remove(credential.id)
    with pytest.raises(Conflict, match="'ci' is limited to this credential"):
        refuse(events)
    automation.revoke(row.id)
    refuse(events)


def test_keys_end_with_their_owner(events: list[Event]) -> None:
    ann, bob = person("ann", Rule("*")), person("bob")
    (hers, _), (his, _) = automation.issue(ann.id, NewKey("hers")), automation.issue(bob.id, NewKey("his"))
    principals.remove(bob.id)
    refuse(events)
    assert (automation.get(hers.id).state, automation.get(his.id).state) == ("valid", "revoked")
    (revoked,) = [event for event in events if isinstance(event, AutomationKeyRevoked)]
    assert (revoked.automation_key_id, revoked.name, revoked.owner_id) == (his.id, "his", bob.id)


def test_what_a_refused_key_may_be_called() -> None:
    ann = person("ann")
    row, secret = automation.issue(ann.id, NewKey("ci"))
    assert automation.known_by(secret) == f"ci ({row.prefix}…)"
    assert automation.known_by(row.prefix + "guessed") == f"{row.prefix}…"
    assert automation.known_by("rca_!!!!") == ""
