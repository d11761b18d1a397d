"""The host's end of terminals: what is typed goes in, what is shown comes out, and none of it piles up.

A terminal outlives its connection by a minute. All of them together say no more than leaves room for heartbeats and
for other commands. Their host must allow them by name: this is where it is asked, whatever the server believes.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from roci import RociError

from . import terminal_wire as said
from . import wire

log = logging.getLogger("roci.agent")
MOST = 32  # terminals on one host
READ = 16 * 1024  # bytes read at a time
PAUSE = 0.01  # seconds between two frames of all terminals
RATE = 2 * 1024 * 1024  # bytes of frames a second, of all terminals
LINGER = 0.5  # seconds to wait for the rest of the output when the shell has ended
NOT_ALLOWED = "this host does not allow terminals (agent.allow in its configuration)"
CLOSED = "closed"

Send = Callable[[str], Awaitable[None]]


class Tty(Protocol):
    """An open terminal: a descriptor that does not block, and what it is attached to."""

    fd: int
    early: bytes  # output that was read already

    async def resize(self, rows: int, cols: int) -> None: ...

    async def ended(self, silent: asyncio.Event) -> int | None:
        """Wait for the shell to end; its exit code, where that can be known. `silent`: nothing more is to be read."""

    async def end(self) -> None:
        """End what still runs in it, and let go of it. May be called when all has ended."""


class Opener(Protocol):
    async def open(self, asked: said.Terminal) -> Tty:
        """Raises a RociError that says why it cannot be."""


class Terminal:
    """One terminal. `wake` is called when there is something to tell."""

    def __init__(self, asked: said.Terminal, opener: Opener, wake: Callable[[], None]) -> None:
        self.id = asked.terminal_id
        self._asked, self._opener, self._wake = asked, opener, wake
        self._rows, self._cols = asked.rows, asked.cols
        self._tty: Tty | None = None
        self._fitting: asyncio.Task[None] | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""  # what was shown and the server has not taken yet
        self._base = self._sent = 0  # where that begins, and how far it was sent
        self._typed: deque[tuple[int, bytes]] = deque()
        self._accepted = self._written = self._told = 0  # pieces of input: taken in, passed on, and said to be
        self._reading = self._writing = False
        self._silent, self._closing = asyncio.Event(), asyncio.Event()
        self.end: said.TerminalEnded | None = None
        self.is_attached = True  # the server goes on with it over this connection
        self.orphaned: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._run(), name=f"terminal {self.id}")

    # --- what the server says ---

    def type(self, seq: int, data: str) -> None:
        if seq <= self._accepted:
            return
        if len(self._typed) >= said.PIECES or len(data) > said.LONGEST_PIECE:
            log.warning("a terminal is closed: the server sends more than was agreed")
            return self.close()
        self._accepted = seq
        self._typed.append((seq, data.encode(errors="replace")))
        self._write()

    def resize(self, rows: int, cols: int) -> None:
        """Only the latest size counts: one that comes while another is set waits, and takes the place of who waited."""
        self._rows, self._cols = rows, cols
        if self._tty and (self._fitting is None or self._fitting.done()):
            self._fitting = asyncio.create_task(self._fit(self._tty))

    async def _fit(self, tty: Tty) -> None:
        fitted = None
        while not self.end and fitted != (self._rows, self._cols):
            fitted = self._rows, self._cols
            try:
                await tty.resize(*fitted)
            except (RociError, OSError) as error:  # it is ending, or its engine is slow: the next one will do
                log.debug("terminal %s keeps its size: %s", self.id, error)

    def taken(self, at: int) -> None:
        """What was shown before is not needed any more."""
        at = min(at, self._sent)
        if at > self._base:
            self._text, self._base = self._text[at - self._base :], at
            self._read_on()
            self._wake()

    def resume(self, at: int) -> None:
        self.is_attached = True
        if self.orphaned:
            self.orphaned.cancel()
        self.taken(at)
        self._sent, self._told = min(max(at, self._base), self._sent), -1
        self._wake()

    def close(self) -> None:
        self._closing.set()

    # --- what there is to say ---

    def next(self) -> said.TerminalOutput | said.TerminalEnded | None:
        if not self.is_attached:
            return None
        start = self._sent - self._base
        if data := self._text[start : start + said.LONGEST_OUTPUT]:
            self._sent += len(data)
        elif self.end:
            return self.end
        elif self._told == self._written:
            return None
        self._told = self._written
        return said.TerminalOutput(terminal_id=self.id, at=self._sent, data=data, taken=self._written)

    # --- the terminal itself ---

    async def _run(self) -> None:
        code, reason = None, ""
        try:
            self._tty = await self._opener.open(self._asked)
            self._show(self._tty.early)
            self._read_on()
            self._write()
            if (self._rows, self._cols) != (self._asked.rows, self._asked.cols):
                self.resize(self._rows, self._cols)
            code = await self._ended(self._tty)
            reason = CLOSED if self._closing.is_set() else ""
        except RociError as error:
            code, reason = wire.NOT_RUN, error.message
        except Exception as error:
            log.exception("terminal %s", self.id)
            reason = f"the agent failed: {type(error).__name__}: {error}"
        finally:
            self._stop()
            try:
                if self._tty:
                    await asyncio.shield(asyncio.ensure_future(self._tty.end()))
            except Exception:
                log.exception("terminal %s: what runs in it may go on", self.id)
            finally:
                self.end = said.TerminalEnded(terminal_id=self.id, exit_code=code, reason=reason)
                self._wake()

    async def _ended(self, tty: Tty) -> int | None:
        """The exit code, when the output that belongs to it is here; None when it was closed before."""
        ending, closing = asyncio.ensure_future(tty.ended(self._silent)), asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({ending, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                return None
            while not self._silent.is_set() and not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._silent.wait(), LINGER)
                if self._reading:  # whatever still holds it open has nothing to say
                    break
            return ending.result()
        finally:
            ending.cancel()
            closing.cancel()

    def _show(self, data: bytes) -> None:
        if text := self._decoder.decode(data):
            self._text += text
            self._wake()

    def _read_on(self) -> None:
        """Read what is shown, as long as there is room for it."""
        wanted = bool(self._tty) and not self._silent.is_set() and len(self._text) < said.WINDOW
        if self._tty and wanted != self._reading:
            self._reading, loop = wanted, asyncio.get_running_loop()
            if wanted:
                loop.add_reader(self._tty.fd, self._read)
            else:
                loop.remove_reader(self._tty.fd)

    def _read(self) -> None:
        assert self._tty
        try:
            data = os.read(self._tty.fd, min(READ, said.WINDOW - len(self._text)))
        except BlockingIOError:
            return
        except OSError:  # how Linux says that nobody has the other side open any more
            data = b""
        if not data:
            self._silent.set()
        self._show(data)
        self._read_on()

    def _write(self) -> None:
        """Pass on what was typed, as far as it is taken."""
        while self._tty and self._typed and not self.end:
            seq, data = self._typed[0]
            try:
                rest = data[os.write(self._tty.fd, data) :] if data else b""
            except BlockingIOError:
                break
            except OSError:  # it has ended, and says so itself
                rest = b""
            if rest:
                self._typed[0] = seq, rest
                continue
            self._typed.popleft()
            self._written = seq
            self._wake()
        self._write_on()

    def _write_on(self) -> None:
        wanted = bool(self._typed) and not self.end
        if self._tty and wanted != self._writing:
            self._writing, loop = wanted, asyncio.get_running_loop()
            if wanted:
                loop.add_writer(self._tty.fd, self._write)
            else:
                loop.remove_writer(self._tty.fd)

    def _stop(self) -> None:
        """Neither read nor write any more."""
        self._silent.set()
        self._typed.clear()
        self._read_on()
        self._write_on()


class Terminals:
    """All terminals of this host. Without an opener it cannot have any."""

    def __init__(self, opener: Opener | None, keep: float = said.KEEP) -> None:
        self._opener, self._keep = opener, keep
        self.allowed = False
        self._terminals: dict[str, Terminal] = {}
        self._refused: deque[said.TerminalEnded] = deque(maxlen=MOST)
        self._more = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None

    @property
    def can_open(self) -> bool:
        return self._opener is not None

    def asked(self, message: said.Asked) -> None:
        """Answers nothing; what there is to say is said in its turn."""
        if isinstance(message, said.Terminal):
            return self._open(message)
        terminal = self._terminals.get(message.terminal_id)
        match message:
            case said.TerminalResume() if terminal is None:
                self._refuse(message.terminal_id, None, "the agent does not have it any more")
            case _ if terminal is None:
                return
            case said.TerminalInput():
                terminal.type(message.seq, message.data)
            case said.TerminalResize():
                terminal.resize(message.rows, message.cols)
            case said.TerminalResume():
                terminal.resume(message.at)
            case said.TerminalTaken():
                terminal.taken(message.at)
            case said.TerminalClose():
                terminal.close()

    def _open(self, asked: said.Terminal) -> None:
        if not said.ID.fullmatch(asked.terminal_id) or asked.terminal_id in self._terminals:
            return log.warning("a terminal was refused: its id is no name, or was seen before")
        if not self.allowed or self._opener is None:
            return self._refuse(asked.terminal_id, wire.NOT_RUN, NOT_ALLOWED)
        if len(self._terminals) >= MOST:
            return self._refuse(asked.terminal_id, wire.NOT_RUN, f"this host has {MOST} terminals open: close one")
        self._terminals[asked.terminal_id] = Terminal(asked, self._opener, self._more.set)

    def _refuse(self, id: str, code: int | None, reason: str) -> None:
        self._refused.append(said.TerminalEnded(terminal_id=id[:64], exit_code=code, reason=reason))
        self._more.set()

    # --- the connection ---

    def joined(self, send: Send) -> None:
        """There is a connection. Terminals of an earlier one wait until the server resumes them."""
        self._more.set()
        self._sender = asyncio.create_task(self._send_all(send), name="terminals")

    def left(self) -> None:
        """It is gone. What nobody resumes within the time is ended."""
        if self._sender:
            self._sender.cancel()
        later = asyncio.get_running_loop().call_later
        for terminal in self._terminals.values():
            if terminal.is_attached:
                terminal.is_attached = False
                terminal.orphaned = later(self._keep, self._give_up, terminal)

    def _give_up(self, terminal: Terminal) -> None:
        terminal.close()
        self._terminals.pop(terminal.id, None)

    async def _send_all(self, send: Send) -> None:
        """One frame of each terminal after the other, not faster than leaves room for all else that is to be said."""
        with contextlib.suppress(wire.Closed):
            while True:
                await self._more.wait()
                self._more.clear()
                while self._refused:
                    await send(wire.encode(self._refused.popleft()))
                for terminal in list(self._terminals.values()):
                    if (message := terminal.next()) is not None:
                        await self._send(send, terminal, message)

    async def _send(self, send: Send, terminal: Terminal, message: said.Told) -> None:
        text = wire.encode(message)
        self._more.set()  # there may be more of it
        await send(text)
        if isinstance(message, said.TerminalEnded):
            self._terminals.pop(terminal.id, None)
        await asyncio.sleep(max(PAUSE, len(text) / RATE))

    async def stop(self) -> None:
        """The agent ends, and all terminals with it."""
        open_ = list(self._terminals.values())
        for terminal in open_:
            terminal.close()
        await asyncio.gather(*(terminal.task for terminal in open_), return_exceptions=True)
