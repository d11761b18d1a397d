from __future__ import annotations

import datetime

import msgspec
import pytest

from roci_plugins.matchers.time import LONGEST, TimeWindow, Window

OPENED = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
CASES = [
    (60, 0.0, True, "the window is open for another 60 s"),
    (60, 59.5, True, "the window is open for another 1 s"),
    (60, 60.0, False, "the window of 60 s closed at 2026-03-01 12:01:00 UTC"),
    (60, 86400.0, False, "the window of 60 s closed at 2026-03-01 12:01:00 UTC"),
    (60, -1.0, False, "the window opens at 2026-03-01 12:00:00 UTC: the clock was set back"),
    (1, 0.999, True, "the window is open for another 1 s"),
    (LONGEST, 1.0, True, f"the window is open for another {LONGEST - 1} s"),
]


@pytest.mark.parametrize(("seconds", "later", "holds", "why"), CASES)
def test_a_window_is_open_from_its_first_moment_until_its_last(
    seconds: int, later: float, holds: bool, why: str
) -> None:
    facts = {"enabled_at": OPENED, "now": OPENED + datetime.timedelta(seconds=later)}
    verdict = TimeWindow().matches(Window(seconds=seconds), facts)
    assert (verdict.holds, verdict.why) == (holds, why)


def test_times_in_other_zones_are_compared_as_moments() -> None:
    east = datetime.timezone(datetime.timedelta(hours=5))
    facts = {"enabled_at": OPENED.astimezone(east), "now": OPENED + datetime.timedelta(seconds=120)}
    verdict = TimeWindow().matches(Window(seconds=60), facts)
    assert (verdict.holds, verdict.why) == (False, "the window of 60 s closed at 2026-03-01 12:01:00 UTC")


@pytest.mark.parametrize("facts", [{}, {"now": OPENED}, {"now": OPENED, "enabled_at": None}])
def test_a_window_that_never_opened_does_not_match(facts: dict[str, datetime.datetime | None]) -> None:
    verdict = TimeWindow().matches(Window(seconds=60), facts)
    assert (verdict.holds, verdict.why) == (False, "the window of this policy was never opened")


@pytest.mark.parametrize("seconds", [0, -5, True, 1.5, "60", None, LONGEST + 1, 10**30])
def test_seconds_must_be_a_whole_number_above_zero(seconds: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="seconds"):
        msgspec.convert({"type": "time_window", "seconds": seconds}, Window)
    with pytest.raises(ValueError, match="seconds: must be a whole number"):
        Window(seconds=seconds)  # type: ignore[arg-type]
