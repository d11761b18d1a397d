"""Operations under way: commands sent, output as it comes, each outcome recorded once.

A row is committed before its command is sent, and a result before it is acknowledged. Whatever is killed in
between, the next start knows which commands nobody heard of, gives their agents the grace time to tell, and
says so when they do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from roci import Conflict, Event, NotFound, NotReady, Outcome, Roci, Unavailable, hookimpl, now

from ..agent import wire
from ..agent.hub import Hub, Live
from ..agent.link import Link
from ..agent.masking import Masker, without_url_secrets
from ..domain import operations
from ..domain.hosts import HostRemoved
from ..domain.operations import KEPT, Operation
from .call import Calls
from .raw import RawResults, tail_of
from .whole import whole

log = logging.getLogger("roci.operate")
RETRY = 5.0  # seconds until the end of a run is written again
REMEMBERED = 100  # runs that have ended
SLACK = 2.0  # seconds an agent that keeps the time itself has to tell that it ran out
HAND_SLACK = 15.0  # the same for what is done to the host itself, whose processes are asked before they are killed
STREAMS = 64 * 1024  # bytes of stdout, and of stderr
REBOOT = "reboot"
APPLICATION_KINDS = {"deploy", "stop", "start", "delete"}
WITHHELD = "(output withheld: the server was restarted and could not have hidden the secrets in it)"


class Run:
    """A command under way, in memory: its output so far, and those who wait for more of it."""

    def __init__(self, operation: Operation, secrets: Iterable[str] | None) -> None:
        self.operation = operation
        self.secrets_known = secrets is not None  # False after a restart of the server
        self.secrets = list(secrets or ())
        self.masker = Masker(self.secrets)
        self.link: Link | None = None  # the connection it was sent on
        self.ended: Operation | None = None
        self.raw: dict[str, Any] | None = None  # its result with nothing hidden, for who asked for it
        self.deadline: asyncio.TimerHandle | None = None
        self.grace: asyncio.TimerHandle | None = None
        self._pieces: deque[tuple[int, str]] = deque()
        self._size = self._next = 0
        self._more = asyncio.Event()

    def add(self, text: str) -> None:
        """Keep a piece of output, masked; the oldest go when it is too much."""
        if not text:
            return
        self._pieces.append((self._next, text))
        self._next, self._size = self._next + 1, self._size + len(text)
        while self._size > KEPT and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft()[1])
        self.wake()

    def wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    @property
    def so_far(self) -> str:
        return "".join(text for _, text in self._pieces)

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
        """How it ended; None: not within this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.ended is None:
                    await self._more.wait()
        return self.ended

    def end(self, operation: Operation) -> None:
        for timer in (self.deadline, self.grace):
            if timer:
                timer.cancel()
        self.ended = operation
        self.wake()


def _hidden(run: Run, text: str) -> str:
    return without_url_secrets(run.masker.mask(text))


def _is_known(operation_id: str) -> bool:
    return bool(Operation.select().where(Operation.id == operation_id).exists())


