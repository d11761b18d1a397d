"""When a disk will be full, from how it was used in the last hours. Pure: the clock is given.

A straight line through a point every five minutes. It says nothing without three hours of points, nor where they do
not lie near the line: a nightly copy, a log that is rotated and a disk that breathes are no growth.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ...agent.sample import Disk

STEP = 300.0  # seconds between two points
WINDOW = 72  # points: six hours
LEAST = 36  # points: three hours
FIT = 0.9  # share of the movement that the line explains, at least
GROWTH = 0.005  # share of the disk that was filled meanwhile, at least
HOLD = 1.5  # an alert that is open ends when there is this much more time than it takes to fire

Point = tuple[float, float]  # seconds, bytes used


def hours_left(points: Sequence[Point], room: float) -> float | None:
    """Hours until `room` bytes more are used. None: there is no telling, or it is not growing."""
    if len(points) < LEAST:
        return None
    count, start = len(points), points[0][0]
    middle_x = sum(x - start for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    along = sum((x - start - middle_x) ** 2 for x, _ in points)
    across = sum((y - middle_y) ** 2 for _, y in points)
    both = sum((x - start - middle_x) * (y - middle_y) for x, y in points)
    if both <= 0 or along <= 0 or both * both < FIT * along * across:
        return None
    return room / (both / along) / 3600


class Growth:
    """How the disks of one host are used."""

    def __init__(self) -> None:
        self._points: dict[str, deque[Point]] = {}
        self._taken_at = float("-inf")

    def take(self, disks: Sequence[Disk], at: float) -> bool:
        """Keep a point of each disk. False: it is not time for one yet."""
        if at - self._taken_at < STEP:
            return False
        self._taken_at = at
        for gone in self._points.keys() - {disk.path for disk in disks}:
            del self._points[gone]
        for disk in disks:
            self._points.setdefault(disk.path, deque(maxlen=WINDOW)).append((at, float(disk.used)))
        return True

    def is_filling(self, disk: Disk, within: float, is_open: bool) -> tuple[bool | None, float]:
        """Whether a disk is full within so many hours, and in how many. None: not enough is known."""
        points = list(self._points.get(disk.path, ()))
        if len(points) < LEAST:
            return None, 0.0
        hours = hours_left(points, disk.free)
        if hours is None or points[-1][1] - points[0][1] < GROWTH * disk.total:
            return False, 0.0
        return hours <= within * (HOLD if is_open else 1), hours
