"""Operations under way: commands sent, output as it comes, each outcome recorded once.

A row is committed before its command is sent, and a result before it is acknowledged. Whatever is killed in
between, the next start knows which commands nobody heard of, gives their agents the grace time to tell, and
says so when they do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from roci import Actor, Conflict, Event, NotFound, NotReady, Outcome, Roci, Task, Unavailable, hookimpl, now

from ..agent import wire
from ..agent.complaints import Complaints
from ..agent.hub import Hub, Live
from ..agent.link import Link
from ..domain import operations
from ..domain.hosts import HostRemoved
from ..domain.operations import APPLICATION_KINDS, Operation
from . import outcome
from .call import Calls
from .raw import RawResults
from .run import Run as Run
from .terminals import Terminals
from .whole import whole

log = logging.getLogger("roci.operate")
KEEP_EVERY = 3.0  # seconds between two looks for output that is not written down yet
RETRY = 5.0  # seconds until the end of a run is written again
REMEMBERED = 100  # runs that have ended
SLACK = 2.0  # seconds an agent that keeps the time itself has to tell that it ran out
HAND_SLACK = 15.0  # the same for what is done to the host itself, whose processes are asked before they are killed
REBOOT = "reboot"


def _slack(operation: Operation) -> float:
    """Seconds beyond its own time after which an operation is given up."""
    if operation.kind == REBOOT:
        return 0
    return SLACK if operation.kind in APPLICATION_KINDS else HAND_SLACK


def _how_back(operation: Operation, link: Link | None) -> str:
    """What a new connection tells of a reboot. Empty: nothing, the host has not been booted since it was asked."""
    before = operation.args.get("boot_id")
    if not before or not (link and link.boot_id):
        return "the agent is back"
    return "the host is back" if link.boot_id != before else ""


def _unheard(operation: Operation) -> str:
    """Why an operation is given up when its time is over."""
    if operation.kind == REBOOT:
        return f"the host was not back within {operation.timeout} s of being asked to restart"
    return f"no result in {operation.timeout} s"


def _is_known(operation_id: str) -> bool:
    return bool(Operation.select().where(Operation.id == operation_id).exists())


def _is_given_up(operation_id: str, host_id: str) -> bool:
    mine = (Operation.id == operation_id) & (Operation.host_id == host_id)
    return bool(Operation.select().where(mine, Operation.status == "timed_out").exists())


class Operator:
    """All operations under way. Reached as `roci.part(Operator)`; it hears of every link."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._hub = roci.part(Hub)
        self._runs: dict[str, Run] = {}
        self._ended: OrderedDict[str, Run] = OrderedDict()  # given up lately: a late result needs their secrets' masks
        self._complaints = Complaints()
        self._raw = RawResults()
        self.listeners: list[Callable[[Operation], None]] = []  # hear of an operation before its command is sent
        self.calls = Calls(self._hub)
        self.terminals = Terminals(roci, self._hub)

    async def resume(self) -> None:
        """After a start: what was under way has the grace time to be told of."""
        for operation in await self._roci.read(operations.unfinished):
            run = self._runs[operation.id] = Run(operation, None if operation.args.get("secrets") else ())
            left = self._left(operation) + _slack(operation)
            run.deadline = self._later(left, run, "timed_out", _unheard(operation))
            self._start_grace(run)
        if self._runs:
            log.warning("%d operations were under way when ROCI stopped; waiting for their agents", len(self._runs))

    async def keep_output(self) -> None:
        """Write down what is printed, so that a server that is killed has most of it when it starts again."""
        for run in list(self._runs.values()):
            if said := run.unkept():
                text, end = said
                with contextlib.suppress(Unavailable):  # a full disk, of which the store tells: the next time, then
                    await self._roci.store.note(operations.keep_output, run.operation.id, text)
                    run.kept(end)

    def _left(self, operation: Operation) -> float:
        """Seconds it still has. The wall clock may have jumped: never less than the grace, nor more than all."""
        gone: float = (now() - (operation.started_at or operation.created_at)).total_seconds()
        least, most = self._hub.times.grace, max(float(operation.timeout), self._hub.times.grace)
        return min(max(operation.timeout - gone, least), most)

    async def launch(self, operation: Operation, message: wire.Message, secrets: Iterable[str] = ()) -> Run:
        """Send the command of an operation that is committed. A dead link is not an error here: it has its grace."""
        run = self._runs[operation.id] = Run(operation, list(secrets))
        if self._roci.draining.is_set():
            run.hurry()
        self._tell(operation)
        try:
            link = self._hub.require(operation.host_id)
            slack = _slack(operation) if link.protocol >= wire.PROTOCOL or isinstance(message, wire.Hand) else 0
            run.deadline = self._later(operation.timeout + slack, run, "timed_out", _unheard(operation))
            link.send(message)
            run.link = link
        except NotReady as error:
            if operation.kind == REBOOT:  # that it comes back will not mean that it was rebooted
                self._end_untold(run, "interrupted", error.message)
            self._start_grace(run)
        return run

    def _tell(self, operation: Operation) -> None:
        """A listener that fails costs neither the command nor the other listeners."""
        for listener in self.listeners:
            try:
                listener(operation)
            except Exception:
                log.exception("%r failed on %s %s", listener, operation.kind, operation.id)

    def run(self, operation_id: str) -> Run | None:
        """The live side of an operation; None when it has ended."""
        return self._runs.get(operation_id)

    def result(self, operation: Operation, who: Actor) -> Mapping[str, Any] | None:
        """What an ended operation printed: as it was for a quarter of an hour, masked after that. None: unknown.

        As it was only with the credential that it was begun with, whose own values they are; else masked.
        """
        is_mine = (operation.actor_id, operation.via, operation.credential) == (who.id, who.via, who.credential)
        raw = self._raw.get(operation.id) if is_mine and operation.finished_at else None
        return raw if raw is not None else operation.result

    async def hurry(self) -> None:
        """The process is to stop: nobody is kept waiting for an end."""
        await self._roci.draining.wait()
        for run in list(self._runs.values()):
            run.hurry()

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
        if self.calls.heard(live, message) or self.terminals.heard(live, message):
            return
        match message:
            case wire.Result():
                await self._result(live, message)
            case wire.Output():
                run = self._runs.get(message.command_id)
                if run and run.operation.host_id == live.host.id and self._is_safe(live, run):
                    run.heard(message.data)
            case wire.Heartbeat():
                await self._compare(live, message.running_commands or ())

    def joined(self, live: Live) -> None:
        """A host registered: that is how a reboot ends. What another connection was asked, this one does not answer."""
        self.calls.joined(live)
        self.terminals.joined(live)
        for run in self._on(live):
            is_other = live.link is not None and run.link is not live.link
            if run.operation.kind == REBOOT and is_other and (text := _how_back(run.operation, live.link)):
                back = Outcome("succeeded", text, 0)
                self._roci.spawn(self._give_up(run, back), f"end reboot {run.operation.id}")

    def left(self, live: Live) -> None:
        self.calls.left(live)
        self.terminals.left(live)
        for run in self._on(live):
            self._start_grace(run)

    def _on(self, live: Live) -> list[Run]:
        return [run for run in self._runs.values() if run.operation.host_id == live.host.id]

    async def _meant(self, live: Live, command_id: str | None) -> Run | None:
        """The run a result is of. Only an id that nobody knows may mean the one command that is under way."""
        mine = {run.operation.id: run for run in self._on(live)}
        if command_id in mine:
            return mine[command_id]
        if command_id and live.link and live.link.protocol >= wire.PROTOCOL:
            return None  # it repeats our ids
        if len(mine) != 1 or (command_id and await self._roci.read(_is_known, command_id)):
            return None
        return next(iter(mine.values()))

    async def _result(self, live: Live, result: wire.Result) -> None:
        run = await self._meant(live, result.command_id)
        operation_id = run.operation.id if run else result.command_id
        if operation_id is None:
            self._complain(live)
            return
        try:
            operation = run.operation if run else await self._late(live, operation_id)
            run = run or self._ended.get(operation_id) or Run(operation, None)
            await self._settle(operation_id, outcome.told(run, result, self._is_safe(live, run)))
        except NotFound:
            self._complain(live)
        if live.link and "ack" in live.link.capabilities and result.command_id:
            with contextlib.suppress(NotReady):
                live.link.send(wire.Ack(command_id=result.command_id))

    def _complain(self, live: Live) -> None:
        if self._complaints.may(f"results of {live.host.id}"):
            log.warning("%s sent a result of no known command", live.host.hostname)

    async def _late(self, live: Live, operation_id: str) -> Operation:
        """An operation that was given up. It is told of only by the host whose it is."""
        known = self._runs.get(operation_id) or self._ended.get(operation_id)
        operation = known.operation if known else await self._roci.read(operations.get, operation_id)
        if operation.host_id != live.host.id:
            raise NotFound("Operation not found")
        return operation

    def _is_safe(self, live: Live, run: Run) -> bool:
        """Whether secrets in the output are hidden: by the values we know, or by an agent that does it itself."""
        masks_itself = live.link is not None and live.link.protocol >= wire.PROTOCOL
        return run.secrets_known or masks_itself or not run.operation.args.get("secrets")

    async def _compare(self, live: Live, running: Iterable[str]) -> None:
        """An agent that came back tells what it still runs; what it does not know of any more will never end."""
        still = set(running)
        for run in self._on(live):
            if run.operation.id in still:
                self._stop_grace(run)
            elif run.link is not live.link and run.operation.kind != REBOOT:
                reason = "the agent came back without this command: it was restarted, or never received it"
                await self._settle(run.operation.id, outcome.untold(run, "interrupted", reason))
        for command_id in still - self._runs.keys():
            if await self._roci.read(_is_given_up, command_id, live.host.id):
                self._stop(live.host.id, command_id)  # it was not connected when its time was over

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
            self._end_untold(run, status, reason)

        return asyncio.get_running_loop().call_later(seconds, end)

    def _end_untold(self, run: Run, status: str, reason: str) -> None:
        work = self._give_up(run, outcome.untold(run, status, reason))
        self._roci.spawn(work, f"end {run.operation.kind} {run.operation.id}")

    async def _give_up(self, run: Run, end: Outcome) -> None:
        while run.ended is None:
            try:
                await self._settle(run.operation.id, end)
            except Unavailable as error:  # a full disk; the end of a run is worth waiting for
                log.error(
                    "the end of %s %s is not recorded yet: %s", run.operation.kind, run.operation.id, error.message
                )
                await asyncio.sleep(RETRY)
        if end.status == "timed_out":
            self._stop(run.operation.host_id, run.operation.id)

    def _stop(self, host_id: str, command_id: str) -> None:
        """Ask for the end of a command that is told to have run out of time, where that can be asked."""
        with contextlib.suppress(NotReady, Conflict):
            link = self._hub.require(host_id)
            if "cancel" in link.capabilities:
                link.send(wire.Cancel(command_id=command_id))

    @whole
    async def _settle(self, operation_id: str, end: Outcome) -> None:
        """Record how a run ended, and what that means, in one transaction; then tell those who follow it."""
        run = self._runs.get(operation_id)
        known = run or self._ended.get(operation_id)
        if known and known.raw and known.raw != end.result:
            self._raw.keep(operation_id, known.raw)  # first, for whoever asks right after the commit
        ended = await self._roci.write(self._record, operation_id, end)
        if run and (ended or run.ended is None):
            self._runs.pop(operation_id, None)
            self._ended[operation_id] = run
            if len(self._ended) > REMEMBERED:
                self._ended.popitem(last=False)
            run.end(ended if ended else await self._roci.read(operations.get, operation_id))

    def _record(self, operation_id: str, end: Outcome) -> Operation | None:
        operation = operations.finish(operation_id, end)
        if operation is not None:
            self._roci.operations[operation.kind].settle(operation, end)
        return operation

    async def host_removed(self, host_id: str) -> None:
        self.terminals.host_removed(host_id)
        for run in [run for run in self._runs.values() if run.operation.host_id == host_id]:
            await self._settle(run.operation.id, outcome.untold(run, "interrupted", "agent removed"))


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [Task("keep output", KEEP_EVERY, lambda: roci.part(Operator).keep_output())]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    operator = Operator(roci)
    await operator.resume()
    roci.provide(operator)
    roci.part(Hub).listener = operator
    roci.spawn(operator.hurry(), "answer those who wait when draining")
    roci.spawn(operator.terminals.stop(), "end terminals when draining")
    yield


@hookimpl
async def on_event(roci: Roci, event: Event) -> None:
    if isinstance(event, HostRemoved):
        await roci.part(Operator).host_removed(event.host_id)
