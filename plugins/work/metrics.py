"""What hosts tell of themselves: the newest sample of each in memory, the history in a file of its own.

`accept` is called on the loop and answers at once; what it took is written a moment later. A crash loses that moment.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, TypeVar

import msgspec

from roci import Event, Invalid, Malformed, Permission, Roci, RociError, Task, hookimpl, now

from ..agent import sample as samples
from ..agent import wire
from ..agent.complaints import Complaints
from ..agent.hub import Hub, Live
from ..agent.pace import Bucket
from ..agent.sample import Process, Sample
from ..domain import hosts
from ..domain.model import wire_time
from .series import Row, Series

T = TypeVar("T")
log = logging.getLogger("roci.metrics")
FILE = "metrics.db"
BATCH = 100  # samples that are written without waiting for the next second
WAITING = 300_000  # parts of samples kept while the file cannot be written; beyond that the oldest are given up
RATE, ROOM = 1.0, 25.0  # samples of one host that are kept a second, on average and at once
EACH = 50  # parts that count as another sample, so that many large ones do not fill the disk
MOST = 2000  # points of one answer
PAUSE = 0.02  # seconds between the averages of one host and those of the next: others want the processor too
HONEST = 60.0  # seconds by which a host's clock may differ before the server's own counts
HOUR, DAY = 3600_000, 86_400_000
Moment = tuple[str, int]  # a host, and milliseconds since 1970
Listener = Callable[[str, Sample, Sample | None], None]

_processes = msgspec.json.Decoder(list[Process])


class MetricsSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long what hosts tell is kept: as it came, as averages of a minute, as averages of 15 minutes."""

    section: ClassVar[str] = "metrics"
    keep_raw_hours: int = 24
    keep_minute_days: int = 7
    keep_quarter_days: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.keep_raw_hours <= self.keep_minute_days * 24 <= self.keep_quarter_days * 24:
            raise ValueError("keep_raw_hours: at least 1; the coarser a tier, the longer it is kept")


class ContainerPoint(msgspec.Struct, frozen=True, gc=False):
    """A container at one moment, or on average."""

    timestamp: str
    cpu_percent: float | None
    memory_bytes: int | None


class Held(msgspec.Struct, gc=False):
    """The newest sample of a host. Its processes, which are most of it, as JSON until somebody asks."""

    at: int
    sample: Sample
    processes: bytes = b"[]"


