"""ROCI: one process that runs the Docker hosts of a homelab.

This file is the spine. It holds the errors, the contract types, the hooks, the settings, the store and the
Roci object that ties them together. Everything ROCI can *do* is a plugin; the ones that ship with it lie in
plugins/ and use nothing a third-party plugin could not use.

The agent and `roci --help` import this file too, so the server's libraries are imported where they are used, and
asyncio with them.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import datetime
import functools
import importlib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, cast

import click
import msgspec
import pluggy

if TYPE_CHECKING:
    import asyncio

    import peewee
    from quart import Blueprint, Request, Websocket

    from plugins.core.background import Background
    from plugins.core.store import Store

__version__ = "0.1.0"

T = TypeVar("T")
log = logging.getLogger("roci")
hookspec = pluggy.HookspecMarker("roci")
hookimpl = pluggy.HookimplMarker("roci")


def now() -> datetime.datetime:
    """The wall clock, aware and in UTC. Durations are measured with the loop's clock, which never jumps."""
    return datetime.datetime.now(datetime.UTC)


# --- errors ------------------------------------------------------------------
# A domain error says what went wrong; the surface that answers says how it reads.


class RociError(Exception):
    """Base of every error ROCI raises on purpose. The message is for the reader and safe to show."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Malformed(RociError):
    """The request cannot be read at all: bad JSON, an id that is none."""

    status, code = 400, "malformed"


class Invalid(RociError):
    """The request reads well and breaks a rule; the message names the field and the reason."""

    status, code = 422, "invalid"


class Unauthenticated(RociError):
    status, code = 401, "unauthenticated"


class Forbidden(RociError):
    status, code = 403, "forbidden"


class NotFound(RociError):
    status, code = 404, "not_found"


class WrongMethod(RociError):
    status, code = 405, "wrong_method"


class Conflict(RociError):
    status, code = 409, "conflict"


class Protected(Conflict):
    """Refused whoever asks, since ROCI could not be administered afterwards. Recorded, as Forbidden is."""


class TooLarge(RociError):
    status, code = 413, "too_large"


class TooMany(RociError):
    """Slow down. `retry_after` in the details is in seconds."""

    status, code = 429, "too_many"


class Unavailable(RociError):
    """Something the work depends on does not answer: an engine, a disk, a backend."""

    status, code = 503, "unavailable"


class NotReady(Unavailable):
    """The host that should do the work is not assigned, not approved or not connected."""

    code = "not_ready"


class TimedOut(RociError):
    status, code = 504, "timed_out"


class StepFailed(RociError):
    """An agent command ended badly. `exit_code` in the details is the program's own, where it has one."""

    code = "step_failed"


class StartupError(RociError):
    """The configuration, the data or the set of plugins makes no sense: refuse to start."""


# --- contract types ----------------------------------------------------------
# What plugins hand to the spine, and what the spine hands to plugins.


class Sensitive(str):
    """A secret that does not print itself: its repr is hidden, its text is used on purpose only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[hidden]"


@dataclasses.dataclass(frozen=True)
class Actor:
    """Who is acting: the answer of an authenticator, carried with every call."""

    id: str
    name: str
    kind: str = "person"  # person, service, agent, assistant, system
    rights: frozenset[str] = frozenset()  # patterns of permissions the principal holds: "hosts.*"
    scopes: frozenset[str] | None = None  # a credential's own limit; None: none beyond the rights
    via: str = ""  # the credential: "cookie", "token", "local"
    credential: str = ""  # its id, where it has one
    address: str = ""  # where the request came from


SYSTEM = Actor("system", "ROCI", "system")
current_actor: contextvars.ContextVar[Actor] = contextvars.ContextVar("roci_actor", default=SYSTEM)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Subclasses are named in the past tense; `emit` stamps who and when."""

    actor: Actor = SYSTEM
    at: datetime.datetime = dataclasses.field(default_factory=now)


