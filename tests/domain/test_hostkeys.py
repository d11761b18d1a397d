from __future__ import annotations

import datetime

import pytest

from roci import Event, Invalid, NotFound, now
from roci_plugins.domain import hostkeys, hosts
from roci_plugins.domain.hostkeys import HostKey, HostKeyIssued, HostKeyRemoved, HostKeyRevoked
from roci_plugins.domain.hosts import Host, Introduction

OWNERS = (hosts, hostkeys)
pytestmark = pytest.mark.usefixtures("events")


@pytest.fixture
def host() -> Host:
    return hosts.add(Introduction("nas", "10.0.0.2", "10.0.0.2", "10.0.0.2"))


def test_a_key_proves_its_host_by_a_name_that_roles_cannot_be_bound_to(host: Host) -> None:
    row, secret = hostkeys.issue(host.id, "admin")
    proven = hostkeys.verify(secret)
    assert proven and proven.stale and proven.actor.id == host.id and proven.actor.credential == row.id
    assert proven.actor.name == "key admin" and proven.actor.rights == {"hosts.read", "metrics.write"}
    hostkeys.touch(row.id)
    proven = hostkeys.verify(secret)
    assert proven and not proven.stale


def test_only_a_digest_is_kept(host: Host, events: list[Event]) -> None:
    row, secret = hostkeys.issue(host.id)
    assert secret not in str(row.__data__) and repr(secret) == "[hidden]"
    assert isinstance(events[-1], HostKeyIssued) and secret not in str(events[-1])


def test_a_revoked_key_proves_nothing_and_stays_listed(host: Host, events: list[Event]) -> None:
    row, secret = hostkeys.issue(host.id)
    assert not hostkeys.deactivate(row.id).is_active
    hostkeys.deactivate(row.id)
    assert [type(event) for event in events].count(HostKeyRevoked) == 1
    assert hostkeys.verify(secret) is None
    assert len(hostkeys.of_host(host.id)) == 1 and hostkeys.of_host(host.id, active_only=True) == []


def test_a_removed_key_is_gone(host: Host, events: list[Event]) -> None:
    row, secret = hostkeys.issue(host.id)
    hostkeys.remove(row.id)
    assert isinstance(events[-1], HostKeyRemoved) and hostkeys.verify(secret) is None
    with pytest.raises(NotFound):
        hostkeys.get(row.id)


def test_a_key_ends_when_it_says(host: Host) -> None:
    row, secret = hostkeys.issue(host.id, expires_at=now() + datetime.timedelta(hours=1))
    assert hostkeys.verify(secret)
    HostKey.update(expires_at=now()).where(HostKey.id == row.id).execute()
    assert hostkeys.verify(secret) is None
    with pytest.raises(Invalid, match=r"^expires_at: "):
        hostkeys.issue(host.id, expires_at=now())


def test_a_key_of_a_host_that_is_not() -> None:
    for ask in (hostkeys.issue, hostkeys.of_host):
        with pytest.raises(NotFound):
            ask("00000000-0000-4000-8000-000000000000")
