"""The `time_window` clause: newcomers of the next so many seconds, counted from when the policy was enabled."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from roci import Matcher, Verdict, hookimpl

LONGEST = 100 * 365 * 86400  # seconds; past it the end of the window is no date any more


class Window(msgspec.Struct, kw_only=True):
    seconds: int

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int) or not 1 <= self.seconds <= LONGEST:
            raise ValueError(f"seconds: must be a whole number from 1 to {LONGEST}, not {self.seconds!r}")


class TimeWindow:
    name = "time_window"
    clause: type[msgspec.Struct] = Window

    def matches(self, clause: Window, facts: Mapping[str, Any]) -> Verdict:
        moment, opened = facts.get("now"), facts.get("enabled_at")
        if moment is None or opened is None:
            return Verdict(False, "the window of this policy was never opened")
        closes = opened + datetime.timedelta(seconds=clause.seconds)
        if moment < opened:
            return Verdict(False, f"the window opens at {_clock(opened)}: the clock was set back")
        if moment >= closes:
            return Verdict(False, f"the window of {clause.seconds} s closed at {_clock(closes)}")
        return Verdict(True, f"the window is open for another {math.ceil((closes - moment).total_seconds())} s")


def _clock(moment: datetime.datetime) -> str:
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


@hookimpl
def register_matchers() -> Iterable[Matcher]:
    return [TimeWindow()]
