"""The host's end of the link, over any channel: it registers, tells how its containers are, and does the closed set
of things that the server may ask for and this host allows. Opens no store; holds no secret on disk."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import platform
import re
import socket
import time
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec

from roci import Backend, Command, Malformed, RociError, Sensitive, Site, Spec, Step, StepFailed, __version__

from . import terminal_wire, wire
from .abilities import Abilities, Check
from .journal import Identity, Journal
from .machine import boot_id
from .machine import own_address as own_address
from .masking import Masker
from .output import Output
from .process import spawn
from .steps import Keeper, perform
from .terminals import Terminals

log = logging.getLogger("roci.agent")
BASIC = ("deploy", "stop", "start", "delete")
Asked = wire.Deploy | wire.Stop | wire.Hand
COMMAND_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class AgentSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What this host is called, and what it lets the server do. `roci agent` takes the same as options."""

    section: ClassVar[str] = "agent"
    server: str | None = None
    name: str | None = None  # default: the machine's
    volume_base: str | None = None  # default: /data for root, else in the data folder
    docker_host: str | None = None  # default: $DOCKER_HOST, else the local socket
    state_dir: str | None = None
    totp: str | None = None
    key: Sensitive | None = None  # of this host, made at the server; it takes the place of a token of the agent's own
    allow: list[str] = []  # `exec` adds what is off by default, `-delete` takes something away
    parallel: int = 4  # deploys and the like at a time
    hands: int = 16  # other commands at a time: exec, container actions, …
    metrics: bool = True  # tell of CPU, memory, disks, networks and containers with each heartbeat
    host_root: str | None = None  # where the host's / is, for an agent in a container

    def __post_init__(self) -> None:
        if self.parallel < 1 or self.hands < 1:
            raise ValueError("parallel and hands: at least 1")

    @property
    def engine(self) -> str | None:
        """The engine's address; None: the usual socket."""
        return self.docker_host or os.environ.get("DOCKER_HOST") or None

    @property
    def base(self) -> Path:
        default = "/data" if os.getuid() == 0 else "~/.local/share/roci/applications"
        return Path(self.volume_base or default).expanduser().absolute()

    @property
    def state(self) -> Path:
        default = "/var/lib/roci-agent" if os.getuid() == 0 else "~/.local/share/roci-agent"
        return Path(self.state_dir or default).expanduser().absolute()


class Containers(Protocol):
    """The container engine, as far as a heartbeat needs it."""

    async def containers(self) -> list[dict[str, Any]]:
        """All containers, running or not. Raises a RociError, never answers [] for not knowing."""


class Sampler(Protocol):
    """What the host is doing, as far as a heartbeat tells it."""

    async def sample(self) -> msgspec.Raw | None:
        """One sample as JSON; None: nothing new. Never raises for a part it cannot read."""


class Connection(Protocol):
    """Both raise wire.Closed when the other end is gone."""

    async def receive(self) -> str | bytes: ...

    async def send(self, text: str) -> None: ...


@dataclasses.dataclass
class Running:
    """A command under way. Only the work is ever cancelled: how it ended is told in any case."""

    work: asyncio.Task[None]
    told: asyncio.Task[None]
    reads: bool = False  # over with its connection
    begun: bool = False  # it had its turn
    cancelled: bool = False


