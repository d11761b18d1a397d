"""How many requests each key may still make. Exact sliding windows, in bounded memory; times are given, in seconds."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

WINDOW = 60.0
MOST = 10_000  # keys that are remembered; those that were silent longest are forgotten first


@dataclass(frozen=True)
class Answer:
    """Whether a request passes, how many more would now, and the seconds until one more has room."""

    passes: bool
    limit: int
    remaining: int
    wait: int


class Rates:
    """The times of the requests that passed within the last window, by key."""

    def __init__(self, window: float = WINDOW) -> None:
        self.window = window
        self._passed: OrderedDict[str, deque[float]] = OrderedDict()

    def ask(self, key: str, limit: int, at: float) -> Answer:
        """Count a request, if it passes. One that is refused does not make the wait longer."""
        passed = self._passed.setdefault(key, deque())
        self._passed.move_to_end(key)
        while len(self._passed) > MOST:
            self._passed.popitem(last=False)
        while passed and (passed[0] <= at - self.window or len(passed) > limit):
            passed.popleft()  # over, or from before the limit was lowered
        passes = len(passed) < limit
        if passes:
            passed.append(at)
        wait = max(1, math.ceil(passed[0] + self.window - at))
        return Answer(passes, limit, limit - len(passed), wait)
