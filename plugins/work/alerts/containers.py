"""What a host's containers say of how they are, from one heartbeat to the next. Pure: the clock is given.

A container counts as stopped when we saw it run and now see it ended with an exit code that no one asks for: not 0,
not 130 (interrupted) or 143 (terminated), which is how programs end that are asked to. 137 (killed) counts where the
host says that it was for want of memory, or cannot say: else somebody stopped a program that does not end when it is
asked to. What ends while ROCI itself is at work on it does not count.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ...agent.wire import Container
from .settings import AlertSettings

UP, DOWN = ("running", "paused", "restarting"), ("exited", "dead")
ASKED_FOR, KILLED = (0, 130, 143), 137
LOOPING = 7.0  # seconds an engine waits before it restarts a container only when it has done so many times in a row
AGE = re.compile(r"(Less than a|About an?|(?<!\d)\d{1,6}) (second|minute|hour|day|week|month|year)s?")
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604_800, "month": 2_592_000}
CODE = re.compile(r"\((\d{1,6})\)")


class Verdict(NamedTuple):
    """Whether something is wrong with a container. `bad` None: it cannot be told, so all stays as it is."""

    type: str
    name: str
    bad: bool | None
    message: str = ""


@functools.lru_cache(maxsize=4096)
def age(state: str) -> float | None:
    """Seconds, at least, that a container has been in its state: 180 for "Up 3 minutes (healthy)"."""
    if (found := AGE.search(state)) is None:
        return None
    number = {"Less than a": 0, "About a": 1, "About an": 1}.get(found[1])
    return float((int(found[1]) if number is None else number) * SECONDS.get(found[2], 31_536_000))


def exit_code(state: str) -> int | None:
    """Of "Exited (137) 2 hours ago"."""
    found = CODE.search(state)
    return int(found[1]) if found else None


class Track:
    """One container, by its name: what is made again under a name is the same one here."""

    __slots__ = ("age", "code", "down_since", "id", "is_starting", "oom", "restarts", "status", "unhealthy_since")

    def __init__(self, id: str, status: str, age: float | None) -> None:
        self.id, self.status, self.age = id, status, age
        self.code: int | None = None
        self.oom = False
        self.is_starting = False  # its health is not known yet
        self.down_since: float | None = None
        self.unhealthy_since: float | None = None
        self.restarts: deque[float] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something is or may become wrong with it; else all that can be said is that it is well."""
        quiet = self.down_since is None and self.unhealthy_since is None and self.restarts is None
        return not quiet or self.status == "restarting"

    def see(self, now: Container, at: float, ours: bool) -> None:
        """The next heartbeat. `ours`: ROCI itself is at work on it."""
        text = now.state or ""
        years = age(text)
        if now.status in DOWN:
            self._see_down(now, exit_code(text), at, ours)
        else:
            self.down_since = None
            if self._was_restarted(now, years) and not ours:
                self.restarts = self.restarts or deque(maxlen=100)
                self.restarts.append(at)
        self.is_starting = "(health: starting)" in text
        if "(unhealthy)" in text:
            self.unhealthy_since = at if self.unhealthy_since is None else self.unhealthy_since
        elif not self.is_starting:
            self.unhealthy_since = None
        self.id, self.status, self.age = now.id, now.status, years

    def _see_down(self, now: Container, code: int | None, at: float, ours: bool) -> None:
        by_hand = code == KILLED and now.oom is False  # which may be known only after it was seen
        if ours or by_hand or self.status not in (*UP, *DOWN):
            self.down_since = None
        elif self.status in UP and (now.status == "dead" or code not in ASKED_FOR):
            self.down_since, self.code, self.oom = at, code, bool(now.oom)

    def _was_restarted(self, now: Container, years: float | None) -> bool:
        """By its engine: the same container, begun anew. One restart counts once, though it passes many states."""
        if now.id != self.id or self.status not in UP or now.status not in ("running", "restarting"):
            return False
        if now.status == "restarting" and self.status != "restarting":
            return True
        return self.status == now.status and None not in (years, self.age) and (years or 0) < (self.age or 0)

    def verdicts(self, name: str, at: float, settings: AlertSettings) -> Iterator[Verdict]:
        yield self._unhealthy(name, at, settings.unhealthy_after)
        yield self._stopped(name, at, settings.stopped_after)
        yield self._restarting(name, at, settings.restarts, settings.restart_minutes)

    def _unhealthy(self, name: str, at: float, after: float) -> Verdict:
        if self.unhealthy_since is None:
            return Verdict("container_unhealthy", name, False)
        bad = True if at - self.unhealthy_since >= after and not self.is_starting else None
        return Verdict("container_unhealthy", name, bad, f"the container {name} fails its health check")

    def _stopped(self, name: str, at: float, after: float) -> Verdict:
        if self.status not in DOWN:
            return Verdict("container_stopped", name, False)
        bad = True if self.down_since is not None and at - self.down_since >= after else None
        how = "stopped" if self.code is None else f"stopped with exit code {self.code}"
        return Verdict(
            "container_stopped", name, bad, f"the container {name} {'ran out of memory' if self.oom else how}"
        )

    def _restarting(self, name: str, at: float, restarts: int, minutes: float) -> Verdict:
        while self.restarts and at - self.restarts[0] > minutes * 60:
            self.restarts.popleft()
        count = len(self.restarts or ())
        if not count:
            self.restarts = None
        looping = self.status == "restarting" and (self.age or 0) >= LOOPING
        words = f"the container {name} is restarted again and again"
        if count >= restarts:
            words += f": {count} times in {minutes:g} minutes"
        return Verdict("container_restarting", name, looping or count >= restarts, words)


class Watched:
    """All containers of one host."""

    def __init__(self, before: Iterable[Container] = ()) -> None:
        """`before`: what was there when ROCI last heard of this host."""
        self.tracks = {one.name: Track(one.id, one.status, age(one.state or "")) for one in before}
        self.is_waiting = False  # whether something is or may become wrong with one of them

    def see(self, found: Iterable[Container], at: float, is_ours: Callable[[Container], bool]) -> set[str]:
        """The next heartbeat; the names that are gone since the last one."""
        names = set()
        for one in found:
            if not one.name:
                continue  # nobody could say which it is
            names.add(one.name)
            if (track := self.tracks.get(one.name)) is None:
                track = self.tracks[one.name] = Track(one.id, "", None)
            track.see(one, at, is_ours(one))
        gone = self.tracks.keys() - names
        for name in gone:
            del self.tracks[name]
        self.is_waiting = any(track.is_waiting for track in self.tracks.values())
        return gone

    def verdicts(self, at: float, settings: AlertSettings, waiting_only: bool = False) -> Iterator[Verdict]:
        for name, track in self.tracks.items():
            if track.is_waiting or not waiting_only:
                yield from track.verdicts(name, at, settings)