class Metrics:
    """Reached as `roci.part(Metrics)`."""

    def __init__(self, roci: Roci) -> None:
        keep = roci.section(MetricsSettings)
        tiers = keep.keep_raw_hours * HOUR, keep.keep_minute_days * DAY, keep.keep_quarter_days * DAY
        self.listeners: list[Listener] = []
        self._roci = roci
        self._series = Series(roci.settings.data / FILE, tiers)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "metrics")
        self._held: dict[str, Held] = {}
        self._waiting: OrderedDict[Moment, Row] = OrderedDict()  # a row stays until it is in the file
        self._parts = 0  # of those that wait
        self._newest: dict[str, Moment] = {}  # of each host, the last one that was to be kept
        self._pace: dict[str, Bucket] = {}
        self._writing = asyncio.Lock()
        self._hurried = False
        self._complaints = Complaints()

    async def load(self) -> None:
        """Know again what was newest before the restart; forget hosts that were removed while the file was away."""
        known = {host.id for host in await self._roci.read(hosts.all_)}
        try:
            found = await self._run(self._series.latest)
            for host_id in await self._run(self._series.hosts):
                if host_id not in known:
                    await self._run(self._series.forget, host_id)
        except RociError as error:
            log.warning("%s", error.message)
            return
        self._held = {id: Held(row.at, _stamped(row.sample, row.at)) for id, row in found.items() if id in known}

    # --- taking in ---

    def accept(self, host_id: str, sample: Sample) -> Sample:
        """Take in a sample of an approved host: what makes no sense in it is dropped, and it gets the server's time."""
        return self._take(host_id, samples.checked(sample))

    def _take(self, host_id: str, sample: Sample) -> Sample:
        before, here = self._held.get(host_id), now()
        at = _moment(sample.timestamp, here)
        if before and at <= before.at < at + HONEST * 1000:  # its clock was put back, or two are of one moment
            at = max(_milliseconds(here), before.at + 1)
        sample = _stamped(sample, at)
        processes = msgspec.json.encode(sample.processes) if sample.processes else before.processes if before else b"[]"
        light = msgspec.structs.replace(sample, processes=[])
        self._held[host_id] = Held(at, light, processes)
        self._keep(Row(host_id, at, light))
        for listener in self.listeners:
            try:
                listener(host_id, sample, before.sample if before else None)
            except Exception:
                if self._complaints.may("a listener"):
                    log.exception("a listener failed on a sample of %s", host_id)
        return sample

    def _keep(self, row: Row) -> None:
        """Have it written. Of a host whose samples come too fast only the newest that waits is kept."""
        if not self._may_keep(row) and not self._drop(self._newest.get(row.host_id)):
            return
        self._newest[row.host_id] = moment = row.host_id, row.at
        self._drop(moment)
        self._waiting[moment] = row
        self._parts += _parts(row)
        while self._parts > WAITING and len(self._waiting) > 1:
            self._drop(next(iter(self._waiting)))
        if len(self._waiting) >= BATCH and not self._hurried:
            self._hurried = True
            self._roci.spawn(self.flush(), "writing metrics")

    def _may_keep(self, row: Row) -> bool:
        pace = self._pace.setdefault(row.host_id, Bucket(RATE, ROOM))
        clock, price = time.monotonic(), 1 + _parts(row) / EACH
        if pace.level(clock) < price:
            return False
        pace.take(price, clock)
        return True

    def _drop(self, moment: Moment | None) -> bool:
        """Whether there was something that is not written yet."""
        row = self._waiting.pop(moment, None) if moment else None
        self._parts -= _parts(row) if row else 0
        return row is not None

    def joined(self, live: Live) -> None:
        """Nothing is known of it yet."""

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        said = bytes(beat.metrics)
        host_id = live.host.id
        if not said or said == b"null" or self._roci.part(Hub).roster.get(host_id) is not live:
            return
        try:
            self._take(host_id, samples.read(said))
        except Malformed as error:
            if self._complaints.may(host_id):
                log.warning("%s sent metrics that are dropped: %s", live.host.hostname, error.message)

    def left(self, live: Live) -> None:
        """Its newest sample stays: the time in it tells."""

    # --- telling ---

    def latest(self, host_id: str) -> Sample | None:
        """The newest sample, however old it is. None: there never was one."""
        held = self._held.get(host_id)
        if held is None:
            return None
        return msgspec.structs.replace(held.sample, processes=_processes.decode(held.processes))

    async def history(
        self,
        host_id: str,
        start: datetime.datetime,
        end: datetime.datetime,
        limit: int = 500,
        step: float | None = None,
    ) -> list[Sample]:
        """Samples without their processes and containers, oldest first. More than `limit`: averages over equal spans.

        `step`, in seconds, says how long the spans are; `limit` does not count then. Raises Invalid.
        """
        span = _span(start, end, limit, step)
        await self.flush()
        return await self._run(self._points, host_id, *span)

    def _points(self, host_id: str, start: int, end: int, limit: int, step: int | None) -> list[Sample]:
        points = self._series.points(host_id, start, end, limit, step, _milliseconds(now()))
        return [_stamped(point.sample, point.at) for point in points]

    async def container_history(
        self,
        host_id: str,
        container: str,
        start: datetime.datetime,
        end: datetime.datetime,
        limit: int = 500,
        step: float | None = None,
    ) -> list[ContainerPoint]:
        """The same of one container: by its name, which outlives it, or by its id."""
        span = _span(start, end, limit, step)
        await self.flush()
        points = await self._run(self._series.uses, host_id, container, *span, _milliseconds(now()))
        return [
            ContainerPoint(_text(point.at), cpu, memory) for point in points for _, _, cpu, memory in point.uses[-1:]
        ]

    # --- keeping ---

    async def flush(self) -> None:
        """Write what is not written yet. Whoever asked may go away: what was not written waits for the next time."""
        async with self._writing:
            if not (rows := list(self._waiting.values())):
                return
            try:
                await self._run(self._series.add, rows)
            except RociError as error:
                if self._complaints.may("the file"):
                    log.warning("metrics are not saved yet: %s", error.message)
                return
            except Exception:  # what nobody can write must not hold up all others for ever
                self._written(rows)
                raise
            self._written(rows)

    def _written(self, rows: list[Row]) -> None:
        for row in rows:
            moment = row.host_id, row.at
            if self._waiting.get(moment) is row:
                self._drop(moment)
        self._hurried = False

    async def tend(self) -> None:
        """Average what came since the last time, and remove what is too old."""
        try:
            for host_id in await self._run(self._series.hosts):
                await self._run(self._series.roll_up, host_id, _milliseconds(now()))
                await self._run(self._series.purge, host_id, _milliseconds(now()))
                await asyncio.sleep(PAUSE)
            await self._run(self._series.give_back)
        except RociError as error:
            log.warning("metrics are not averaged this time: %s", error.message)

    async def forget(self, host_id: str) -> None:
        """The host was removed. A file that cannot be used forgets it at the next start."""
        self._held.pop(host_id, None)
        self._complaints.forget(host_id)
        for moment in [moment for moment in self._waiting if moment[0] == host_id]:
            self._drop(moment)
        self._newest.pop(host_id, None)
        self._pace.pop(host_id, None)
        try:
            await self._run(self._series.forget, host_id)
        except RociError as error:
            log.warning("the metrics of a removed host are still there: %s", error.message)

    async def close(self) -> None:
        await self.flush()
        await self._run(self._series.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)


