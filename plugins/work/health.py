"""Whether what ROCI depends on is well: the checks of all plugins, each within its time, remembered for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from roci import HealthCheck, Roci, hookimpl

log = logging.getLogger("roci.health")
LIMIT = 2.0  # seconds a check has
REMEMBERED = 10.0  # seconds an answer counts


class Health:
    """Reached as `roci.part(Health)`."""

    def __init__(self, checks: list[HealthCheck]) -> None:
        self._checks = checks
        self._born = time.monotonic()
        self._asked_at = float("-inf")
        self._problems: dict[str, str] = {}
        self._asking = asyncio.Lock()

    @property
    def uptime(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self._born)

    async def problems(self) -> dict[str, str]:
        """What is wrong now, by the name of the check. Empty: all is well."""
        async with self._asking:
            if time.monotonic() - self._asked_at > REMEMBERED:
                answers = await asyncio.gather(*(self._ask(check) for check in self._checks))
                found = {check.name: answer for check, answer in zip(self._checks, answers, strict=True) if answer}
                for name in found.keys() - self._problems.keys():
                    log.warning("%s: %s", name, found[name])
                self._problems, self._asked_at = found, time.monotonic()
        return self._problems

    async def _ask(self, check: HealthCheck) -> str | None:
        try:
            async with asyncio.timeout(LIMIT):
                return await check.check()
        except TimeoutError:
            return f"no answer within {LIMIT:g} s"
        except Exception as error:
            log.exception("the health check %s failed", check.name)
            return f"{type(error).__name__}: {error}"


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Health(list(roci.health_checks.values())))
    yield


@hookimpl
def register_health_checks(roci: Roci) -> list[HealthCheck]:
    async def answers() -> str | None:
        await roci.read(lambda: roci.store.db.execute_sql("select 1 from migration limit 1"))  # type: ignore[no-untyped-call]
        return None

    async def has_room() -> str | None:
        return "the disk that holds ROCI's data is full: free some space" if roci.store.is_full else None

    return [HealthCheck("database", answers), HealthCheck("disk", has_room)]