@dataclasses.dataclass(frozen=True)
class Permission:
    """One word of the vocabulary of rights: `hosts.approve`."""

    name: str
    meaning: str


Answer = tuple[Any, int]


@dataclasses.dataclass(frozen=True)
class Surface:
    """A set of routes with one dialect: its own paths, shapes and error bodies.

    `answer` turns an error into a body (a mapping becomes JSON, text is sent as it is) and a status.
    `claims(request, body)` tells requests apart on a route that several surfaces serve; None: it never contends.
    `error_body` is the type of such a body, for /openapi.json; None: this surface is not described there.
    """

    name: str
    prefix: str
    blueprint: Blueprint
    answer: Callable[[RociError], Answer]
    claims: Callable[[Request, bytes], bool] | None = None
    error_body: Any = None


@dataclasses.dataclass(frozen=True)
class Task:
    """Background work, run at start and then every so many seconds for as long as the process lives."""

    name: str
    every: float
    run: Callable[[], Awaitable[None]]


@dataclasses.dataclass(frozen=True)
class Migration:
    """A numbered change of the database, run once, in one transaction, after a copy was made."""

    name: str  # "hosts_0001_add_labels": unique for ever
    run: Callable[[peewee.SqliteDatabase], None]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An agent that asks to join, before anything is decided. Addresses are normalised text."""

    hostname: str
    declared_ip: str
    peer_ip: str
    effective_ip: str
    totp: str | None = None
    rehearsal: bool = False  # a dry run: nothing may be used up


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a clause holds, and why, in words for the person who reads the decision."""

    holds: bool
    why: str


class FactSource(Protocol):
    """Learns something about a candidate before policies are asked. May take time; has 3 s."""

    name: str

    async def gather(self, candidate: Candidate) -> Mapping[str, Any]: ...


class Matcher(Protocol):
    """Decides whether a policy clause holds for the facts. Pure, so a decision can be replayed."""

    name: str  # the `type` of the clause

    @property
    def clause(self) -> type[msgspec.Struct]: ...  # its other fields; a ValueError in __post_init__ refuses one

    def matches(self, clause: Any, facts: Mapping[str, Any]) -> Verdict: ...


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is to run: an application at one revision."""

    name: str  # the application's name, also its folder under the volume base
    text: str  # the Compose file

    @property
    def project(self) -> str:
        """The Compose project: the name in the characters Compose allows."""
        return self.name.lower().replace(".", "_")


@dataclasses.dataclass(frozen=True)
class Step:
    """One agent command, by name, with its arguments. Never an argv, never a shell line."""

    command: str
    args: Mapping[str, Any]


class Backend(Protocol):
    """Knows how one kind of application is put on a host. Plans, never runs. Pure."""

    name: str

    def validate(self, spec: Spec) -> None:
        """Raise Invalid, with the line and the reason, for what this backend cannot run."""

    def plan(self, action: Literal["deploy", "stop", "start", "delete"], spec: Spec) -> list[Step]: ...


@dataclasses.dataclass(frozen=True)
class Site:
    """Where steps run: what an agent command may know of its host and of this run."""

    volume_base: Path
    docker_host: str | None
    variables: Mapping[str, str]  # declared for this run, secrets among them: never print
    spawn: Callable[..., AsyncIterator[str]]  # spawn(argv, cwd=…, env=…): a program's output as it comes


Command = Callable[[Site, Mapping[str, Any]], AsyncIterator[str]]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an operation ended: `succeeded`, `failed`, `cancelled`, `timed_out` or `interrupted`."""

    status: str
    output: str = ""
    exit_code: int | None = None
    reason: str = ""
    result: Mapping[str, Any] | None = None  # what more there is: stdout, stderr, duration_ms, truncated


@dataclasses.dataclass(frozen=True)
class OperationKind:
    """A thing that is done to a host. `settle(operation, outcome)` runs in the transaction that ends it."""

    name: str
    settle: Callable[[Any, Outcome], None]


