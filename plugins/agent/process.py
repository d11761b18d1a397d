"""Run a program and pass its output on as it comes. When nobody listens any more, the program ends.

Each program leads a process group of its own, gets no input and only the environment it is given. Whoever stops
iterating (by closing the generator or by being cancelled) ends the whole group: first asked, then killed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from roci import StepFailed

GRACE = 5.0  # seconds between asking a program to end and killing it
LINGER = 1.0  # seconds to wait for the end of the output of a program that has ended
WAITING = 32  # chunks read ahead of the consumer
TAIL = 4000  # characters of the output kept for the error

Observer = Callable[[int], None]


class Stderr(str):
    """A piece of output that belongs to standard error, where a command keeps the two apart."""

    __slots__ = ()


async def spawn(
    argv: Sequence[str],
    *,
    cwd: str | Path,
    env: Mapping[str, str],
    on_start: Observer | None = None,
    on_end: Observer | None = None,
    grace: float = GRACE,
    stdin: bytes | None = None,
    apart: bool = False,
) -> AsyncGenerator[str, None]:
    """Yield standard output and error of a program as text: merged, or `apart`, with pieces of error as Stderr.

    Raises StepFailed with `exit_code` and `tail` (the end of the output) when it does not end with 0; with
    `unstarted` too when it could not be run at all. The observers are told the process group, for those who must
    find it again after a crash.
    """
    program = await _start(argv, cwd, env, stdin, apart)
    utf8 = codecs.getincrementaldecoder("utf-8")
    decoders = {1: utf8("replace"), 2: utf8("replace")}
    tail = ""
    if on_start:
        on_start(program.pid)
    finished = False
    try:
        async for fd, data in program.chunks():
            text = decoders[fd].decode(data)
            tail = (tail + text)[-TAIL:]
            if text:
                yield Stderr(text) if fd == 2 else text
                await asyncio.sleep(0)  # a queue that is never empty would not let anybody else work
        for fd, decoder in decoders.items():
            if rest := decoder.decode(b"", True):
                yield Stderr(rest) if fd == 2 else rest
        code = await program.exit_code()
        finished = True
    finally:
        await asyncio.shield(asyncio.ensure_future(_close(program, None if finished else grace, on_end)))
    if code:
        raise _failure(argv[0], code, tail)


async def _close(program: _Program, grace: float | None, on_end: Observer | None) -> None:
    try:
        if grace is not None:
            await program.end(grace)
    finally:
        program.release()
        if on_end:
            on_end(program.pid)


class _Program(asyncio.SubprocessProtocol):
    """One running program. asyncio's own wait() may hang on a child that holds the pipe; this does not."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._open = 0  # pipes that may still bring something
        self._exited = asyncio.Event()
        self._paused = False
        self._transport: asyncio.SubprocessTransport | None = None
        self.pid = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.pid = self._transport.get_pid()
        self._open = len(self._pipes())

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        self._queue.put_nowait((fd, cast(bytes, data)))
        if self._queue.qsize() >= WAITING and not self._paused:
            self._paused = True
            for pipe in self._pipes():
                pipe.pause_reading()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            return
        self._open -= 1
        if self._open <= 0:
            self._queue.put_nowait(None)

    def process_exited(self) -> None:
        self._exited.set()
        asyncio.get_running_loop().call_later(LINGER, self._stop_waiting)

    def _stop_waiting(self) -> None:
        """The program has ended, yet somebody keeps its output open. A slow consumer still gets what is there."""
        if self._paused:
            asyncio.get_running_loop().call_later(LINGER, self._stop_waiting)
        else:
            self._queue.put_nowait(None)

    def _pipes(self) -> list[asyncio.ReadTransport]:
        assert self._transport
        found = (self._transport.get_pipe_transport(fd) for fd in (1, 2))
        return [cast(asyncio.ReadTransport, pipe) for pipe in found if pipe is not None]

    def feed(self, data: bytes) -> None:
        """All that the program gets to read."""
        assert self._transport
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        pipe.write(data)
        pipe.close()

    async def chunks(self) -> AsyncIterator[tuple[int, bytes]]:
        """What it prints, each piece with the number of its pipe."""
        while (piece := await self._queue.get()) is not None:
            if self._paused and self._queue.qsize() < WAITING // 2:
                self._paused = False
                for pipe in self._pipes():
                    pipe.resume_reading()
            yield piece

    async def exit_code(self) -> int:
        assert self._transport
        await self._exited.wait()
        return self._transport.get_returncode() or 0

    async def end(self, grace: float) -> None:
        """Ask the whole group to end; kill what is left of it."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self._exited.wait()
                while self._signal(0):  # noqa: ASYNC110  children outlive their parent, and nobody tells when they end
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self._signal(signal.SIGKILL)
        await self._exited.wait()

    def _signal(self, number: int) -> bool:
        """Whether there is still anybody in the group to hear it."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def release(self) -> None:
        assert self._transport
        self._transport.close()


async def _start(
    argv: Sequence[str], cwd: str | Path, env: Mapping[str, str], stdin: bytes | None, apart: bool
) -> _Program:
    try:
        _, program = await asyncio.get_running_loop().subprocess_exec(
            _Program,
            *argv,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if apart else asyncio.subprocess.STDOUT,
            cwd=str(cwd),
            env=dict(env),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = isinstance(error, OSError) and error.filename == str(cwd)
        what = f"cannot use the folder {cwd}" if where else f"cannot run {argv[0]}"
        code = 127 if isinstance(error, FileNotFoundError) and not where else 126
        raise StepFailed(f"{what}: {reason}", exit_code=code, tail="", unstarted=True) from None
    if stdin is not None:
        program.feed(stdin)
    return program


def _failure(program: str, code: int, tail: str) -> StepFailed:
    name = os.path.basename(program)
    how = f"ended with exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"was ended by {signal.Signals(-code).name}"
        code = 128 - code
    lines = [line for line in tail.splitlines() if line.strip()]
    why = f": {lines[-1].strip()}" if lines else ""
    return StepFailed(f"{name} {how}{why}", exit_code=code, tail=tail)
