"""What a running command says: to whoever watches now, and to its result."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from .masking import Masker

KEPT = 64 * 1024  # characters of output in a result
STREAMING = 0.1  # seconds of output that go into one frame


class Output:
    """What a command prints: masked, streamed in frames of a tenth of a second, its end kept for the result."""

    def __init__(self, masker: Masker, send: Callable[[int, str], Awaitable[None]]) -> None:
        self._masker, self._send = masker, send
        self._waiting: list[str] = []
        self._tail = ""
        self._seq = 0
        self._sent_at = 0.0
        self.truncated = False

    async def add(self, text: str) -> None:
        shown = self._masker.feed(text)
        if not shown:
            return
        self._keep(shown)
        self._waiting.append(shown)
        if time.monotonic() - self._sent_at >= STREAMING:
            await self._flush()

    async def _flush(self) -> None:
        text, self._waiting, self._sent_at = "".join(self._waiting), [], time.monotonic()
        await self._send(self._seq, text[-KEPT:])
        self._seq += 1

    def _keep(self, text: str) -> None:
        self.truncated = self.truncated or len(self._tail) + len(text) > KEPT
        self._tail = (self._tail + text)[-KEPT:]

    def end(self, last: str) -> str:
        """All that is to be told: the end of the output, then the last word, unless it was said already."""
        self._keep(self._masker.flush())
        last = self._masker.mask(last)
        if last and last not in self._tail:
            self._keep(("\n" if self._tail and not self._tail.endswith("\n") else "") + last)
        return self._tail
