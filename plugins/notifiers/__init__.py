"""How people are told: the contract of a notifier, and the hook that brings one. Each notifier is one module here."""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import msgspec

from roci import Roci, hookimpl, hookspec

T = TypeVar("T")
log = logging.getLogger("roci.notices")
# What an attempt leaves behind when nobody waits for it any more. Until it has ended its channel gets nothing else.
left_behind: ContextVar[list[threading.Thread]] = ContextVar("left_behind")
# These write the whole address of what they ask, and the addresses of channels are secrets.
for chatty in ("httpx2", "httpcore2", "urllib3"):
    logging.getLogger(chatty).setLevel(logging.WARNING)


class Notice(Protocol):
    """What people are told. Plain text; whatever is in it may come from a host, so escape it as the far end needs."""

    @property
    def id(self) -> str:
        """The same when it is sent again, since it may arrive twice."""

    @property
    def kind(self) -> str:
        """alert.fired, alert.resolved, summary (of many), test."""

    @property
    def title(self) -> str:
        """One line."""

    @property
    def body(self) -> str: ...

    @property
    def severity(self) -> str:
        """info, warning or critical."""

    @property
    def host_id(self) -> str | None: ...

    @property
    def hostname(self) -> str: ...

    @property
    def subject(self) -> str:
        """Which container or disk of it; empty: the host itself."""

    @property
    def alert_id(self) -> str | None:
        """The same for what fired and its end."""

    @property
    def at(self) -> datetime.datetime: ...

    @property
    def url(self) -> str:
        """The page that shows it; empty where nobody has said how this server is reached."""

    @property
    def data(self) -> Mapping[str, Any]: ...


class Notifier(Protocol):
    """Brings notices to one kind of place.

    Fields of `settings` that are Sensitive are never shown again. Its class attribute `destination` names the fields
    that say where those secrets go: they are kept only as long as these stay. Without it: as long as all stay.
    """

    name: str

    @property
    def settings(self) -> type[msgspec.Struct]: ...  # a ValueError in __post_init__ refuses one: "url: …"

    async def send(self, settings: Any, notice: Notice) -> None:
        """Return once it has arrived; raise a RociError that says why it did not. It is ended after 20 s."""


class NotifierHooks(Protocol):
    """What this layer adds to the hooks of the spine."""

    @hookspec
    def register_notifiers(self, roci: Roci) -> Iterable[Notifier]:
        """Return ways to tell people, found by the kind that a channel names."""


def _nothing() -> None:
    pass


async def in_thread(work: Callable[[], T], cut: Callable[[], None] = _nothing) -> T:
    """Run what blocks. What hangs holds up its own channel only, and not the end of the process.

    `cut` is called when nobody waits any more, and ends the work if it can: closes what it reads from.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:
            failed = error
        try:
            loop.call_soon_threadsafe(settle, result, failed)
        except RuntimeError:
            log.debug("the process ended before a notice was sent")

    thread = threading.Thread(target=run, name="roci-notice", daemon=True)
    thread.start()
    try:
        return await done
    except asyncio.CancelledError:
        left_behind.get([]).append(thread)
        cut()
        raise


def one_line(text: str, most: int = 200) -> str:
    """A text with nothing in it that could begin another line, or another field."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


@hookimpl
def register_hookspecs() -> type[NotifierHooks]:
    return NotifierHooks
