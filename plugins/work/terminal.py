"""One terminal as the server has it: what it showed last, what was typed and is not passed on yet, and who looks.

A browser is a Viewer. It says how much it has shown of what it was sent, and gets no more than a window beyond that;
the agent is told no further than the viewer was sent. So a flood waits at its source, and neither end's memory grows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from roci import Actor, Malformed, NotReady

from ..agent import terminal_wire as said
from ..agent.link import Link

KEPT = 200 * 1024  # characters of what was shown, for who comes back
STEP = said.WINDOW // 4  # characters after which the agent is told that they were taken
LONGEST_FRAME = 32 * 1024  # characters sent to a browser at once
UNSEEN = 128 * 1024  # characters sent to a browser that it has not shown yet
SILENCE = 20.0  # seconds after which a viewer is told that all is well, so that proxies keep the connection
BETWEEN_SIZES = 0.1  # seconds: whoever drags a window's corner means where it ends
NAME = 60  # characters


@dataclass(frozen=True)
class Wish:
    """What somebody wants to open. Raises Malformed for what nobody could."""

    container: str | None = None  # None: the host itself
    shell: str = ""
    name: str = ""
    rows: int = 24
    cols: int = 80

    def __post_init__(self) -> None:
        if self.shell and self.shell not in said.SHELLS:
            raise Malformed(f"shell: one of {', '.join(said.SHELLS)}")
        if self.container is not None and not 0 < len(self.container.strip()) <= 256:
            raise Malformed("container: an id or a name")
        if len(self.name) > NAME or not (self.name == "" or self.name.isprintable()):
            raise Malformed(f"name: at most {NAME} characters")
        check_size(self.rows, self.cols)


def check_size(rows: int, cols: int) -> None:
    if not (1 <= rows <= 1000 and 1 <= cols <= 1000):
        raise Malformed("rows and cols: from 1 to 1000")


@dataclass(frozen=True)
class End:
    exit_code: int | None
    reason: str


class Viewer:
    """Somebody's browser that looks at a terminal."""

    def __init__(self, sent: int) -> None:
        self.sent = sent  # as far of the terminal's output
        self.told = self.shown = 0  # characters that it was sent, and that it has shown
        self.gone = False  # another took its place
        self.knows_end = False  # it was told how the terminal ended
        self.changed = asyncio.Event()


