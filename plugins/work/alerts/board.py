"""The open alerts, in memory, and what is still to be written about them.

Judging is synchronous and goes by this memory alone; what it found is written in batches, a moment later.
After a start the memory is what the database says is open.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable

from roci import Roci, Unavailable, now

from ...domain import alerts
from ...domain.alerts import SEVERITIES, Alert, Fire, Raise, Resolve
from .changes import Changes
from .rules import Key

log = logging.getLogger("roci.alerts")
AT_ONCE = 50  # changes of one transaction: others want to write too
RETRY = 5.0  # seconds until what could not be written is written again
NOTE_EVERY = 60.0  # seconds between two times that the latest values of open alerts are noted


@dataclasses.dataclass(slots=True)
class Open:
    id: str
    severity: str
    value: float | None = None
    since: datetime.datetime = dataclasses.field(default_factory=now)


class Board:
    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self.open: dict[Key, Open] = {}
        self._of_host: defaultdict[str, set[Key]] = defaultdict(set)
        self._by_id: dict[str, Key] = {}
        self._dismissed: set[Key] = set()  # conditions that still hold, whose alert somebody resolved by hand
        self._changes = Changes()
        self._values: set[Key] = set()  # open alerts whose latest value is not noted yet
        self._noted_at = self.retry_at = 0.0
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        rows = await self._roci.read(alerts.open_)
        self._changes.clear()
        for kept in (self.open, self._of_host, self._by_id, self._values):
            kept.clear()
        for row in rows:
            self._keep(key_of(row), Open(row.id, row.severity, row.last_value, row.created_at))

    def _keep(self, key: Key, opened: Open) -> None:
        self.open[key] = opened
        self._of_host[key.host_id].add(key)
        self._by_id[opened.id] = key

    def _drop(self, key: Key) -> Open | None:
        opened = self.open.pop(key, None)
        if opened:
            self._of_host[key.host_id].discard(key)
            self._values.discard(key)
            self._by_id.pop(opened.id, None)
        return opened

    def held(self, host_id: str, *types: str) -> list[Key]:
        """What is open or dismissed on a host, of these types: what may become well."""
        dismissed = [key for key in self._dismissed if key.host_id == host_id and key.type in types]
        return dismissed + self.keys(host_id, *types)

    def keys(self, host_id: str, *types: str) -> list[Key]:
        """What is open of a host, of these types."""
        return [key for key in self._of_host.get(host_id, ()) if key.type in types]

    def holds(self, key: Key) -> bool:
        """Whether it is known to be wrong, so that it is no news."""
        return key in self.open or key in self._dismissed

    def bad(self, found: Fire) -> None:
        """Something is wrong: open an alert, unless it is open already."""
        key = Key(found.host_id, found.type, found.subject, found.threshold_id)
        if not self.holds(key) and not self._changes.is_full(key):
            self._keep(key, Open(found.id, found.severity, found.value))
            self._changes.add(key, found)

    def still(self, key: Key, value: float, severity: str, message: Callable[[], str]) -> None:
        """It is still wrong. The alert stays as it is; only its severity may rise."""
        opened = self.open[key]
        if value != opened.value:
            opened.value = value
            self._values.add(key)
        worse = severity != opened.severity and SEVERITIES.index(severity) > SEVERITIES.index(opened.severity)
        if worse and not self._changes.is_full(key):
            opened.severity = severity
            self._changes.add(key, Raise(opened.id, severity, message(), value))

    def well(self, key: Key, value: float | None = None) -> None:
        """It is not wrong, or no longer."""
        self._dismissed.discard(key)
        if (opened := self._drop(key)) and not self._changes.withdraw(key, opened.id):
            self._changes.add(key, Resolve(opened.id, value))

    def resolved(self, alert_id: str) -> None:
        """An alert was resolved. Where we still hold it as open, somebody did that by hand.

        A threshold fires anew with the next value that violates it; a built-in condition when it has come anew.
        """
        if key := self._by_id.get(alert_id):
            self._drop(key)
            if key.threshold_id is None:
                self._dismissed.add(key)

    def release(self, key: Key) -> None:
        """What it was judged by is another now, and what was open is resolved with that."""
        self._drop(key)

    def forget(self, host_id: str) -> None:
        for key in list(self._of_host.pop(host_id, ())):
            self._drop(key)
        self._of_host.pop(host_id, None)
        self._changes.forget(host_id)
        self._dismissed = {key for key in self._dismissed if key.host_id != host_id}

    async def flush(self) -> None:
        """Write what was found. While the disk is full it waits."""
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time()
        values = self._values if clock - self._noted_at >= NOTE_EVERY else set[Key]()
        if values:
            self._noted_at, self._values = clock, set()
        while (self._changes or values) and clock >= self.retry_at:
            taken = self._changes.take(AT_ONCE)
            try:
                changes = [found.change for found in taken]
                await self._roci.write(alerts.record, changes, dict(self._latest(values)))
            except Unavailable as error:
                log.warning("alerts are not saved yet: %s", error.message)
                self._changes.put_back(taken)
                self.retry_at = clock + RETRY
            except Exception:
                await self.load()  # what is in memory may not be what was written
                raise
            values = set()

    def _latest(self, keys: Iterable[Key]) -> Iterable[tuple[str, float]]:
        for key in keys:
            if (opened := self.open.get(key)) and opened.value is not None:
                yield opened.id, opened.value


def key_of(row: Alert) -> Key:
    return Key(row.host_id, row.type, row.subject, row.threshold_id)
