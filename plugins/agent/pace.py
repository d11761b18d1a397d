"""How much one host may say. Sizes in bytes, times on the loop's clock."""

from __future__ import annotations

FRAMES, SIZE = 200.0, 4 * 1024 * 1024.0  # a second, on average; of the longest frame one
AT_ONCE = 5.0  # seconds of both that may come at once
BEATS = 10.0  # heartbeats that may
LONG = 64 * 1024  # bytes of one for which it counts once more
SHARE = 3.0  # an agent beats at most so often in one interval, or once a second


class Bucket:
    """Fills by `rate` a second up to `room`; what is taken beyond that is to be waited for."""

    __slots__ = ("_at", "_level", "_room", "rate")

    def __init__(self, rate: float, room: float) -> None:
        self.rate, self._room = rate, room
        self._level, self._at = room, 0.0

    def level(self, at: float) -> float:
        self._level = min(self._level + max(at - self._at, 0.0) * self.rate, self._room)
        self._at = at
        return self._level

    def take(self, amount: float, at: float) -> float:
        """Seconds until it is paid for."""
        self._level = self.level(at) - amount
        return max(-self._level / self.rate, 0.0)


class Pace:
    """Of one host, over all its connections."""

    __slots__ = ("_beats", "_frames", "_size", "next_beat")

    def __init__(self, interval: float) -> None:
        self._beats = Bucket(max(1.0, SHARE / interval), BEATS)
        self._frames, self._size = Bucket(FRAMES, FRAMES * AT_ONCE), Bucket(SIZE, SIZE * AT_ONCE)
        self.next_beat = 0.0  # when the next heartbeat may be taken in

    def may_beat(self, at: float, size: int = 0) -> bool:
        """Whether a heartbeat is taken in now; then it counts, a long one more than once."""
        price = min(1.0 + size // LONG, BEATS)
        missing = price - self._beats.level(at)
        if missing > 1e-9:
            self.next_beat = at + missing / self._beats.rate
            return False
        self._beats.take(price, at)
        return True

    def pause(self, size: int, at: float) -> float:
        """Seconds to wait after a frame of so many bytes."""
        return max(self._frames.take(1.0, at), self._size.take(size, at))
