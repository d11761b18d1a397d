"""Deliveries: who is told, in which order, what waits, what is dropped, what is tried again."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from roci import Event, NotFound, now
from roci_plugins.domain import channels, hosts, notices, quiet, secrets
from roci_plugins.domain.channels import Channel, NewChannel
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.notices import FIRED, RESOLVED, Delivery, DeliveryGivenUp, Notice
from roci_plugins.domain.quiet import NewQuietHours

OWNERS = (hosts, secrets, channels, quiet, notices)
pytestmark = pytest.mark.usefixtures("events")
NOW = now() + datetime.timedelta(hours=1)  # after whatever the rows were made at
DAY = 86_400.0


@pytest.fixture
def channel(ring: Keyring) -> Channel:
    return channels.add(ring, NewChannel("phone", "webhook"), {})


def fired(alert: str = "a1", severity: str = "warning", **fields: Any) -> Notice:
    return Notice(FIRED, f"{alert} fired", "too much", severity, alert_id=alert, **fields)


def over(alert: str = "a1", severity: str = "warning") -> Notice:
    return Notice(RESOLVED, f"{alert} is over", "well again", severity, alert_id=alert)


def later(**fields: float) -> datetime.datetime:
    return NOW + datetime.timedelta(**fields)


def claim(channel: Channel, at: datetime.datetime = NOW, room: int = 20, open_: bool = True) -> Notice | None:
    claimed = notices.claim(channel.id, at, room, lambda alert: open_)
    return claimed.notice if claimed else None


def sent(channel: Channel, at: datetime.datetime = NOW, **options: Any) -> str | None:
    """Claim and deliver the next; its title."""
    claimed = notices.claim(channel.id, at, options.pop("room", 20), lambda alert: options.get("open_", True))
    if claimed is None:
        return None
    notices.succeed(claimed.ids, at)
    return claimed.notice.title


def failed(channel: Channel, at: datetime.datetime = NOW, wait: float = 60, patience: float = DAY) -> list[Delivery]:
    claimed = notices.claim(channel.id, at, 20, lambda alert: True)
    assert claimed
    notices.fail(claimed.ids, "no route", at, lambda attempts: wait * attempts, patience)
    return [notices.Delivery.get_by_id(id) for id in claimed.ids]


def statuses(channel: Channel) -> list[str]:
    return [row.status for row in reversed(notices.list_(channel.id)[0])]


def mute_until(at: datetime.datetime, **fields: Any) -> None:
    quiet.add(NewQuietHours("maintenance", until=at, **fields))


# --- who is told ---


def test_a_notice_is_for_each_channel_that_wants_it(ring: Keyring, channel: Channel) -> None:
    loud = channels.add(ring, NewChannel("pager", "webhook", min_severity="critical"), {})
    channels.add(ring, NewChannel("off", "webhook", enabled=False), {})
    assert [row.channel.id for row in notices.enqueue(fired())] == [channel.id]
    assert [row.channel.id for row in notices.enqueue(fired("a2", "critical"))] == [channel.id, loud.id]
    assert notices.enqueue(fired("a3", "info")) == []


def test_who_was_told_hears_of_the_end_however_severe_it_is(channel: Channel) -> None:
    notices.enqueue(fired())
    assert sent(channel) == "a1 fired"
    channels.Channel.update(min_severity="critical").execute()
    notices.enqueue(over(severity="info"))
    assert sent(channel) == "a1 is over"


def test_who_was_spared_the_beginning_is_spared_the_end(ring: Keyring, channel: Channel) -> None:
    notices.enqueue(fired())
    channels.change(ring, channel.id, enabled=False)
    assert claim(channel) is None
    channels.change(ring, channel.id, enabled=True)
    assert notices.enqueue(over()) == []
    assert statuses(channel) == ["muted"]


def test_a_notice_comes_back_as_it_was(channel: Channel) -> None:
    new = fired(host_id=None, hostname="nas", subject="web", path="/hosts/1", data={"type": "cpu"})
    (row,) = notices.enqueue(new)
    found = claim(channel)
    assert found and found.id == row.id
    assert (found.hostname, found.subject, found.path, dict(found.data), found.at) == (
        "nas",
        "web",
        "/hosts/1",
        {"type": "cpu"},
        new.at,
    )


# --- in which order ---


def test_the_oldest_goes_first_and_one_at_a_time(channel: Channel) -> None:
    for alert in ("a1", "a2"):
        notices.enqueue(fired(alert))
    notices.enqueue(over("a9"))
    assert [sent(channel) for _ in range(4)] == ["a1 fired", "a2 fired", "a9 is over", None]


def test_an_end_that_overtakes_the_beginning_goes_alone(channel: Channel) -> None:
    notices.enqueue(fired())
    failed(channel)
    notices.enqueue(over())
    assert [sent(channel), sent(channel, later(hours=1))] == ["a1 is over", None]
    assert statuses(channel) == ["muted", "delivered"]
    assert notices.list_(channel.id, "muted")[0][0].last_error == notices.OVER


def test_the_next_that_is_due_is_known_for_each_channel(ring: Keyring, channel: Channel) -> None:
    other = channels.add(ring, NewChannel("pager", "webhook"), {})
    notices.enqueue(fired())
    failed(channel)
    second = notices.enqueue(fired("a2"))
    assert notices.waiting() == {channel.id: second[0].next_at, other.id: Delivery.get(channel=other.id).next_at}
    assert sent(channel) == "a2 fired"
    assert notices.waiting()[channel.id] == later(seconds=60)


def test_what_failed_holds_up_nothing_else(channel: Channel) -> None:
    notices.enqueue(fired())
    failed(channel)
    notices.enqueue(fired("a2"))
    assert [sent(channel), sent(channel, later(seconds=61))] == ["a2 fired", "a1 fired"]


# --- again ---


def test_what_was_claimed_and_never_ended_is_claimed_again_under_the_same_id(channel: Channel) -> None:
    notices.enqueue(fired())
    first, second = claim(channel), claim(channel, later(minutes=5))
    assert first and second and first.id == second.id
    assert notices.list_(channel.id)[0][0].attempts == 2


def test_a_failure_is_noted_and_tried_again_in_time(channel: Channel) -> None:
    notices.enqueue(fired())
    (row,) = failed(channel)
    assert (row.status, row.attempts, row.last_error, row.next_at) == ("pending", 1, "no route", later(seconds=60))
    assert notices.waiting() == {channel.id: later(seconds=60)}
    assert claim(channel, later(seconds=59)) is None
    (row,) = failed(channel, later(seconds=60))
    assert row.next_at == later(seconds=180)
    assert notices.state(channel.id) == notices.State(1, "no route", None)


def test_it_is_given_up_in_the_end_and_that_is_recorded(channel: Channel, events: list[Event]) -> None:
    notices.enqueue(fired())
    Delivery.update(since=NOW).execute()
    failed(channel, later(hours=23))
    (row,) = failed(channel, later(hours=25))
    assert (row.status, row.ended_at) == ("failed", later(hours=25))
    given_up = [event for event in events if isinstance(event, DeliveryGivenUp)]
    assert [(event.channel, event.title, event.reason) for event in given_up] == [("phone", "a1 fired", "no route")]
    assert notices.waiting() == {}


def test_what_ends_after_it_was_muted_stays_muted(ring: Keyring, channel: Channel) -> None:
    notices.enqueue(fired())
    claimed = notices.claim(channel.id, NOW, 20, lambda alert: True)
    channels.change(ring, channel.id, enabled=False)
    assert claim(channel) is None and claimed
    notices.succeed(claimed.ids, NOW)
    assert statuses(channel) == ["muted"]


# --- quiet hours ---


def test_quiet_hours_hold_a_notice_until_they_end(channel: Channel) -> None:
    mute_until(later(hours=6))
    notices.enqueue(fired())
    notices.enqueue(fired("a2", "critical"))
    assert [sent(channel), sent(channel)] == ["a2 fired", None]
    assert notices.waiting() == {channel.id: later(hours=6)}
    assert sent(channel, later(hours=6)) == "a1 fired"


def test_what_is_over_by_then_is_dropped(channel: Channel) -> None:
    mute_until(later(hours=6))
    notices.enqueue(fired())
    assert claim(channel) is None
    assert sent(channel, later(hours=6), open_=False) is None
    assert statuses(channel) == ["muted"]


def test_what_begins_and_ends_in_quiet_hours_is_never_told(channel: Channel) -> None:
    mute_until(later(hours=6))
    notices.enqueue(fired())
    assert claim(channel) is None
    notices.enqueue(over())
    assert claim(channel) is None and sent(channel, later(hours=6)) is None
    assert statuses(channel) == ["muted", "muted"]


def test_the_end_of_what_was_told_before_waits_and_is_told(channel: Channel) -> None:
    notices.enqueue(fired())
    assert sent(channel) == "a1 fired"
    mute_until(later(hours=6))
    notices.enqueue(over())
    assert [sent(channel), sent(channel, later(hours=6))] == [None, "a1 is over"]


def test_the_end_is_told_though_that_it_became_worse_was_not(channel: Channel) -> None:
    notices.enqueue(fired())
    assert sent(channel) == "a1 fired"
    mute_until(later(hours=6), passes=[])
    notices.enqueue(fired(severity="critical"))
    assert claim(channel) is None
    notices.enqueue(over(severity="critical"))
    assert [sent(channel), sent(channel, later(hours=6))] == [None, "a1 is over"]
    assert statuses(channel) == ["delivered", "muted", "delivered"]


def test_the_patience_for_what_was_held_begins_when_it_is_let_go(channel: Channel) -> None:
    mute_until(later(days=3))
    notices.enqueue(fired())
    assert claim(channel) is None
    (row,) = failed(channel, later(days=3))
    assert row.status == "pending"


def test_quiet_hours_that_were_taken_away_let_go_at_once(channel: Channel) -> None:
    mute_until(later(hours=6))
    notices.enqueue(fired())
    assert claim(channel) is None
    quiet.remove(quiet.all_()[0].id)
    assert claim(channel) is None, "until somebody looks again"
    notices.reconsider(NOW)
    assert sent(channel) == "a1 fired"


# --- storms ---


def test_the_last_notice_of_a_minute_sums_up_the_rest(channel: Channel) -> None:
    for number in range(30):
        notices.enqueue(fired(f"a{number}", "critical" if number == 7 else "warning", hostname="nas"))
    assert sent(channel, room=2) == "a0 fired"
    claimed = notices.claim(channel.id, NOW, 1, lambda alert: True)
    assert claimed
    notice, rows = claimed.notice, claimed.ids
    assert (notice.kind, notice.title, notice.severity, notice.data, len(rows)) == (
        "summary",
        "29 more alerts",
        "critical",
        {"count": 29},
        29,
    )
    lines = notice.body.splitlines()
    assert (lines[0], lines[1], lines[-1], len(lines)) == ("9 before these:", "a10 fired (nas)", "a29 fired (nas)", 21)
    again = claim(channel, later(minutes=1), room=20)
    assert again == notice, "killed in between it is sent again, as the same"


def test_one_alone_is_no_summary(channel: Channel) -> None:
    notices.enqueue(fired())
    assert sent(channel, room=1) == "a1 fired"


def test_what_comes_after_a_summary_that_failed_goes_on_its_own(channel: Channel) -> None:
    for alert in ("a1", "a2"):
        notices.enqueue(fired(alert))
    claimed = notices.claim(channel.id, NOW, 1, lambda alert: True)
    assert claimed
    notices.fail(claimed.ids, "no", NOW, lambda attempts: 60, DAY)
    notices.enqueue(fired("a3"))
    assert [sent(channel), sent(channel, later(seconds=60))] == ["a3 fired", "2 more alerts"]
    assert statuses(channel) == ["delivered"] * 3


def test_one_write_looks_at_a_few_of_many(channel: Channel) -> None:
    mute_until(later(hours=6))
    many = 2 * notices.LOOKED_AT + 1
    for number in range(many):
        notices.enqueue(fired(f"a{number}"))
    held = []
    while notices.waiting()[channel.id] <= NOW:
        assert claim(channel) is None
        held.append(Delivery.select().where(Delivery.held).count())
    assert held == [notices.LOOKED_AT, 2 * notices.LOOKED_AT, many]


def test_a_summary_has_a_limit_and_the_rest_is_for_the_next(channel: Channel) -> None:
    for number in range(notices.TOGETHER + 3):
        notices.enqueue(fired(f"a{number}"))
    assert [sent(channel, room=1) for _ in range(2)] == [f"{notices.TOGETHER} more alerts", "3 more alerts"]


# --- looking and forgetting ---


def test_deliveries_are_listed_newest_first_by_state(channel: Channel) -> None:
    for alert in ("a1", "a2", "a3"):
        notices.enqueue(fired(alert))
    assert sent(channel) == "a1 fired"
    rows, total = notices.list_(channel.id, "pending", limit=1)
    assert ([row.alert_id for row in rows], total) == (["a3"], 2)
    with pytest.raises(NotFound):
        notices.list_("nowhere")


def test_what_ended_is_forgotten_and_what_waits_is_not(channel: Channel) -> None:
    for alert in ("a1", "a2"):
        notices.enqueue(fired(alert))
    assert sent(channel) == "a1 fired"
    assert (notices.prune(NOW), notices.prune(later(seconds=1))) == (0, 1)
    assert statuses(channel) == ["pending"]


def test_with_a_channel_goes_what_was_to_be_sent_on_it(channel: Channel) -> None:
    notices.enqueue(fired())
    channels.remove(channel.id)
    assert Delivery.select().count() == 0
    assert claim(channel) is None