def _parts(row: Row) -> int:
    """How much of it there is to be kept."""
    return 1 + len(row.sample.disk_usage) + len(row.sample.network) + len(row.sample.containers)


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _text(at: int) -> str:
    return wire_time(datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)) or ""


def _stamped(sample: Sample, at: int) -> Sample:
    return msgspec.structs.replace(sample, timestamp=_text(at))


def _moment(said: str, here: datetime.datetime) -> int:
    """When a sample was taken: as the host says, unless its clock is wrong. Never later than here."""
    try:
        moment = datetime.datetime.fromisoformat(said)
    except ValueError:
        return _milliseconds(here)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return _milliseconds(moment if 0 <= (here - moment).total_seconds() <= HONEST else here)


def _span(
    start: datetime.datetime, end: datetime.datetime, limit: int, step: float | None
) -> tuple[int, int, int, int | None]:
    """A question, as the file takes it. Raises Invalid."""
    if start > end:
        raise Invalid("start: is after end")
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit: from 1 to {MOST}")
    if step is not None and not (step > 0 and (end - start).total_seconds() / step <= MOST):
        raise Invalid(f"step: seconds, so long that there are at most {MOST} of them from start to end")
    return _milliseconds(start), _milliseconds(end), limit, None if step is None else max(int(step * 1000), 1)


@hookimpl
def register_settings() -> type[MetricsSettings]:
    return MetricsSettings


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("metrics.read", "see the metrics of hosts"),
        Permission("metrics.write", "send metrics of a host"),
    ]


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [
        Task("write metrics", 1, lambda: roci.part(Metrics).flush()),
        Task("tend metrics", 3600, lambda: roci.part(Metrics).tend()),
    ]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    metrics = Metrics(roci)
    await metrics.load()
    roci.provide(metrics)
    roci.part(Hub).watchers.append(metrics)
    yield
    await metrics.close()


@hookimpl
async def on_event(roci: Roci, event: Event) -> None:
    if isinstance(event, hosts.HostRemoved):
        await roci.part(Metrics).forget(event.host_id)
