"""Results with nothing hidden, in memory only: who gave the secrets may see them again, for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

LASTS = 900.0  # seconds
MOST = 32 * 1024 * 1024  # characters in all


class RawResults:
    """By operation. The oldest go first: after their time, or for want of room."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._size = 0

    def keep(self, operation_id: str, result: Mapping[str, Any]) -> None:
        self._drop(operation_id)
        self._kept[operation_id] = (time.monotonic() + LASTS, result)
        self._size += _size(result)
        self._make_room()

    def get(self, operation_id: str) -> Mapping[str, Any] | None:
        self._make_room()
        found = self._kept.get(operation_id)
        return found[1] if found else None

    def _make_room(self) -> None:
        moment = time.monotonic()
        while self._kept:
            oldest, (until, _) = next(iter(self._kept.items()))
            if until > moment and self._size <= MOST:
                return
            self._drop(oldest)

    def _drop(self, operation_id: str) -> None:
        if found := self._kept.pop(operation_id, None):
            self._size -= _size(found[1])


def _size(result: Mapping[str, Any]) -> int:
    return len(result["stdout"]) + len(result["stderr"])