@dataclasses.dataclass(frozen=True)
class HealthCheck:
    """Something ROCI depends on. `check` returns None when it is well, else what is wrong. Has 2 s."""

    name: str
    check: Callable[[], Awaitable[str | None]]


class Authenticator(Protocol):
    """Turns a request into an actor.

    Return None for credentials you do not recognise, so that another authenticator may; raise Unauthenticated
    for those you recognise and refuse.
    """

    name: str

    async def authenticate(self, request: Request | Websocket) -> Actor | None: ...


class Authorizer(Protocol):
    """Says yes (True), no (False: final) or nothing (None). Answers from memory, without waiting."""

    name: str

    def decide(self, actor: Actor, action: str, resource: str) -> bool | None: ...


# --- hooks -------------------------------------------------------------------


class Hooks(Protocol):
    """Every hook. `register_*` is asked once at start and returns objects; `on_*` has happened."""

    @hookspec
    def register_hookspecs(self) -> type:
        """Return a class of hooks that this plugin brings, for others to implement. Asked before all else."""

    @hookspec
    def register_settings(self) -> type[msgspec.Struct]:
        """Return the model of this plugin's part of the configuration; its `section` names it."""

    @hookspec
    def register_models(self) -> Iterable[type[peewee.Model]]:
        """Return the tables this plugin owns. No other plugin may write to them."""

    @hookspec
    def register_migrations(self) -> Iterable[Migration]:
        """Return changes of those tables since their first release, oldest first."""

    @hookspec
    def register_permissions(self) -> Iterable[Permission]:
        """Return the permissions this plugin's views ask for."""

    @hookspec
    def register_authenticators(self, roci: Roci) -> Iterable[Authenticator]:
        """Return authenticators. They are asked in plugin order until one answers."""

    @hookspec
    def register_authorizers(self, roci: Roci) -> Iterable[Authorizer]:
        """Return authorizers. All are asked: any no denies, else any yes allows, else denied."""

    @hookspec
    def register_facts(self, roci: Roci) -> Iterable[FactSource]:
        """Return sources of facts about candidates."""

    @hookspec
    def register_matchers(self) -> Iterable[Matcher]:
        """Return policy matchers, found by the type a policy's clause names."""

    @hookspec
    def register_backends(self) -> Iterable[Backend]:
        """Return deploy backends, found by the name an application uses. Agents ask too."""

    @hookspec
    def register_agent_commands(self) -> Mapping[str, Command]:
        """Return commands that steps may name. Called on the host, by the agent."""

    @hookspec
    def register_operations(self, roci: Roci) -> Iterable[OperationKind]:
        """Return kinds of operations."""

    @hookspec
    def register_surfaces(self, roci: Roci) -> Iterable[Surface]:
        """Return REST surfaces, websockets or web pages to mount."""

    @hookspec
    def register_tasks(self, roci: Roci) -> Iterable[Task]:
        """Return background tasks. An exception in one is logged, and it goes on."""

    @hookspec
    def register_health_checks(self, roci: Roci) -> Iterable[HealthCheck]:
        """Return checks for `GET /health` and `roci doctor`."""

    @hookspec
    def register_commands(self, cli: click.Group) -> None:
        """Add commands to the `roci` command line. Import what is heavy inside the command."""

    @hookspec
    def lifespan(self, roci: Roci) -> AbstractAsyncContextManager[None]:
        """Return a context entered when the store is open and left before it closes."""

    @hookspec
    def before_commit(self, roci: Roci, events: Sequence[Event]) -> None:
        """These events are about to be committed; you are inside the transaction. Raise to abort it."""

    @hookspec
    def on_refusal(self, roci: Roci, error: RociError) -> Awaitable[None] | None:
        """Unauthenticated, Forbidden, Protected or TooMany is about to be answered; the answer waits for you."""

    @hookspec
    def on_event(self, roci: Roci, event: Event) -> Awaitable[None] | None:
        """An event was committed."""


# --- settings ----------------------------------------------------------------

