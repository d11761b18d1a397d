"""What a running command says: to whoever watches now, and to its result."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from .masking import Masker
from .process import Stderr

KEPT = 64 * 1024  # characters of output in a result; bytes of each of its two streams
STREAMING = 0.1  # seconds of output that go into one frame


class Output:
    """What a command prints: masked, streamed in frames of a tenth of a second, its end kept for the result.

    `whole`: nothing of it may be left out, however fast it comes, and it waits for whoever reads it.
    """

    def __init__(self, masker: Masker, send: Callable[[int, str], Awaitable[None]], whole: bool = False) -> None:
        self._masker, self._send, self._whole = masker, send, whole
        self._waiting: list[str] = []
        self._tail = ""
        self._raw = {"stdout": "", "stderr": ""}
        self._seq = 0
        self._sent_at = 0.0
        self.truncated = False

    async def add(self, text: str) -> None:
        self._keep_raw("stderr" if isinstance(text, Stderr) else "stdout", text)
        shown = self._masker.feed(text)
        if not shown:
            return
        self._keep(shown)
        self._waiting.append(shown)
        if time.monotonic() - self._sent_at >= STREAMING or (self._whole and sum(map(len, self._waiting)) > KEPT):
            await self.flush()

    async def flush(self) -> None:
        """Send what waits, now."""
        text, self._waiting, self._sent_at = "".join(self._waiting), [], time.monotonic()
        for piece in _pieces(text) if self._whole else [text[-KEPT:]]:
            await self._send(self._seq, piece)
            self._seq += 1

    def _keep(self, text: str) -> None:
        self.truncated = self.truncated or len(self._tail) + len(text) > KEPT
        self._tail = (self._tail + text)[-KEPT:]

    def _keep_raw(self, stream: str, text: str) -> None:
        self._raw[stream] = (self._raw[stream] + text)[-KEPT:]

    def raw(self, stream: str) -> str:
        """The end of `stdout` or `stderr`, not masked: its last KEPT bytes, cut between two characters."""
        kept = self._raw[stream].encode(errors="replace")
        self.truncated = self.truncated or len(kept) > KEPT
        return kept[-KEPT:].decode(errors="ignore")

    def end(self, last: str) -> str:
        """All that is to be told: the end of the output, then the last word, unless it was said already."""
        self._keep(self._masker.flush())
        last = self._masker.mask(last)
        if last and last not in self._tail:
            self._keep(("\n" if self._tail and not self._tail.endswith("\n") else "") + last)
        return self._tail


def _pieces(text: str) -> list[str]:
    return [text[at : at + KEPT] for at in range(0, len(text), KEPT)]
