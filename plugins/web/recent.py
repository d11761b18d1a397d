"""The last hour of every host in memory, coarse, for the small lines in lists: a list costs no look into a file."""

from __future__ import annotations

import contextlib
import datetime
from collections import deque
from collections.abc import AsyncIterator

from roci import Roci, Task, hookimpl, now

from ..agent.hub import Hub
from ..work.metrics import Metrics

POINTS = 30
EVERY = datetime.timedelta(minutes=2)

Points = deque[float | None]


def nothing() -> Points:
    return deque([None] * POINTS, POINTS)


class Recent:
    """Processor use in percent each two minutes; None where it was not known. Reached as `roci.part(Recent)`."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._points: dict[str, Points] = {}

    def of(self, host_id: str) -> list[float | None]:
        """POINTS values, the newest last; none at all where nothing is known."""
        points = self._points.get(host_id, nothing())
        return list(points) if any(value is not None for value in points) else []

    async def look(self) -> None:
        """Note how all hosts are doing; of those that are new here, how they did before. Raises what history raises."""
        known: dict[str, Points] = {}
        for host_id in list(self._roci.part(Hub).roster):
            if (points := self._points.get(host_id)) is None:
                points = await self._before(host_id)
            else:
                points.append(self._now(host_id))
            known[host_id] = points
        self._points = known

    def _now(self, host_id: str) -> float | None:
        sample = self._roci.part(Metrics).latest(host_id)
        is_fresh = sample and now() - datetime.datetime.fromisoformat(sample.timestamp) < EVERY
        return sample.cpu_percent if sample and is_fresh else None

    async def _before(self, host_id: str) -> Points:
        until, found = now(), nothing()
        start = until - EVERY * POINTS
        for sample in await self._roci.part(Metrics).history(host_id, start, until, POINTS):
            place = int((datetime.datetime.fromisoformat(sample.timestamp) - start) / EVERY)
            found[min(place, POINTS - 1)] = sample.cpu_percent
        return found


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Recent(roci))
    yield


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    async def look() -> None:
        await roci.part(Recent).look()

    return [Task("recent", EVERY.total_seconds(), look)]