class Worker:
    """One host. It outlives its connections: commands go on while the link is down."""

    def __init__(
        self,
        settings: AgentSettings,
        journal: Journal,
        engine: Containers,
        backends: Mapping[str, Backend],
        commands: Mapping[str, Command],
        sampler: Sampler | None = None,
        checks: Mapping[str, Check] | None = None,
        terminals: Terminals | None = None,
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.status = "unknown"  # what the server said of this host: pending, approved, rejected
        self._engine, self._backends, self._commands = engine, backends, commands
        self._sampler = sampler if settings.metrics else None
        self._terminals = terminals or Terminals(None)
        self._abilities = Abilities([*BASIC, *self._extras()], settings.allow, checks or {})
        self.allowed = self._abilities.allowed
        self._terminals.allowed = terminal_wire.CAPABILITY in self.allowed
        self._running: dict[str, Running] = {}
        self._order: dict[str, asyncio.Lock] = {}  # one at a time for each application
        self._room, self._hands = asyncio.Semaphore(settings.parallel), asyncio.Semaphore(settings.hands)
        self._connection: Connection | None = None
        self._engine_error = ""  # what the last heartbeat said of the engine
        self._interval = 15.0
        self._protocol = 1
        self._changed = asyncio.Event()  # a command has ended, so the containers are others

    def _extras(self) -> list[str]:
        """What this host could do beyond the published commands, as capabilities."""
        hands = [name for hand in wire.HANDS if (name := wire.kind_of(hand)) in self._commands]
        more = [*(["metrics"] * bool(self._sampler)), *([terminal_wire.CAPABILITY] * self._terminals.can_open)]
        return ["cancel", *(f"backend:{name}" for name in self._backends), *hands, *more]

    async def converse(self, connection: Connection) -> None:
        """Speak over one connection until it ends, which raises wire.Closed."""
        await self._abilities.look()
        self._terminals.joined(connection.send)
        await connection.send(wire.encode(self._register()))
        admitted = asyncio.Event()
        listening = asyncio.create_task(self._listen(connection, admitted))
        beating = asyncio.create_task(self._beat(connection, admitted))
        changing = asyncio.create_task(self._changing())
        try:
            await asyncio.wait({listening, beating, changing}, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._connection = None
            self._terminals.left()
            readers = [running.work for running in self._running.values() if running.reads]
            for task in (listening, beating, changing, *readers):
                task.cancel()
            await asyncio.gather(listening, beating, changing, return_exceptions=True)
        if (error := _failure(beating)) and not _failure(listening):
            log.error("heartbeats failed, so the connection is taken up again", exc_info=error)
            raise wire.Closed
        if (error := _failure(changing)) and not _failure(listening):
            raise error
        await listening

    async def _changing(self) -> None:
        await self._abilities.changed()
        log.info("this host can do other things than before, and registers anew")
        raise wire.Closed

    async def _listen(self, connection: Connection, admitted: asyncio.Event) -> None:
        while True:
            message = self._read(await connection.receive())
            if isinstance(message, wire.RegistrationResponse):
                await self._admitted(message, connection)
                if message.status != "rejected":
                    admitted.set()
            elif message is not None:
                await self._asked(connection, message)

    def _read(self, text: str | bytes) -> wire.FromServer | None:
        try:
            return wire.from_server(text)
        except Malformed as error:
            log.warning("the server sent something unreadable: %s", error.message)
            return None

    def _register(self) -> wire.Register:
        known = self.journal.identity()
        return wire.Register(
            hostname=self.settings.name or socket.gethostname(),
            ip_address=own_address(),
            volume_base=str(self.settings.base),
            totp=self.settings.totp,
            protocol=wire.PROTOCOL,
            agent_version=__version__,
            agent_id=known.agent_id,
            agent_token=str(self.settings.key or "") or known.agent_token,
            capabilities=["ack", *(name for name in self._abilities.offered if name not in BASIC)],
            os=platform.system().lower(),
            arch=platform.machine(),
            boot_id=boot_id(),
        )

    async def _admitted(self, response: wire.RegistrationResponse, connection: Connection) -> None:
        if response.status != self.status:
            why = f" ({response.reason})" if response.reason else ""
            log.info("the server says: %s%s", response.status, why)
        self.status = response.status
        self._interval = min(max(response.heartbeat_interval or self._interval, 0.05), 300)
        self._protocol = response.protocol
        if response.agent_token:  # until another is given the old one is kept: this may be the wrong server
            self.journal.remember(Identity(response.agent_id, response.agent_token))
            await connection.send(wire.encode(wire.TokenKept()))

    async def _beat(self, connection: Connection, admitted: asyncio.Event) -> None:
        """First what the server may have missed, then how things are, at every interval."""
        await admitted.wait()
        self._connection = connection
        with contextlib.suppress(wire.Closed):
            for result in self.journal.undelivered():
                await self._deliver(connection, result)
            if self._protocol >= wire.PROTOCOL:  # what runs is known at once, whatever the engine takes to answer
                running, error = self.journal.running(), self._engine_error or None
                await connection.send(wire.encode(wire.Heartbeat(engine_error=error, running_commands=running)))
            while True:
                await connection.send(wire.encode(await self.heartbeat()))
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._changed.wait()

    async def heartbeat(self) -> wire.Heartbeat:
        running = self.journal.running()
        try:
            found = msgspec.convert(await self._engine.containers(), list[wire.Container])
        except RociError as error:
            self._engine_error = error.message
            return wire.Heartbeat(engine_error=error.message, running_commands=running, metrics=await self._metrics())
        self._engine_error = ""
        containers = wire.report_containers(found)
        return wire.Heartbeat(containers=containers, running_commands=running, metrics=await self._metrics())

    async def _metrics(self) -> msgspec.Raw:
        sample = await self._sampler.sample() if self._sampler and "metrics" in self.allowed else None
        return wire.NOT_SAID if sample is None else sample

    async def _asked(self, connection: Connection, message: wire.FromServer) -> None:
        match message:
            case wire.Deploy() | wire.Stop() | wire.Hand():
                await self._take_up(connection, message)
            case wire.Cancel():
                self._cancel(message.command_id)
            case wire.Ack():
                self.journal.delivered(message.command_id)
            case wire.Ping():
                await connection.send(wire.encode(wire.Pong()))
            case wire.Error():
                log.warning("the server says: %s", message.message)
            case _ if isinstance(message, terminal_wire.Asked):
                self._terminals.asked(message)

    # --- commands ---

    async def _take_up(self, connection: Connection, message: Asked) -> None:
        command_id = message.command_id or f"unnamed-{time.monotonic_ns()}"
        if not COMMAND_ID.fullmatch(command_id) or self.journal.knows(command_id) or command_id in self._running:
            log.warning("a command was refused: its id is no name, or was seen before")
            return
        reads = isinstance(message, wire.Hand) and message.reads
        try:
            if not reads:
                self.journal.begin(command_id, wire.kind_of(message), getattr(message, "app_id", ""))
        except OSError as error:
            text = f"this host cannot note the command down: {error.strerror}"
            await self._deliver(connection, wire.Result(command_id=command_id, success=False, output=text))
            return
        only = connection if reads else None
        output = Output(
            Masker(wire.secrets_of(message)), functools.partial(self._stream, command_id, only), whole=reads
        )
        work = asyncio.create_task(self._perform(command_id, message, output))
        told = asyncio.create_task(self._tell(command_id, message, work, output, only))
        self._running[command_id] = Running(work, told, reads)
        told.add_done_callback(lambda _: self._running.pop(command_id, None))

    def _cancel(self, command_id: str) -> None:
        if running := self._running.get(command_id):
            running.cancelled = True
            running.work.cancel()

    async def _tell(
        self, command_id: str, message: Asked, work: asyncio.Task[None], output: Output, only: Connection | None
    ) -> None:
        """Wait for the work, keep its result, and tell the server; over this connection only, where one is given."""
        began = time.monotonic()
        hand = message if isinstance(message, wire.Hand) else None
        limit = message.timeout_seconds if not isinstance(message, wire.Hand) else message.limit
        result = await self._outcome(command_id, limit, work)
        if isinstance(message, wire.Reboot) and (result.success or result.data.get("interrupted")):
            return self.journal.delivered(command_id)  # it is under way; registering again is what tells of it
        result.output, result.truncated = output.end(result.output), output.truncated
        if hand:
            result.stdout, result.stderr, result.truncated = output.streams()
        result.duration_ms = int((time.monotonic() - began) * 1000)
        if not (hand and hand.reads):
            self._keep(command_id, result, output)
        await output.finish()
        if to := only or self._connection:
            with contextlib.suppress(wire.Closed):  # it is in the journal, and the next connection delivers it
                await self._deliver(to, result)
        self._changed.set()

    def _keep(self, command_id: str, result: wire.Result, output: Output) -> None:
        try:
            self.journal.finish(result, output.hidden(result))
        except OSError as error:
            log.error("the result of %s cannot be kept: %s", command_id, error)

    async def _acknowledge(self, command_id: str) -> None:
        """It is taken up, and nothing will be told of it after the next start: that is a reboot's good end."""
        self.journal.delivered(command_id)
        if self._connection:
            with contextlib.suppress(wire.Closed):
                await self._connection.send(wire.encode(wire.Ack(command_id=command_id)))

    async def _outcome(self, command_id: str, limit: float | None, work: asyncio.Task[None]) -> wire.Result:
        def ended(text: str, exit_code: int | None = None, **data: Any) -> wire.Result:
            return wire.Result(command_id=command_id, success=False, output=text, exit_code=exit_code, data=data)

        try:
            async with asyncio.timeout(limit):
                await work
            return wire.Result(command_id=command_id, success=True, exit_code=0)
        except TimeoutError:
            if (running := self._running.get(command_id)) and not running.begun:
                text = self._never_begun()
                return ended(text, wire.NOT_RUN, reason=text)
            text = f"not done after {limit:g} s: ended"
            if error := self._engine_error:
                text = f"{text}. {error[0].upper()}{error[1:]}"
            return ended(text, wire.TIMED_OUT, timed_out=True, reason=text)
        except asyncio.CancelledError:
            if (running := self._running.get(command_id)) and running.cancelled:
                return ended("cancelled", cancelled=True, reason="cancelled")
            return ended("the agent was stopped while this ran", interrupted=True, reason="the agent was stopped")
        except StepFailed as error:
            said = {"reason": error.details["reason"]} if "reason" in error.details else {}
            return ended(error.message, error.details.get("exit_code", 1), **said)
        except RociError as error:
            return ended(error.message, 1)
        except Exception as error:
            log.exception("command %s", command_id)
            return ended(f"the agent failed: {type(error).__name__}: {error}", 1)

    def _never_begun(self) -> str:
        others = sum(running.begun and not running.reads for running in self._running.values())
        told = "1 other command was" if others == 1 else f"{others} other commands were"
        limits = f"agent.hands: {self.settings.hands}, agent.parallel: {self.settings.parallel}"
        return f"never begun: {told} running here ({limits})"

    async def _perform(self, command_id: str, message: Asked, output: Output) -> None:
        action = wire.kind_of(message)
        if action not in self.allowed:
            refused = f"this host does not allow {action} (agent.allow in its configuration)"
            raise StepFailed(refused, exit_code=wire.NOT_RUN, reason=refused)
        if isinstance(message, wire.Hand):
            plan, site = self._hand(message), self._site(command_id, [])
            if isinstance(message, wire.Reboot):
                await self._acknowledge(command_id)
            async with contextlib.nullcontext() if message.reads else self._hands:
                return await self._run(command_id, plan, site, output)
        backend = self._backends.get(message.backend)
        if backend is None or (message.backend != "compose" and f"backend:{message.backend}" not in self.allowed):
            raise StepFailed(f"this host has no backend {message.backend!r}", exit_code=wire.NOT_RUN)
        deploy = message if isinstance(message, wire.Deploy) else None
        spec = Spec(message.app_id, deploy.compose_yml if deploy else "")
        plan = await asyncio.to_thread(_planned, backend, message, spec)  # a long file takes most of a second
        site = self._site(command_id, deploy.secrets if deploy else [])
        mine = self._order.setdefault(spec.project, asyncio.Lock())
        async with mine, self._room:
            await self._run(command_id, plan, site, output)

    def _hand(self, message: wire.Hand) -> list[Step]:
        if isinstance(message, wire.Restart):
            backend = self._backends.get(message.backend)
            if isinstance(backend, Keeper):
                return backend.restart(Spec(message.app_id, ""))
        return [Step(wire.kind_of(message), msgspec.structs.asdict(message))]

    async def _run(self, command_id: str, plan: list[Step], site: Site, output: Output) -> None:
        self._running[command_id].begun = True
        async with aclosing(perform(plan, self._commands, site)) as pieces:
            async for text in pieces:
                await output.add(text)

    def _site(self, command_id: str, secrets: list[wire.Secret]) -> Site:
        observed = functools.partial(
            spawn,
            on_start=functools.partial(self.journal.note_group, command_id),
            on_end=functools.partial(self.journal.drop_group, command_id),
        )
        variables = {secret.name: secret.value for secret in secrets}
        return Site(self.settings.base, self.settings.engine, variables, observed)

    async def _stream(self, command_id: str, only: Connection | None, seq: int, text: str) -> None:
        to = only or self._connection
        if to and self._protocol >= wire.PROTOCOL:
            with contextlib.suppress(wire.Closed):  # a lost link loses live output; the result has its end
                await to.send(wire.encode(wire.Output(command_id=command_id, data=text, seq=seq)))

    async def _deliver(self, connection: Connection, result: wire.Result) -> None:
        await connection.send(wire.encode(result))
        if self._protocol < wire.PROTOCOL and result.command_id:
            self.journal.delivered(result.command_id)  # an older server does not acknowledge

    async def stop(self) -> None:
        """The agent ends: what runs is ended, and told of at the next start."""
        under_way = list(self._running.values())
        for running in under_way:
            running.work.cancel()
        await asyncio.gather(*(running.told for running in under_way), return_exceptions=True)
        await self._terminals.stop()


def _planned(backend: Backend, message: wire.Deploy | wire.Stop, spec: Spec) -> list[Step]:
    """What the backend does, and what was asked for beyond that."""
    action: Any = wire.kind_of(message)
    if action == "deploy":
        backend.validate(spec)
    plan = backend.plan(action, spec)
    if isinstance(message, wire.Deploy) and message.pull:
        return [Step(step.command, {**step.args, "pull": True}) for step in plan]
    if isinstance(message, wire.Delete) and message.volumes:
        return [*plan, Step("project.volumes", {"project": spec.project, "names": message.volumes})]
    return plan


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    """What ended a task that is done, other than being cancelled."""
    return None if task.cancelled() else task.exception()
