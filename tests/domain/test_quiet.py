"""Quiet hours: over midnight, on days, through changes of the clock, once until a moment."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from roci import Event, Invalid, NotFound, now
from roci_plugins.domain import hosts, quiet
from roci_plugins.domain.quiet import NewQuietHours, QuietHours, QuietHoursAdded, QuietHoursChanged, QuietHoursRemoved

NIGHT = NewQuietHours("night", starts="22:00", ends="07:00", zone="Europe/Berlin")
OWNERS = (hosts, quiet)
pytestmark = pytest.mark.usefixtures("events")


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def hours(**fields: Any) -> QuietHours:
    return QuietHours(
        **{"name": "x", "days": list(range(7)), "zone": "Europe/Berlin", "passes": ["critical"], **fields}
    )


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-01-14T20:59", None),  # 21:59 in Berlin
        ("2026-01-14T21:00", "2026-01-15T06:00"),
        ("2026-01-15T02:00", "2026-01-15T06:00"),
        ("2026-01-15T05:59:59", "2026-01-15T06:00"),
        ("2026-01-15T06:00", None),
    ],
)
def test_a_window_over_midnight_ends_the_next_day(at: str, end: str | None) -> None:
    assert quiet.ending(hours(starts="22:00", ends="07:00"), utc(at)) == (utc(end) if end else None)


@pytest.mark.parametrize(
    ("at", "quiet_then"),
    [
        ("2026-01-16T22:30", True),  # Friday night
        ("2026-01-17T05:00", True),  # its morning is Saturday's
        ("2026-01-17T22:30", False),
        ("2026-01-16T05:00", False),  # that night began on Thursday
    ],
)
def test_a_window_belongs_to_the_day_it_begins_on(at: str, quiet_then: bool) -> None:
    friday = hours(starts="22:00", ends="07:00", zone="UTC", days=[4])
    assert (quiet.ending(friday, utc(at)) is not None) is quiet_then


@pytest.mark.parametrize(
    ("day", "length"),
    [("2026-03-28", 8), ("2026-10-24", 10), ("2026-06-01", 9)],
    ids=["put forward", "put back", "not changed"],
)
def test_a_night_in_which_the_clock_is_changed_is_shorter_or_longer(day: str, length: int) -> None:
    begin, end = quiet.window(hours(starts="22:00", ends="07:00"), datetime.date.fromisoformat(day))
    assert end - begin == datetime.timedelta(hours=length)


@pytest.mark.parametrize(
    ("day", "starts", "ends", "begin", "end"),
    [
        ("2026-03-29", "01:00", "02:30", "2026-03-29T00:00", "2026-03-29T01:30"),  # 02:30 never is: 03:30
        ("2026-03-29", "02:30", "04:00", "2026-03-29T01:30", "2026-03-29T02:00"),
        ("2026-10-25", "01:00", "02:30", "2026-10-24T23:00", "2026-10-25T01:30"),  # the second 02:30
        ("2026-10-25", "02:30", "04:00", "2026-10-25T00:30", "2026-10-25T03:00"),  # from the first on
    ],
    ids=["ends in the gap", "begins in the gap", "ends twice", "begins twice"],
)
def test_times_that_are_not_or_are_twice_make_no_hole(day: str, starts: str, ends: str, begin: str, end: str) -> None:
    row = hours(starts=starts, ends=ends)
    assert quiet.window(row, datetime.date.fromisoformat(day)) == (utc(begin), utc(end))


def test_the_same_time_twice_is_a_whole_day() -> None:
    assert quiet.ending(hours(starts="00:00", ends="00:00", zone="UTC"), utc("2026-01-14T23:59")) == utc(
        "2026-01-15T00:00"
    )


def test_what_is_meant_once_holds_until_its_moment() -> None:
    row = hours(until=utc("2026-01-14T18:00"))
    assert quiet.ending(row, utc("2026-01-14T17:59")) == utc("2026-01-14T18:00")
    assert quiet.ending(row, utc("2026-01-14T18:00")) is None


def test_severities_and_hosts_pass_by_what_is_said_and_the_longest_quiet_counts() -> None:
    at = utc("2026-01-14T12:00")
    rows = [hours(until=utc("2026-01-14T18:00")), hours(until=utc("2026-01-14T20:00"), host_ids=["h1"], passes=[])]
    held = [quiet.held_until(rows, *each, at) for each in (("warning", "h2"), ("warning", "h1"), ("critical", "h2"))]
    assert held == [utc("2026-01-14T18:00"), utc("2026-01-14T20:00"), None]
    assert quiet.held_until(rows, "critical", "h1", at) == utc("2026-01-14T20:00")
    for row in rows:
        row.enabled = False
    assert quiet.held_until(rows, "warning", "h1", at) is None


def test_changes_are_recorded_before_and_after(events: list[Event]) -> None:
    row = quiet.add(NIGHT)
    quiet.change(row.id, ends="06:00", days=[6, 5, 5])
    assert (quiet.get(row.id).days, quiet.get(row.id).passes) == ([5, 6], ["critical"])
    quiet.remove(row.id)
    added, changed, removed = events
    assert isinstance(added, QuietHoursAdded) and added.after and added.after["zone"] == "Europe/Berlin"
    assert isinstance(changed, QuietHoursChanged) and changed.after and changed.after["ends"] == "06:00"
    assert isinstance(removed, QuietHoursRemoved)
    with pytest.raises(NotFound):
        quiet.get(row.id)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"starts": "24:00"}, "from"),
        ({"ends": ""}, "to"),
        ({"days": []}, "days"),
        ({"days": [7]}, "days"),
        ({"zone": "Europe/Atlantis"}, "time_zone"),
        ({"zone": "../../etc/passwd"}, "time_zone"),
        ({"zone": ""}, "time_zone"),
        ({"passes": ["loud"]}, "passes"),
        ({"host_ids": ["nowhere"]}, "host_ids"),
        ({"until": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)}, "until"),
    ],
    ids=["name", "from", "to", "no day", "day", "zone", "path", "no zone", "severity", "host", "past"],
)
def test_what_is_wrong_is_refused_by_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=f"^{field}: "):
        quiet.add(NewQuietHours(**{"name": "x", "starts": "22:00", "ends": "07:00", **fields}))


def test_what_was_meant_once_is_forgotten_later() -> None:
    weekly = quiet.add(NIGHT)
    once = quiet.add(NewQuietHours("once", until=now() + datetime.timedelta(hours=1)))
    quiet.remove_past(now())
    assert len(quiet.all_()) == 2
    quiet.remove_past(now() + datetime.timedelta(hours=2))
    assert [row.id for row in quiet.all_()] == [weekly.id] != [once.id]
