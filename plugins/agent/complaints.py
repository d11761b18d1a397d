"""What may go wrong with every heartbeat is logged once in a minute."""

from __future__ import annotations

import time

SILENCE = 60.0  # seconds between two complaints about the same


class Complaints:
    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def may(self, about: str) -> bool:
        """Whether to complain about this now; the next minute nobody may."""
        clock = time.monotonic()
        if clock - self._made.get(about, float("-inf")) < SILENCE:
            return False
        self._made[about] = clock
        return True

    def forget(self, about: str) -> None:
        self._made.pop(about, None)
