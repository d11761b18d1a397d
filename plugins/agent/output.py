"""What a running command says: to whoever watches now, and to its result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from . import wire
from .masking import Masker
from .process import Stderr

KEPT = 64 * 1024  # characters of output in a result; bytes of each of its two streams
STREAMING = 0.1  # seconds of output that go into one frame


def tail_of(text: str, size: int) -> str:
    """The last so many bytes of a text, cut between two characters."""
    return text.encode(errors="replace")[-size:].decode(errors="ignore")


class Tail:
    """The end of a text that grows: its last KEPT characters."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self.is_cut = False

    def add(self, text: str) -> None:
        self._pieces.append(text[-KEPT:])
        self._size += len(text)
        if self._size > 2 * KEPT:
            self._join()

    def _join(self) -> str:
        text = "".join(self._pieces)
        self.is_cut = self.is_cut or self._size > KEPT
        self._pieces = [text[-KEPT:]]
        self._size = len(self._pieces[0])
        return self._pieces[0]

    @property
    def text(self) -> str:
        return self._join()

    @property
    def last_bytes(self) -> str:
        """Its last KEPT bytes, cut between two characters."""
        text = self._join()
        kept = tail_of(text, KEPT)
        self.is_cut = self.is_cut or len(kept) < len(text)
        return kept


class Output:
    """What a command prints: masked, streamed in frames of a tenth of a second, its end kept for the result.

    `whole`: nothing of it may be left out, however fast it comes, and it waits for whoever reads it.
    """

    def __init__(self, masker: Masker, send: Callable[[int, str], Awaitable[None]], whole: bool = False) -> None:
        self._masker, self._send, self._whole = masker, send, whole
        self._waiting: list[str] = []
        self._size = 0  # characters that wait
        self._tail = Tail()
        self._raw = {"stdout": Tail(), "stderr": Tail()}
        self._seq = 0
        self._sent_at = 0.0
        self._later: asyncio.Task[None] | None = None  # sends what waits, while nothing follows it
        self._sending = asyncio.Lock()

    async def add(self, text: str) -> None:
        self._raw["stderr" if isinstance(text, Stderr) else "stdout"].add(text)
        shown = self._masker.feed(text)
        if not shown:
            return
        self._tail.add(shown)
        self._wait(shown)
        if time.monotonic() - self._sent_at >= STREAMING or (self._whole and self._size > KEPT):
            await self.flush()
        elif self._later is None or self._later.done():
            self._later = asyncio.create_task(self._flush_later())

    def _wait(self, text: str) -> None:
        self._waiting.append(text)
        self._size += len(text)
        if not self._whole and self._size > 2 * KEPT:
            self._waiting = ["".join(self._waiting)[-KEPT:]]
            self._size = KEPT

    async def _flush_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(STREAMING)
            await self.flush()

    async def flush(self) -> None:
        """Send what waits, now."""
        async with self._sending:
            text, self._waiting, self._size = "".join(self._waiting), [], 0
            self._sent_at = time.monotonic()
            for piece in _pieces(text) if self._whole else [text[-KEPT:]]:
                if piece:
                    await self._send(self._seq, piece)
                    self._seq += 1

    async def finish(self) -> None:
        """Send the rest. Nothing is sent any more after this."""
        await self.flush()
        if self._later:
            self._later.cancel()
            await asyncio.wait([self._later])
            if not self._later.cancelled():
                self._later.result()

    @property
    def truncated(self) -> bool:
        """Whether the beginning of what was printed is missing in the result."""
        return bool(self._tail.text) and self._tail.is_cut

    def streams(self) -> tuple[str, str, bool]:
        """The ends of stdout and stderr, not masked, and whether something is missing."""
        stdout, stderr = self._raw["stdout"].last_bytes, self._raw["stderr"].last_bytes
        return stdout, stderr, self._raw["stdout"].is_cut or self._raw["stderr"].is_cut

    def hidden(self, result: wire.Result) -> wire.Result:
        """A result as it may lie on a disk: without the values its command was given, and marked where it had some."""
        streams = {name: self._masked(tail) for name, tail in self._raw.items() if getattr(result, name)}
        if all(getattr(result, name) == text for name, text in streams.items()):
            return result
        return msgspec.structs.replace(result, **streams, data={**result.data, wire.MASKED: True})

    def _masked(self, tail: Tail) -> str:
        text = tail.last_bytes
        return self._masker.mask(self._masker.without_cut_value(text) if tail.is_cut else text)

    def end(self, last: str) -> str:
        """All that is to be told: the end of the output, then the last word, unless it was said already."""
        rest = self._masker.flush()
        self._tail.add(rest)
        self._wait(rest)
        kept, last = self._tail.text, self._masker.mask(last)
        if last and last not in kept:
            self._tail.add(("\n" if kept and not kept.endswith("\n") else "") + last)
        return self._tail.text


def _pieces(text: str) -> list[str]:
    return [text[at : at + KEPT] for at in range(0, len(text), KEPT)]
