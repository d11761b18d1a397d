"""Channels as the tables have them: names, whom they are for, and settings that nobody sees."""

from __future__ import annotations

import pytest

from roci import Conflict, Event, Invalid, NotFound, Unavailable
from roci_plugins.domain import channels, hosts, notices, quiet, secrets
from roci_plugins.domain.channels import ChannelAdded, ChannelChanged, ChannelRemoved, NewChannel
from roci_plugins.domain.hosts import Introduction
from roci_plugins.domain.keyring import Keyring

OWNERS = (hosts, secrets, channels, quiet, notices)
pytestmark = pytest.mark.usefixtures("events")
SETUP = {"url": "https://ntfy.example.org/s3cr3t-topic"}


def test_settings_are_sealed_and_in_no_event(ring: Keyring, events: list[Event]) -> None:
    row = channels.add(ring, NewChannel(" phone ", "webhook"), SETUP)
    assert (row.name, channels.settings(ring, row.id)) == ("phone", SETUP)
    channels.change(ring, row.id, {"url": "https://other.example.org/s3cr3t"}, name="tablet")
    assert channels.settings(ring, row.id) == {"url": "https://other.example.org/s3cr3t"}
    assert "s3cr3t" not in repr(events)
    assert b"s3cr3t" not in bytes(secrets.get(f"channel/{row.id}", channels.SEALED).blob)
    assert secrets.is_internal(f"channel/{row.id}"), "not to be had where people read secrets"


def test_what_changed_is_told_before_and_after(ring: Keyring, events: list[Event]) -> None:
    row = channels.add(ring, NewChannel("phone", "webhook"), SETUP)
    channels.change(ring, row.id, min_severity="critical")
    channels.change(ring, row.id, min_severity="critical")
    channels.remove(row.id)
    added, changed, removed = (event for event in events if isinstance(event, channels.ChannelEvent))
    assert isinstance(added, ChannelAdded) and added.after and added.after["kind"] == "webhook"
    assert isinstance(changed, ChannelChanged) and changed.before and changed.before["min_severity"] == "warning"
    assert isinstance(removed, ChannelRemoved) and removed.channel_id == row.id
    assert secrets.list_(f"channel/{row.id}") == []
    with pytest.raises(NotFound):
        channels.settings(ring, row.id)


def test_a_name_is_taken_once(ring: Keyring) -> None:
    first = channels.add(ring, NewChannel("phone", "webhook"), SETUP)
    with pytest.raises(Conflict, match="'phone'"):
        channels.add(ring, NewChannel("phone", "email"), {})
    assert channels.change(ring, first.id, name="phone").name == "phone"


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (NewChannel("", "webhook"), "name"),
        (NewChannel("a\nb", "webhook"), "name"),
        (NewChannel("x" * 101, "webhook"), "name"),
        (NewChannel("x", "webhook", min_severity="loud"), "min_severity"),
        (NewChannel("x", "webhook", host_ids=["nowhere"]), "host_ids"),
    ],
    ids=["no name", "two lines", "too long", "severity", "host"],
)
def test_what_is_wrong_is_refused_by_field(ring: Keyring, new: NewChannel, field: str) -> None:
    with pytest.raises(Invalid, match=f"^{field}: "):
        channels.add(ring, new, {})


def test_a_host_that_has_gone_may_stay_in_a_list(ring: Keyring) -> None:
    host = hosts.add(Introduction("nas", "10.0.0.1", "10.0.0.1", "10.0.0.1"))
    row = channels.add(ring, NewChannel("x", "webhook", host_ids=[host.id, host.id]), {})
    assert row.host_ids == [host.id]
    host.delete_instance()
    assert channels.change(ring, row.id, name="y").host_ids == [host.id]


def test_settings_have_a_limit(ring: Keyring) -> None:
    with pytest.raises(Invalid, match=r"^settings: at most 64 KiB"):
        channels.add(ring, NewChannel("x", "webhook"), {"url": "x" * 70_000})


def test_settings_that_are_gone_are_not_taken_for_none(ring: Keyring) -> None:
    row = channels.add(ring, NewChannel("x", "webhook"), SETUP)
    secrets.remove_scope(f"channel/{row.id}")
    with pytest.raises(Unavailable, match="gone"):
        channels.settings(ring, row.id)


@pytest.mark.parametrize(
    ("least", "severity", "wanted"),
    [
        ("info", "info", True),
        ("warning", "info", False),
        ("warning", "warning", True),
        ("critical", "warning", False),
        ("critical", "critical", True),
        ("critical", "apocalyptic", True),
    ],
)
def test_a_channel_wants_what_is_severe_enough(least: str, severity: str, wanted: bool) -> None:
    row = channels.Channel(name="x", kind="webhook", min_severity=least)
    assert channels.wants(row, severity, "h1") is wanted


def test_a_channel_wants_only_its_hosts_and_what_is_about_none() -> None:
    row = channels.Channel(name="x", kind="webhook", host_ids=["h1"])
    assert [channels.wants(row, "critical", host) for host in ("h1", "h2", None)] == [True, False, True]
    row.enabled = False
    assert not channels.wants(row, "critical", "h1")
