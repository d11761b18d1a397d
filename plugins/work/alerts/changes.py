"""What was found and is not written yet. What matters most goes first, and hosts take turns: none holds up others."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from ...domain.alerts import Change, Fire, Raise, Resolve
from .rules import Key
from .settings import MEANINGS

MOST = (5000, 200, 200)  # changes of one host that wait before nothing new is told of it; thresholds are people's own


class Found(NamedTuple):
    key: Key
    change: Change


class Changes:
    """Those of one key stay in order."""

    def __init__(self) -> None:
        self._lanes = tuple(OrderedDict[str, deque[Found]]() for _ in range(3))

    def __bool__(self) -> bool:
        return any(self._lanes)

    def is_full(self, key: Key) -> bool:
        """Whether this has to wait: what is wrong is found again by the next sweep or sample."""
        rank = _rank(key)
        return len(self._lanes[rank].get(key.host_id, ())) >= MOST[rank]

    def add(self, key: Key, change: Change) -> None:
        self._lanes[_rank(key)].setdefault(key.host_id, deque()).append(Found(key, change))

    def withdraw(self, key: Key, alert_id: str) -> bool:
        """Where there is no room: what began and ended meanwhile is left out. Whether it was."""
        if not self.is_full(key):
            return False
        lane = self._lanes[_rank(key)]
        waiting = lane[key.host_id]
        if not any(isinstance(found.change, Fire) and found.change.id == alert_id for found in waiting):
            return False
        lane[key.host_id] = deque(found for found in waiting if _alert_of(found.change) != alert_id)
        return True

    def take(self, most: int) -> list[Found]:
        taken: list[Found] = []
        for lane in self._lanes:
            while lane and len(taken) < most:
                host_id, waiting = lane.popitem(last=False)
                taken.append(waiting.popleft())
                if waiting:
                    lane[host_id] = waiting  # behind the others
        return taken

    def put_back(self, taken: Iterable[Found]) -> None:
        for found in reversed(list(taken)):
            self._lanes[_rank(found.key)].setdefault(found.key.host_id, deque()).appendleft(found)

    def forget(self, host_id: str) -> None:
        for lane in self._lanes:
            lane.pop(host_id, None)

    def clear(self) -> None:
        for lane in self._lanes:
            lane.clear()


def _rank(key: Key) -> int:
    """Thresholds and absent hosts first, which are few; then what is critical; then the rest."""
    if key.threshold_id is not None or key.type == "host_offline":
        return 0
    return 1 if MEANINGS[key.type][0] == "critical" else 2


def _alert_of(change: Change) -> str:
    match change:
        case Fire():
            return change.id
        case Raise() | Resolve():
            return change.alert_id