class Terminal:
    """`link()` is the host's, or raises NotReady."""

    def __init__(
        self, id: str, name: str, host_id: str, hostname: str, wish: Wish, owner: Actor, link: Callable[[], Link]
    ) -> None:
        self.id, self.name, self.wish, self.owner = id, name, wish, owner
        self.host_id, self.hostname = host_id, hostname
        self.began = asyncio.get_running_loop().time()
        self.end: End | None = None
        self.is_here = True  # its host is connected
        self.timer: asyncio.TimerHandle | None = None  # until it is ended, since nobody looks or its host is away
        self.viewer: Viewer | None = None
        self._link = link
        self._text, self._at, self._acknowledged = "", 0, 0  # what was shown, and where that ends
        self._typed: deque[tuple[int, str]] = deque()
        self._received = self._taken = 0  # pieces of input
        self._size = self._told_size = wish.rows, wish.cols
        self._sizing: asyncio.TimerHandle | None = None  # until the host may be told of another size

    # --- the host ---

    def _say(self, message: Any) -> None:
        """A host that is away hears of it when it is back."""
        if self.is_here and self.end is None:
            try:
                self._link().send(message)
            except NotReady:
                self.is_here = False
                self._wake()

    def open(self) -> None:
        """Raises NotReady."""
        self._link().send(
            said.Terminal(
                terminal_id=self.id,
                container=self.wish.container,
                shell=self.wish.shell,
                rows=self.wish.rows,
                cols=self.wish.cols,
            )
        )

    def close(self) -> None:
        self._say(said.TerminalClose(terminal_id=self.id))

    def resume(self) -> None:
        """Its host is here again: go on where both are."""
        self.is_here = True
        self._say(said.TerminalResume(terminal_id=self.id, at=self._at))
        self._pass_size()
        for seq, data in self._typed:
            self._say(said.TerminalInput(terminal_id=self.id, seq=seq, data=data))
        self._wake()

    def lose(self) -> None:
        self.is_here = False
        self._wake()

    def heard(self, message: said.TerminalOutput) -> None:
        """Take in what it shows. Whatever a host says, no more than KEPT of it is kept."""
        new = message.at - self._at
        if message.data and new > 0:
            self._text = (self._text + message.data[-new:])[-KEPT:]
            self._at = message.at
        while self._typed and self._typed[0][0] <= message.taken:
            self._taken = self._typed.popleft()[0]
        self._acknowledge()
        self._wake()

    def _acknowledge(self) -> None:
        """Nobody who looks must not hold up what runs there; who looks slowly does."""
        reached = self.viewer.sent if self.viewer else self._at
        if reached - self._acknowledged >= STEP:
            self._acknowledged = reached
            self._say(said.TerminalTaken(terminal_id=self.id, at=reached))

    def finish(self, end: End) -> None:
        self.end = self.end or end
        self._typed.clear()
        self._wake()

    # --- who looks ---

    def _wake(self) -> None:
        if self.viewer:
            self.viewer.changed.set()

    def attach(self) -> Viewer:
        """Look at it, from the beginning of what is kept. Whoever looked before does so no more."""
        if self.viewer:
            self.viewer.gone = True
            self._wake()
        start = self._at - len(self._text)
        if start:  # not from the middle of a line, nor of a command to the screen
            start += self._text[: KEPT // 8].find("\n") + 1
        self.viewer = Viewer(start)
        return self.viewer

    def detach(self, viewer: Viewer) -> bool:
        """Whether nobody looks any more."""
        if self.viewer is viewer:
            self.viewer = None
            self._acknowledge()
        return self.viewer is None

    def shown(self, viewer: Viewer, at: int) -> None:
        viewer.shown = min(max(viewer.shown, at), viewer.told)
        viewer.changed.set()

    def type(self, seq: int, data: str) -> None:
        """The next piece of input; one that came before is passed over. Raises Malformed for more than is agreed."""
        if seq <= self._received or self.end:
            return
        if seq != self._received + 1 or len(data) > said.LONGEST_PIECE or len(self._typed) >= said.PIECES:
            raise Malformed("more input than may be under way")
        self._received = seq
        self._typed.append((seq, data))
        self._say(said.TerminalInput(terminal_id=self.id, seq=seq, data=data))

    def resize(self, rows: int, cols: int) -> None:
        """The host is told of the latest size only, and not more often than it can follow."""
        check_size(rows, cols)
        self._size = rows, cols
        if self._sizing is None:
            self._pass_size()

    def _pass_size(self) -> None:
        if self._sizing:
            self._sizing.cancel()
        self._sizing = None
        if self._size == self._told_size or not self.is_here or self.end:
            return
        self._say(said.TerminalResize(terminal_id=self.id, rows=self._size[0], cols=self._size[1]))
        if self.is_here:
            self._told_size = self._size
            self._sizing = asyncio.get_running_loop().call_later(BETWEEN_SIZES, self._pass_size)

    async def frames(self, viewer: Viewer) -> AsyncIterator[dict[str, Any]]:
        """What its viewer is told, until it has ended or another looks."""
        told: dict[str, Any] = {}
        yield {"type": "attached", "terminal": self.id, "name": self.name, "received": self._received}
        replayed = self._at
        while not viewer.gone:
            viewer.changed.clear()
            for kind, value in (("taken", self._taken), ("here", self.is_here)):
                if told.get(kind) != value:
                    told[kind] = value
                    yield {"type": kind, kind: value}
            if data := self._next(viewer, replayed):
                yield {"type": "output", "data": data, "at": viewer.told, "again": viewer.sent <= replayed}
            elif self.end and viewer.sent >= self._at:
                yield {"type": "ended", "exit_code": self.end.exit_code, "reason": self.end.reason}
                viewer.knows_end = True
                return
            else:
                try:
                    await asyncio.wait_for(viewer.changed.wait(), SILENCE)
                except TimeoutError:
                    yield {"type": "alive"}
        yield {"type": "replaced"}

    def _next(self, viewer: Viewer, replayed: int) -> str:
        """What it has not been sent. What was shown before it came, and what is new, are never in one piece."""
        viewer.sent = max(viewer.sent, self._at - len(self._text))
        if viewer.told - viewer.shown >= UNSEEN:
            return ""
        start = len(self._text) - (self._at - viewer.sent)
        most = replayed - viewer.sent if viewer.sent < replayed else LONGEST_FRAME
        data = self._text[start : start + min(most, LONGEST_FRAME)]
        viewer.sent, viewer.told = viewer.sent + len(data), viewer.told + len(data)
        self._acknowledge()
        return data
