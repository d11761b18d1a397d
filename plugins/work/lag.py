"""How late the event loop is. It asks to be woken twenty times a second; how late it is woken, others wait too."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator

from roci import Roci, hookimpl

EVERY = 0.05  # seconds between two looks
LOOKS = 1200  # of the last minute


class Lag:
    """Reached as `roci.part(Lag)`. Seconds, of the last minute."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=LOOKS)

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + EVERY
            await asyncio.sleep(EVERY)
            self.note(clock() - due)

    def note(self, late: float) -> None:
        """The loop woke so many seconds late."""
        self._late.append(max(late, 0.0))

    def percentile(self, percent: float) -> float:
        """What so many percent of the looks did not exceed; 0 before the first."""
        ordered = sorted(self._late)
        return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else 0.0

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p99(self) -> float:
        return self.percentile(99)

    @property
    def worst(self) -> float:
        return max(self._late, default=0.0)


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    lag = Lag()
    roci.provide(lag)
    roci.spawn(lag.watch(), "watching the loop")
    yield
