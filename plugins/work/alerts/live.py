"""The judge: it hears of every sample, heartbeat and link, and says on the board what is wrong and what is well.

All of it is synchronous and in memory. Times are the loop's clock, which never jumps.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from roci import Roci

from ...agent import wire
from ...agent.complaints import Complaints
from ...agent.hub import Hub, Live
from ...agent.sample import Sample
from ...domain import alerts, operations
from ...domain.alerts import Fire, Threshold
from ...domain.hosts import Host
from ...domain.operations import Operation
from .board import Board
from .containers import Verdict, Watched
from .forecast import Growth
from .mutes import Mutes, mute_of
from .rules import Key, Rule, value_of
from .settings import MEANINGS, AlertSettings

log = logging.getLogger("roci.alerts")
MOST = 50  # open alerts of single containers on one host
CROWDS = {
    "container_stopped": "that stopped",
    "container_unhealthy": "that fail their health check",
    "container_restarting": "that are restarted again and again",
}
OF_CONTAINERS = tuple(CROWDS)
Clock = Callable[[], float]


class Judge:
    """Reached as `roci.part(Judge)`. A Watcher of the hub, and a listener of the metrics."""

    def __init__(self, roci: Roci, clock: Clock) -> None:
        self._roci, self._clock = roci, clock
        self._hub = roci.part(Hub)
        self.settings = roci.section(AlertSettings)
        self.board = Board(roci)
        self._rules: dict[str, dict[str, Rule]] = {}  # the enabled thresholds of each host
        self._gone: dict[str, float] = {}  # hosts that are not connected, and when they last said something
        self._met: set[str] = set()  # those that were, since the start
        self._watched: dict[str, Watched] = {}
        self._growth: dict[str, Growth] = {}
        self._mutes = Mutes()
        self._complaints = Complaints()
        self._refreshing = asyncio.Lock()
        self._expected: dict[str, str] = {}  # the names of hosts that have thresholds, and whose agent never came

    async def load(self) -> None:
        await self.board.load()
        for row, hostname in await self._roci.read(_rows):
            self._take(row, hostname)
        for operation in await self._roci.read(operations.unfinished):
            self.begun(operation)
        for key in list(self.board.open):
            if key.threshold_id is None and not self._is_on(key.type, key.host_id):
                self.board.well(key)  # it was switched off meanwhile

    def _hostname(self, host_id: str) -> str:
        live = self._hub.roster.get(host_id)
        return live.host.hostname if live else self._expected.get(host_id, "a host")

    def _is_on(self, condition: str, host_id: str) -> bool:
        return self.settings.is_on(condition, self._hostname(host_id))

    # --- thresholds ---

    async def refresh(self, host_id: str, threshold_id: str) -> None:
        """A threshold was added, changed or removed. One at a time, so that the newest is what holds."""
        async with self._refreshing:
            rows = await self._roci.read(_rows, threshold_id)
            self._drop(host_id, threshold_id)
            for row, hostname in rows:
                self._take(row, hostname)

    def _take(self, row: Threshold, hostname: str) -> None:
        if row.host_id not in self._hub.roster:
            self._expected[row.host_id] = hostname
        if row.enabled:
            self._rules.setdefault(row.host_id, {})[row.id] = Rule(row)

    def _drop(self, host_id: str, threshold_id: str) -> None:
        """It holds no more; what was open of it is resolved with it."""
        rules = self._rules.get(host_id, {})
        rule = rules.pop(threshold_id, None)
        if not rules:
            self._rules.pop(host_id, None)
        if rule:
            self.board.release(rule.key)

    def heard(self, host_id: str, sample: Sample, before: Sample | None) -> None:
        """A sample of a host was accepted."""
        rules = self._rules.get(host_id)
        if rules:
            value = functools.cache(lambda metric: value_of(metric, sample, before))
            self._judge(host_id, rules.values(), value)
        self._forecast(host_id, sample)

    def _judge(self, host_id: str, rules: Iterable[Rule], value_of: Callable[[str], float | None]) -> None:
        at, is_open = self._clock(), self.board.open
        for rule in rules:
            value = value_of(rule.metric)
            if value is None:
                continue
            was_open = rule.key in is_open
            if not rule.is_violated(value, was_open):
                rule.since = None
                if was_open:
                    self.board.well(rule.key, value)
            elif was_open:
                words = functools.partial(self._words, rule, value)
                self.board.still(rule.key, value, rule.severity(value), words)
            else:
                rule.since = at if rule.since is None else rule.since
                if at - rule.since >= rule.for_seconds:
                    self.board.bad(self._violation(host_id, rule, value))

    def _words(self, rule: Rule, value: float) -> str:
        return rule.message(self._hostname(rule.key.host_id), value)

    def _violation(self, host_id: str, rule: Rule, value: float) -> Fire:
        return Fire(
            host_id,
            rule.metric,
            rule.severity(value),
            self._words(rule, value),
            threshold_id=rule.id,
            threshold=rule.limit,
            value=value,
            as_of=rule.as_of,
        )

    # --- built-in conditions ---

    def _tell(self, condition: str, host_id: str, subject: str, bad: bool | None, message: str) -> None:
        """What a condition found. None: it cannot be told, so all stays as it is."""
        if bad is False:
            self.board.well(Key(host_id, condition, subject))
        elif bad and self._is_on(condition, host_id):
            words = f"{message} on {self._hostname(host_id)}" if subject else f"{self._hostname(host_id)} {message}"
            self.board.bad(Fire(host_id, condition, MEANINGS[condition][0], words, subject))

    def update(self, host_id: str, image: str, bad: bool | None, used_by: Iterable[str] = ()) -> None:
        """What a registry says of an image."""
        users = f" ({', '.join(sorted(used_by))})"
        self._tell("image_update", host_id, image, bad, f"the registry has a newer {image}{users}")

    def _forecast(self, host_id: str, sample: Sample) -> None:
        growth = self._growth.setdefault(host_id, Growth())
        if not growth.take(sample.disk_usage, self._clock()):
            return
        within = self.settings.forecast_hours
        for disk in sample.disk_usage:
            is_open = Key(host_id, "disk_forecast", disk.path) in self.board.open
            bad, hours = growth.is_filling(disk, within, is_open)
            message = f"{disk.path} ({disk.percent:.0f} % full) has room for about {hours:.0f} hours at this rate"
            self._tell("disk_forecast", host_id, disk.path, bad, message)
        for key in self.board.held(host_id, "disk_forecast"):
            if key.subject not in {disk.path for disk in sample.disk_usage}:
                self.board.well(key)

    # --- links: a Watcher of the hub ---

    def joined(self, live: Live) -> None:
        self._is_here(live.host.id)

    def _is_here(self, host_id: str) -> None:
        self._gone.pop(host_id, None)
        self._met.add(host_id)
        self._tell("host_offline", host_id, "", False, "")
        self._serve(host_id, 0.0)

    def left(self, live: Live) -> None:
        """It may be back in a moment: the sweep decides."""
        if live.host.id not in self._hub.roster:
            return
        self._gone[live.host.id] = self._clock() - (time.monotonic() - live.heard)  # when it was last heard
        for rule in self._rules.get(live.host.id, {}).values():
            if rule.metric != "service":
                rule.since = None  # nobody knows how it was meanwhile

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        if containers is not None:
            self._see(live, containers)

    def _see(self, live: Live, found: list[wire.Container]) -> None:
        host_id, at = live.host.id, self._clock()
        if (watched := self._watched.get(host_id)) is None:
            watched = self._watched[host_id] = self._first_sight(live, at)
        ours = self._mutes.names(host_id, at, found)
        watched.see(found, at, lambda one: one.name in ours)
        calm = not self.board.held(host_id, *OF_CONTAINERS)
        self._pronounce(host_id, watched.verdicts(at, self.settings, waiting_only=calm), ours)
        for key in self.board.held(host_id, *OF_CONTAINERS):
            if key.subject and key.subject not in watched.tracks:
                self.board.well(key)

    def _first_sight(self, live: Live, at: float) -> Watched:
        """What the host ran when it was last heard of counts as seen, and a loop that was told of goes on."""
        try:
            watched = Watched(msgspec.convert(live.host.containers or [], list[wire.Container]))
        except msgspec.ValidationError:
            watched = Watched()
        for key in self.board.keys(live.host.id, "container_restarting"):
            if track := watched.tracks.get(key.subject):
                track.restarts = deque([at] * self.settings.restarts, maxlen=100)
        return watched

    def _pronounce(self, host_id: str, verdicts: Iterable[Verdict], quiet: Iterable[str] = ()) -> None:
        """What is beyond MOST is one alert of its kind; each becomes its own when there is room."""
        room = MOST - len(self.board.keys(host_id, *OF_CONTAINERS))
        beyond = dict.fromkeys(OF_CONTAINERS, 0)
        for type, name, bad, message in verdicts:
            if bad and name in quiet:
                continue
            if bad and not self.board.holds(Key(host_id, type, name)) and self._is_on(type, host_id):
                if room <= 0:
                    beyond[type] += 1
                    continue
                room -= 1
            self._tell(type, host_id, name, bad, message)
        for type, count in beyond.items():
            self._tell(type, host_id, "", count > 0, f"has {count:,} more containers {CROWDS[type]}")

    def sweep(self) -> None:
        """What time alone makes true: hosts that stay away, containers that stay down or unhealthy."""
        at = self._clock()
        for host_id, live in self._hub.roster.items():
            try:
                self._sweep(host_id, live, at)
            except Exception:  # the others are judged all the same
                if self._complaints.may(host_id):
                    log.exception("%s could not be judged", live.host.hostname)

    def _sweep(self, host_id: str, live: Live, at: float) -> None:
        if live.host.status != "approved" or live.last_seen is None:
            return
        if not live.is_online:
            return self._sweep_absent(host_id, live, at)
        self._is_here(host_id)
        if (watched := self._watched.get(host_id)) and watched.is_waiting:
            self._sweep_containers(host_id, live, watched, at)

    def _sweep_containers(self, host_id: str, live: Live, watched: Watched, at: float) -> None:
        quiet = self._mutes.names(host_id, at, live.containers or ()) if self._mutes.of(host_id, at) else ()
        self._pronounce(host_id, watched.verdicts(at, self.settings, waiting_only=True), quiet)

    def _sweep_absent(self, host_id: str, live: Live, at: float) -> None:
        absent = at - self._gone.setdefault(host_id, at)
        is_late = absent >= self.settings.offline_after
        if host_id in self._met or is_late:
            self._serve(host_id, 1.0)
        if is_late and not any(mute.is_whole_host for mute in self._mutes.of(host_id, at)):
            seen = f", last heard of at {live.last_seen:%Y-%m-%d %H:%M:%S} UTC" if live.last_seen else ""
            self._tell("host_offline", host_id, "", True, f"is not connected{seen}")

    def _serve(self, host_id: str, value: float) -> None:
        """`service` of a host: 1 while it is offline."""
        if rules := self._rules.get(host_id):
            self._judge(host_id, rules.values(), lambda metric: value if metric == "service" else None)

    # --- what ROCI itself does ---

    def begun(self, operation: Operation) -> None:
        """What an operation does to containers alarms nobody."""
        if mute := mute_of(operation):
            self._mutes.begin(operation.host_id, operation.id, mute)

    def ended(self, host_id: str, operation_id: str) -> None:
        self._mutes.end(host_id, operation_id, self._clock() + self.settings.settle)

    def forget(self, host_id: str) -> None:
        """A host was removed."""
        self.board.forget(host_id)
        self._mutes.forget(host_id)
        self._met.discard(host_id)
        self._complaints.forget(host_id)
        for kept in (self._rules, self._gone, self._watched, self._growth, self._expected):
            kept.pop(host_id, None)


def _rows(threshold_id: str | None = None) -> list[tuple[Threshold, str]]:
    """A threshold, or all, each with the name of its host."""
    found = alerts.thresholds() if threshold_id is None else Threshold.select().where(Threshold.id == threshold_id)
    rows: list[Threshold] = list(found)
    here = Host.select(Host.id, Host.hostname).where(Host.id.in_({row.host_id for row in rows}))
    names = {host.id: host.hostname for host in here}
    return [(row, names.get(row.host_id, "")) for row in rows]