class Operator:
    """All operations under way. Reached as `roci.part(Operator)`; it hears of every link."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._hub = roci.part(Hub)
        self._runs: dict[str, Run] = {}
        self._ended: OrderedDict[str, Run] = OrderedDict()  # given up lately: a late result needs their secrets' masks
        self._raw = RawResults()
        self.calls = Calls(self._hub)

    async def resume(self) -> None:
        """After a start: what was under way has the grace time to be told of."""
        for operation in await self._roci.read(operations.unfinished):
            run = self._runs[operation.id] = Run(operation, None if operation.args.get("secrets") else ())
            run.deadline = self._later(
                self._left(operation) + SLACK, run, "timed_out", f"no result in {operation.timeout} s"
            )
            self._start_grace(run)
        if self._runs:
            log.warning("%d operations were under way when ROCI stopped; waiting for their agents", len(self._runs))

    def _left(self, operation: Operation) -> float:
        """Seconds it still has. The wall clock may have jumped: never less than the grace, nor more than all."""
        gone: float = (now() - (operation.started_at or operation.created_at)).total_seconds()
        least, most = self._hub.times.grace, max(float(operation.timeout), self._hub.times.grace)
        return min(max(operation.timeout - gone, least), most)

    async def launch(self, operation: Operation, message: wire.Message, secrets: Iterable[str] = ()) -> Run:
        """Send the command of an operation that is committed. A dead link is not an error here: it has its grace."""
        run = self._runs[operation.id] = Run(operation, list(secrets))
        try:
            run.link = self._hub.require(operation.host_id)
            slack = SLACK if run.link.protocol >= wire.PROTOCOL else 0
            slack = HAND_SLACK if isinstance(message, wire.Hand) else slack
            run.deadline = self._later(
                operation.timeout + slack, run, "timed_out", f"no result in {operation.timeout} s"
            )
            run.link.send(message)
        except NotReady:
            self._start_grace(run)
        return run

    def run(self, operation_id: str) -> Run | None:
        """The live side of an operation; None when it has ended."""
        return self._runs.get(operation_id)

    def result(self, operation: Operation) -> Mapping[str, Any] | None:
        """What an ended operation printed: as it was for a quarter of an hour, masked after that. None: unknown.

        For the one who asked for it, whose own values they are; everybody else gets `operation.result`.
        """
        raw = self._raw.get(operation.id)
        return raw if raw is not None else operation.result

    async def cancel(self, operation_id: str) -> None:
        """Ask the agent to stop a command. It ends when the agent says so."""
        operation = await self._roci.read(operations.get, operation_id)
        run = self._runs.get(operation_id)
        if run is None:
            raise Conflict(f"the operation has ended ({operation.status})")
        link = self._hub.require(operation.host_id)
        if "cancel" not in link.capabilities:
            raise Conflict(f"the agent on {operation.hostname} cannot cancel")
        link.send(wire.Cancel(command_id=operation_id))

    # --- what links tell ---

    async def received(self, live: Live, message: wire.FromAgent) -> None:
        if self.calls.heard(live, message):
            return
        match message:
            case wire.Result():
                await self._result(live, message)
            case wire.Output():
                run = self._runs.get(message.command_id)
                if run and run.operation.host_id == live.host.id and self._is_safe(live, run):
                    run.add(without_url_secrets(run.masker.feed(message.data[-KEPT:])))
            case wire.Heartbeat():
                await self._compare(live, message.running_commands or ())

    def joined(self, live: Live) -> None:
        """A host registered: that is how a reboot ends."""
        for run in self._on(live):
            if run.operation.kind == REBOOT and run.link is not live.link:
                outcome = Outcome("succeeded", "the host is back", 0)
                self._roci.spawn(self._give_up(run, outcome), f"end reboot {run.operation.id}")

    def left(self, live: Live) -> None:
        self.calls.left(live)
        for run in self._on(live):
            self._start_grace(run)

    def _on(self, live: Live) -> list[Run]:
        return [run for run in self._runs.values() if run.operation.host_id == live.host.id]

    async def _meant(self, live: Live, command_id: str | None) -> Run | None:
        """The run a result is of. Only an id that nobody knows may mean the one command that is under way."""
        mine = {run.operation.id: run for run in self._on(live)}
        if command_id in mine:
            return mine[command_id]
        if len(mine) != 1 or (command_id and await self._roci.read(_is_known, command_id)):
            return None
        return next(iter(mine.values()))

    async def _result(self, live: Live, result: wire.Result) -> None:
        run = await self._meant(live, result.command_id)
        operation_id = run.operation.id if run else result.command_id
        if operation_id is None:
            log.warning("%s sent a result of no known command", live.host.hostname)
            return
        try:
            operation = run.operation if run else await self._late(live, operation_id)
            await self._settle(operation_id, self._outcome(live, run, operation, result))
        except NotFound:
            log.warning("%s sent a result of no known command", live.host.hostname)
        if live.link and "ack" in live.link.capabilities and result.command_id:
            with contextlib.suppress(NotReady):
                live.link.send(wire.Ack(command_id=result.command_id))

    async def _late(self, live: Live, operation_id: str) -> Operation:
        """An operation that was given up. It is told of only by the host whose it is."""
        operation = await self._roci.read(operations.get, operation_id)
        if operation.host_id != live.host.id:
            raise NotFound("Operation not found")
        return operation

    def _is_safe(self, live: Live, run: Run) -> bool:
        """Whether secrets in the output are hidden: by the values we know, or by an agent that does it itself."""
        masks_itself = live.link is not None and live.link.protocol >= wire.PROTOCOL
        return run.secrets_known or masks_itself or not run.operation.args.get("secrets")

    def _outcome(self, live: Live, run: Run | None, operation: Operation, result: wire.Result) -> Outcome:
        run = run or self._ended.get(operation.id) or Run(operation, None)
        text = result.output or "\n".join(part for part in (result.stdout, result.stderr) if part)
        longest = KEPT + max(map(len, run.secrets), default=0)
        text = _hidden(run, text[-longest:])[-KEPT:] or run.so_far if self._is_safe(live, run) else WITHHELD
        status = next((word for word in ("timed_out", "cancelled", "interrupted") if result.data.get(word)), "failed")
        reason = run.masker.mask(str(result.data.get("reason", ""))[:2000])[:500]
        exit_code = result.exit_code if result.exit_code is None or abs(result.exit_code) < 2**31 else None
        status = "succeeded" if result.success else status
        if operation.kind in APPLICATION_KINDS:
            return Outcome(status, text, exit_code, reason)
        return Outcome(status, text, exit_code, reason, self._streams(live, run, result))

    def _streams(self, live: Live, run: Run, result: wire.Result) -> dict[str, Any]:
        """What is kept of the two streams; and, unmasked and for a while, what the caller may have."""
        more = {"duration_ms": result.duration_ms or 0, "truncated": result.truncated}
        stdout, stderr = result.stdout, result.stderr
        if not stdout and not stderr:  # an agent that does not keep them apart
            stdout, stderr = (result.output, "") if result.success else ("", result.output)
        stdout, stderr = tail_of(stdout, STREAMS), tail_of(stderr, STREAMS)
        run.raw = {"stdout": stdout, "stderr": stderr, **more}
        if not run.secrets_known and run.operation.args.get("secrets"):
            return {"stdout": run.masker.mask(result.output)[-KEPT:], "stderr": WITHHELD, **more}
        return {"stdout": _hidden(run, stdout), "stderr": _hidden(run, stderr), **more}

    async def _compare(self, live: Live, running: Iterable[str]) -> None:
        """An agent that came back tells what it still runs; what it does not know of any more will never end."""
        still = set(running)
        for run in self._on(live):
            if run.operation.id in still:
                self._stop_grace(run)
            elif run.link is not live.link and run.operation.kind != REBOOT:
                reason = "the agent came back without this command: it was restarted, or never received it"
                await self._settle(run.operation.id, Outcome("interrupted", run.so_far, reason=reason))

    # --- how it ends ---

    def _start_grace(self, run: Run) -> None:
        if run.grace is None and run.operation.kind != REBOOT:
            run.grace = self._later(self._hub.times.grace, run, "interrupted", "agent lost")

    def _stop_grace(self, run: Run) -> None:
        if run.grace:
            run.grace.cancel()
            run.grace = None

    def _later(self, seconds: float, run: Run, status: str, reason: str) -> asyncio.TimerHandle:
        def end() -> None:
            outcome = Outcome(status, run.so_far, reason=reason)
            self._roci.spawn(self._give_up(run, outcome), f"end {run.operation.kind} {run.operation.id}")

        return asyncio.get_running_loop().call_later(seconds, end)

    async def _give_up(self, run: Run, outcome: Outcome) -> None:
        while run.ended is None:
            try:
                await self._settle(run.operation.id, outcome)
            except Unavailable as error:  # a full disk; the end of a run is worth waiting for
                log.error(
                    "the end of %s %s is not recorded yet: %s", run.operation.kind, run.operation.id, error.message
                )
                await asyncio.sleep(RETRY)
        if outcome.status == "timed_out":
            with contextlib.suppress(NotReady, Conflict):
                link = self._hub.require(run.operation.host_id)
                if "cancel" in link.capabilities:
                    link.send(wire.Cancel(command_id=run.operation.id))

    @whole
    async def _settle(self, operation_id: str, outcome: Outcome) -> None:
        """Record how a run ended, and what that means, in one transaction; then tell those who follow it."""
        ended = await self._roci.write(self._record, operation_id, outcome)
        if (run := self._runs.get(operation_id)) and (ended or run.ended is None):
            self._runs.pop(operation_id)
            self._ended[operation_id] = run
            if len(self._ended) > REMEMBERED:
                self._ended.popitem(last=False)
            run.add(run.masker.flush())
            if run.raw and run.raw != outcome.result:
                self._raw.keep(operation_id, run.raw)
            run.end(ended if ended else await self._roci.read(operations.get, operation_id))

    def _record(self, operation_id: str, outcome: Outcome) -> Operation | None:
        operation = operations.finish(operation_id, outcome)
        if operation is not None:
            self._roci.operations[operation.kind].settle(operation, outcome)
        return operation

    async def host_removed(self, host_id: str) -> None:
        for run in [run for run in self._runs.values() if run.operation.host_id == host_id]:
            await self._settle(run.operation.id, Outcome("interrupted", run.so_far, reason="agent removed"))


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    operator = Operator(roci)
    await operator.resume()
    roci.provide(operator)
    roci.part(Hub).listener = operator
    yield


@hookimpl
async def on_event(roci: Roci, event: Event) -> None:
    if isinstance(event, HostRemoved):
        await roci.part(Operator).host_removed(event.host_id)
