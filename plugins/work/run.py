"""A command under way, in memory: its output so far, masked, and those who wait for more of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from secrets import token_hex
from typing import Any

from ..agent.link import Link
from ..agent.masking import Masker, UrlMasker, without_cut_url, without_url_secrets
from ..domain.operations import KEPT, Operation

MARK = token_hex(4)  # of this process: pieces of output are numbered anew after a start


class Run:
    """One operation that has not ended. `secrets` None: nobody knows them any more, since the server was restarted."""

    def __init__(self, operation: Operation, secrets: Iterable[str] | None) -> None:
        self.operation = operation
        self.secrets_known = secrets is not None
        self.link: Link | None = None  # the connection it was sent on
        self.ended: Operation | None = None
        self.raw: dict[str, Any] | None = None  # its result with nothing hidden, for who asked for it
        self.deadline: asyncio.TimerHandle | None = None
        self.grace: asyncio.TimerHandle | None = None
        values = list(secrets or ())
        self._masker, self._addresses = Masker(values), UrlMasker()
        self._longest = KEPT + max(map(len, values), default=0)
        self._pieces: deque[tuple[int, str]] = deque()
        self._size = self._next = 0
        self._more = asyncio.Event()
        self._hurried = False
        self._add(operation.output)  # of before a restart
        self._kept = self._next

    # --- what may be shown ---

    def hide(self, text: str, cut: bool = False) -> str:
        """A text without secrets. `cut`: its beginning is missing, so it may begin in the middle of one."""
        return without_url_secrets(self._masker.mask(self._without_cut(text) if cut else text))

    def _without_cut(self, text: str) -> str:
        return without_cut_url(self._masker.without_cut_value(text))

    def hide_end(self, text: str) -> str:
        """The end of a text of any length, without secrets."""
        return self.hide(text[-self._longest :], len(text) >= KEPT)[-KEPT:]

    def heard(self, text: str) -> None:
        """The command printed this."""
        text = text[-self._longest :]
        if len(text) >= KEPT:  # the agent leaves out what is more than that, too
            text = self._without_cut(text)
        self._add(self._addresses.feed(self._masker.feed(text)))

    def _add(self, text: str) -> None:
        """Keep a piece of output; the oldest go when it is too much."""
        if not text:
            return
        self._pieces.append((self._next, text[-KEPT:]))
        self._next, self._size = self._next + 1, self._size + len(text[-KEPT:])
        while self._size > KEPT and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft()[1])
        self._wake()

    # --- who waits ---

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    @property
    def so_far(self) -> str:
        return "".join(text for _, text in self._pieces)

    def unkept(self) -> tuple[str, int] | None:
        """What was printed so far, and its end, to be told once it is `kept`. None: it is kept already."""
        return None if self._kept == self._next else (self.so_far, self._next)

    def kept(self, end: int) -> None:
        """What was printed up to there is written down."""
        self._kept = end

    async def follow(self, after: int = -1) -> AsyncIterator[tuple[int, str]]:
        """Numbered pieces of output later than `after`, until the run has ended. A slow reader skips some."""
        while True:
            more, ended = self._more, self.ended
            for number, text in list(self._pieces):
                if number > after:
                    after = number
                    yield number, text
            if ended is not None:
                return
            await more.wait()

    async def finished(self, seconds: float) -> Operation | None:
        """How it ended; None: not within this time, or ROCI is to stop and nobody is kept waiting."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.ended is None and not self._hurried:
                    await self._more.wait()
        return self.ended

    def hurry(self) -> None:
        """Those who wait for the end are answered now."""
        self._hurried = True
        self._wake()

    def end(self, operation: Operation) -> None:
        for timer in (self.deadline, self.grace):
            if timer:
                timer.cancel()
        self._add(self._addresses.feed(self._masker.flush()) + self._addresses.flush())
        self.ended = operation
        self._wake()