DEFAULT_DATA = "/var/lib/roci" if os.getuid() == 0 else "~/.local/share/roci"


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The part of the configuration that belongs to no plugin. config.example.yaml explains each."""

    bind: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    data_dir: str = DEFAULT_DATA
    admin_password: Sensitive | None = None
    admin_email: str = "admin@localhost"
    local_agent: bool = True
    totp_secret: Sensitive | None = None
    trusted_proxies: list[str] = []
    public_url: str | None = None
    auth: Literal["enabled", "disabled"] = "enabled"
    plugins_dir: str | None = None
    disable: list[str] = []
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    sections: dict[str, dict[str, Any]] = {}  # what plugins' models are made from

    @property
    def data(self) -> Path:
        return Path(self.data_dir).expanduser()

    @property
    def database(self) -> Path:
        return self.data / "roci.db"


# --- events ------------------------------------------------------------------

outbox: contextvars.ContextVar[list[Event]] = contextvars.ContextVar("rocioutbox")


def emit(event: Event) -> None:
    """Publish an event once the write that is now running has committed."""
    outbox.get().append(dataclasses.replace(event, actor=current_actor.get(), at=now()))


# --- the rest of the spine ---------------------------------------------------


def _mount_checkout() -> None:
    """In a checkout the built-in plugins lie in ./plugins; installed, in roci_plugins."""
    here = Path(__file__).parent
    init = here / "plugins" / "__init__.py"
    if "roci_plugins" in sys.modules or not (here / "pyproject.toml").exists():
        return
    spec = importlib.util.spec_from_file_location("roci_plugins", init, submodule_search_locations=[str(init.parent)])
    assert spec and spec.loader
    sys.modules["roci_plugins"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_mount_checkout()


def core(module: str) -> Any:
    """A module of roci_plugins.core, imported when it is first needed."""
    return importlib.import_module(f"roci_plugins.core.{module}")


# --- the application ---------------------------------------------------------


class Roci:
    """One ROCI: its settings, plugins, store, events and background work. There is no global one."""

    def __init__(self, settings: Settings | None = None, plugins: Iterable[Any] = ()) -> None:
        loading = core("loading")

        def ask(kind: str, hook: Any, **given: Any) -> Any:
            return loading.by_name(kind, hook(**given))

        self.settings = settings or Settings()
        self.pm: pluggy.PluginManager = loading.load(self.settings, plugins)
        self.hook = hook = self.pm.hook
        self._sections = core("settings").read_sections(self.pm, self.settings)
        self.store: Store = core("store").Store(self.settings.database, self._before_commit)
        self._parts: dict[type[Any], Any] = {}
        self._subscribers: set[asyncio.Queue[Event]] = set()
        self._background: Background = core("background").Background()
        self.draining = self._background.draining  # set once the process is to stop: end streams, close sockets
        self.started_at = now()
        self.permissions: dict[str, Permission] = ask("permission", hook.register_permissions)
        self.matchers: dict[str, Matcher] = ask("matcher", hook.register_matchers)
        self.backends: dict[str, Backend] = ask("backend", hook.register_backends)
        self.authenticators: dict[str, Authenticator] = ask("authenticator", hook.register_authenticators, roci=self)
        self.authorizers: dict[str, Authorizer] = ask("authorizer", hook.register_authorizers, roci=self)
        self.facts: dict[str, FactSource] = ask("source of facts", hook.register_facts, roci=self)
        self.operations: dict[str, OperationKind] = ask("kind of operation", hook.register_operations, roci=self)
        self.health_checks: dict[str, HealthCheck] = ask("health check", hook.register_health_checks, roci=self)
        self.tasks: dict[str, Task] = ask("task", hook.register_tasks, roci=self)
        self.surfaces: dict[str, Surface] = ask("surface", hook.register_surfaces, roci=self)

    def section(self, model: type[T]) -> T:
        """A plugin's own settings, by the model it registered."""
        return cast(T, self._sections[model])

    def provide(self, part: Any) -> None:
        """Offer a live object (a registry of links, say) to the layers above, by its class."""
        self._parts[type(part)] = part

    def part(self, kind: type[T]) -> T:
        """The live object of a class that a plugin below provides."""
        return cast(T, self._parts[kind])

    def find(self, kind: type[T]) -> T | None:
        """The same, or None where nobody provides it."""
        return cast("T | None", self._parts.get(kind))

    def may(self, actor: Actor, action: str, resource: str = "") -> bool:
        """Whether an actor may do this: any no denies, else any yes allows, else denied."""
        answers = [authorizer.decide(actor, action, resource) for authorizer in self.authorizers.values()]
        return False not in answers and True in answers

    async def read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a domain function that only reads."""
        return await self.store.read(fn, *args, **kwargs)

    async def write(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a domain function in one transaction, then publish what it emitted."""

        async def commit() -> T:
            result, events = await self.store.write(fn, *args, **kwargs)
            for event in events:
                await self._publish(event)
            return result

        # A client that hangs up must not separate a commit from its events.
        return await self._background.finish(commit())

    def _before_commit(self, events: list[Event]) -> None:
        if events:
            self.hook.before_commit(roci=self, events=events)

    async def _publish(self, event: Event) -> None:
        for queue in self._subscribers:
            if queue.full():
                queue.get_nowait()  # a slow reader loses the oldest, not the newest
            queue.put_nowait(event)
        for result in reversed(self.hook.on_event(roci=self, event=event)):
            try:
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("a plugin failed on %r", event)

    async def subscribe(self, *kinds: type[Event]) -> AsyncIterator[Event]:
        """Yield events as they are committed, for event streams. A slow reader loses the oldest."""
        import asyncio

        queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=1000)
        self._subscribers.add(queue)
        try:
            while True:
                event = await queue.get()
                if not kinds or isinstance(event, kinds):
                    yield event
        finally:
            self._subscribers.discard(queue)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside the caller; a failure is logged, and the end of the process cancels it."""
        return self._background.spawn(work, name)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Roci]:
        """Everything but the listeners: the store is migrated, the plugins live, the tasks run."""
        import asyncio

        with core("store").alone(self.settings):
            flatten = core("loading").flatten
            models, migrations = flatten(self.hook.register_models()), flatten(self.hook.register_migrations())
            await asyncio.to_thread(self.store.prepare, models, migrations)
            try:
                async with AsyncExitStack() as stack:
                    stack.push_async_callback(self._background.cancel_all)
                    for context in reversed(self.hook.lifespan(roci=self)):
                        await stack.enter_async_context(context)
                    for task in self.tasks.values():
                        self.spawn(self._background.repeat(task), task.name)
                    yield self
                    await self._background.cancel_all()
            finally:
                self.store.close()


# --- command line ------------------------------------------------------------


class CommandLine(click.Group):
    """The commands that plugins add. Only those plugins are loaded, so that --help stays quick."""

    @functools.cached_property
    def _loaded(self) -> bool:
        commands = importlib.import_module("roci_plugins").COMMANDS
        pm = core("loading").load(core("settings").load(), only=commands)
        pm.hook.register_commands(cli=self)
        return True

    def list_commands(self, context: click.Context) -> list[str]:
        return super().list_commands(context) if self._loaded else []

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, name) if self._loaded else None


@click.command(cls=CommandLine)
@click.version_option(__version__, prog_name="roci")
def cli() -> None:
    """Run the Docker hosts of a homelab from one process."""


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config FILE`; it receives the settings that result."""

    def load(context: click.Context, parameter: click.Parameter, value: str | None) -> Settings:
        return cast(Settings, core("settings").load(value))

    return click.option(
        "--config", "settings", callback=load, type=click.Path(dir_okay=False), help="Settings (default: $ROCI_CONFIG)."
    )(command)


def main() -> None:
    try:
        cli()
    except RociError as error:
        click.echo(f"roci: {error.message}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    import roci  # the same module under its real name, the one plugins import

    roci.main()
