from __future__ import annotations

import pytest

from roci import Event, Invalid, NotFound
from roci_plugins.domain import hostcards, hosts
from roci_plugins.domain.hostcards import HostCard, HostCardSet
from roci_plugins.domain.hosts import Host, HostAdded, Introduction

OWNERS = (hosts, hostcards)
pytestmark = pytest.mark.usefixtures("events")


@pytest.fixture
def host() -> Host:
    return hosts.decide(hosts.add(Introduction("nas", "10.0.0.2", "10.0.0.2", "10.0.0.2")), "approved", None, "test")


def test_a_host_is_expected_before_it_is_seen(events: list[Event]) -> None:
    made = hostcards.add("n1", "n1.lan", 22, {"rack": 3})
    assert (made.name, made.host.status, made.host.last_seen) == ("n1", "approved", None)
    assert (made.card and made.card.address, made.card and made.card.port) == ("n1.lan", 22)
    assert [type(event) for event in events] == [HostAdded, HostCardSet]
    assert hosts.without_token("n1", "", ()) is None, "only a key makes an agent this host"


def test_a_note_does_not_show_what_it_keeps(host: Host, events: list[Event]) -> None:
    hostcards.change(host.id, data={"password": "hunter2"})
    last = events[-1]
    assert isinstance(last, HostCardSet) and last.after is not None and last.after["data"] == ["password"]
    assert "hunter2" not in str(events)


def test_what_is_not_given_stays(host: Host) -> None:
    assert hostcards.get(host.id).card is None and hostcards.get(host.id).name == "nas"
    hostcards.change(host.id, name="storage", port=1)
    found = hostcards.change(host.id, address="nas.lan", port=None)
    assert found.card and (found.name, found.card.address, found.card.port) == ("storage", "nas.lan", None)
    assert [(each.host.id, each.name) for each in hostcards.all_()] == [(host.id, "storage")]


def test_hosts_that_are_not_approved_have_none() -> None:
    pending = hosts.add(Introduction("pi", "10.0.0.3", "10.0.0.3", "10.0.0.3"))
    assert hostcards.all_() == []
    for attempt in (hostcards.get, hostcards.change):
        with pytest.raises(NotFound):
            attempt(pending.id)


def test_it_goes_with_its_host(host: Host) -> None:
    hostcards.change(host.id, name="storage")
    hosts.remove(host.id)
    assert not HostCard.select().count()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": " "},
        {"name": "a\n"},
        {"name": "x" * 256},
        {"port": 0},
        {"port": 65536},
        {"address": "\0"},
    ],
    ids=str,
)
def test_notes_that_cannot_be(host: Host, wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid, match=f"^{next(iter(wrong))}: "):
        hostcards.change(host.id, **wrong)
    with pytest.raises(Invalid, match="data: at most 16 KiB"):
        hostcards.change(host.id, data={"a": "b" * 20_000})
    assert hostcards.get(host.id).card is None


def test_labels_are_noted_beside_whatever_else_is(host: Host) -> None:
    hostcards.change(host.id, data={"rack": 3, "labels": "not a list"})
    assert hostcards.labels(hostcards.get(host.id).card) == []
    card = hostcards.note(host.id, [" cellar ", "", "backup", "cellar"], name="Big box").card
    assert card and (card.name, card.data) == ("Big box", {"rack": 3, "labels": ["cellar", "backup"]})
    assert hostcards.labels(card) == ["cellar", "backup"] and hostcards.labels(None) == []
    card = hostcards.note(host.id, []).card
    assert card and (card.name, card.data) == ("Big box", {"rack": 3})


@pytest.mark.parametrize(
    "words", [["x" * 41], ["a\nb"], [str(number) for number in range(21)]], ids=["long", "two lines", "many"]
)
def test_labels_that_are_none_are_refused(host: Host, words: list[str]) -> None:
    with pytest.raises(Invalid, match="labels: at most 20"):
        hostcards.note(host.id, words)
    assert hostcards.get(host.id).card is None
