"""The coming and going of hosts, as it is remembered: each time, but for a host that comes and goes all the time.

What is noted is written with all else of that second, so that a thousand agents that come back cost a few writes.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable

from roci import Actor, Event, current_actor, emit

APART = 60.0  # seconds in which a host may have so many rows; what goes beyond is counted in the next
MOST = 10
AT_ONCE = 500  # rows of one write


@dataclasses.dataclass(frozen=True)
class HostConnected(Event):
    """Its agent registered; so many times."""

    host_id: str
    hostname: str
    from_address: str
    count: int = 1


@dataclasses.dataclass(frozen=True)
class HostDisconnected(Event):
    """Its agent's connection ended; so many times. `code` is that of the websocket."""

    host_id: str
    hostname: str
    reason: str
    code: int
    count: int = 1


Passage = HostConnected | HostDisconnected


@dataclasses.dataclass
class _Lately:
    until: float
    rows: int = 0
    held: dict[type[Passage], Passage] = dataclasses.field(default_factory=dict)


class Passages:
    """What waits to be written. Touched by the event loop only; times are its clock's."""

    def __init__(self) -> None:
        self._waiting: deque[Passage] = deque()
        self._lately: dict[str, _Lately] = {}

    def note(self, passage: Passage, at: float) -> None:
        lately = self._lately.setdefault(passage.host_id, _Lately(at + APART))
        if lately.rows < MOST:
            lately.rows += 1
            self._waiting.append(passage)
            return
        held = lately.held.get(type(passage))
        count = passage.count + (held.count if held else 0)
        lately.held[type(passage)] = dataclasses.replace(passage, count=count)

    def take(self, at: float, everything: bool = False) -> list[Passage]:
        """What is to be written now, in the order of each host."""
        for host_id, lately in list(self._lately.items()):
            if everything or lately.until <= at:
                self._waiting.extend(lately.held.values())
                if lately.held:
                    self._lately[host_id] = _Lately(at + APART, len(lately.held))
                else:
                    del self._lately[host_id]
        many = len(self._waiting) if everything else min(AT_ONCE, len(self._waiting))
        return [self._waiting.popleft() for _ in range(many)]

    def put_back(self, taken: Iterable[Passage]) -> None:
        """They could not be written."""
        self._waiting.extendleft(reversed(list(taken)))


def record(passages: Iterable[Passage]) -> None:
    """Write them down, each as its own host's doing."""
    for passage in passages:
        token = current_actor.set(Actor(passage.host_id, passage.hostname, "agent"))
        try:
            emit(passage)
        finally:
            current_actor.reset(token)
