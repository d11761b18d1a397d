"""The listeners: bound first, answering before they are announced, and gone within ten seconds of a signal."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from roci import Roci, Settings, StartupError

from .settings import split_address

log = logging.getLogger("roci.serve")
DRAIN = 3.0  # seconds that open streams and sockets have to end by themselves
STOP = 2.0  # seconds that the listeners then have
LAST_RESORT = 9.5  # seconds after which the process ends whatever it is doing
MESSAGE_LIMIT = 4 * 1024 * 1024


@dataclasses.dataclass
class Listening:
    """Where this process listens, and lines that plugins want printed once it is ready. A part of the Roci."""

    urls: list[str]
    notices: list[str] = dataclasses.field(default_factory=list)

    @property
    def here(self) -> str:
        """The first of these as a browser on this machine reaches it: an address that stands for all is none."""
        return self.urls[0].replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:")

    @property
    def for_others(self) -> str:
        """The `bind` with which other machines reach it too, at the same port."""
        return f"0.0.0.0:{self.urls[0].rstrip('/').rpartition(':')[2]}"


async def serve(roci: Roci, say: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. `say` prints a line for whoever started the process."""
    from .app import create_app

    stop = asyncio.Event()
    sys.setswitchinterval(0.0005)  # the store's threads must not hold up the loop
    with _bound(roci.settings) as sockets, _signals(stop):
        listening = Listening([_url(each) for each in sockets])
        roci.provide(listening)
        app = create_app(roci)
        places = [(_url(each), _reached_at(each)) for each in sockets]
        async with _opened(roci), _listening(app, sockets) as server:
            for url, (host, port) in places:
                await _until_it_answers(host, port, server)
                say(f"ROCI is ready on {url}")
            for notice in listening.notices:
                say(notice)
            gc.collect()
            gc.freeze()  # what lives from the start is not looked at again: pauses stay short
            gc.enable()
            await _first(stop.wait(), server)
            log.info("stopping")
            await _drain(roci, app.extensions["handling"])


@contextlib.asynccontextmanager
async def _opened(roci: Roci) -> AsyncIterator[None]:
    """The Roci, running; what keeps it from that is said in words."""
    import peewee

    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(roci.running())
        except OSError as error:
            log.debug("at start", exc_info=True)
            raise StartupError(f"{error.filename or 'at start'}: {error.strerror or error}") from None
        except peewee.DatabaseError as error:
            log.debug("at start", exc_info=True)
            raise StartupError(f"{roci.settings.database}: {error}") from None
        yield


async def _first(stopping: Any, server: asyncio.Task[None]) -> None:
    """Until it is time to stop, or the listeners fail by themselves: then raise what they raised."""
    waiting = asyncio.ensure_future(stopping)
    await asyncio.wait({waiting, server}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if server.done():
        server.result()


@contextlib.asynccontextmanager
async def _listening(app: Any, sockets: list[socket.socket]) -> AsyncIterator[asyncio.Task[None]]:
    """Hypercorn in this process, on our sockets, for as long as the block runs."""
    from hypercorn.asyncio import serve as listen

    ended = asyncio.Event()
    config = _config([each.detach() for each in sockets])
    server = asyncio.create_task(listen(app, config, shutdown_trigger=ended.wait), name="listeners")
    try:
        yield server
    finally:
        ended.set()
        await asyncio.wait({server}, timeout=STOP)
        if not server.done():
            log.warning("a connection does not end: leaving it")
            server.cancel()
        await asyncio.gather(server, return_exceptions=True)


def _config(descriptors: list[int]) -> Any:
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{descriptor}" for descriptor in descriptors]
    config.accesslog = None
    config.errorlog = logging.getLogger("roci.http")
    config.errorlog.setLevel(logging.WARNING)
    config.include_server_header = False
    config.websocket_max_message_size = MESSAGE_LIMIT
    config.h11_max_incomplete_size = 32 * 1024
    config.backlog = 1024
    config.keep_alive_timeout = 30
    config.graceful_timeout = STOP / 2
    return config


async def _drain(roci: Roci, handling: set[asyncio.Task[Any]]) -> None:
    """Let what is being handled end, then end it. Only then is Hypercorn stopped: it waits for every open socket."""
    roci.draining.set()
    if handling:
        _, late = await asyncio.wait(set(handling), timeout=DRAIN)
        for task in late | handling:
            task.cancel()
        if late:
            log.warning("%d requests or sockets did not end by themselves", len(late))
            await asyncio.wait(late, timeout=1)


def _last_resort(begun: threading.Event) -> None:
    """A thread, since what hangs may be the loop; started early, since a signal may not start one."""
    begun.wait()
    threading.Event().wait(LAST_RESORT)
    log.critical("stopping takes too long: giving up")
    logging.shutdown()
    os._exit(1)


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """The first signal asks for an orderly end; a second ends the process where it stands.

    Not the loop's own signal handlers: those wait for a loop that may hang.
    """
    loop, both, begun = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT), threading.Event()
    threading.Thread(target=_last_resort, args=[begun], name="last-resort", daemon=True).start()

    def first(number: int, frame: object) -> None:
        for each in both:
            signal.signal(each, signal.SIG_DFL)
        begun.set()
        loop.call_soon_threadsafe(stop.set)

    before = {each: signal.signal(each, first) for each in both}
    try:
        yield
    finally:
        if not begun.is_set():
            for each, handler in before.items():
                signal.signal(each, handler)


# --- addresses ---------------------------------------------------------------


@contextlib.contextmanager
def _bound(settings: Settings) -> Iterator[list[socket.socket]]:
    """The sockets of every `bind`, closed afterwards. Raises StartupError in words."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_bind(address, settings.bind)) for address in settings.bind]


def _bind(address: str, beside: list[str]) -> socket.socket:
    host, port = split_address(address)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise StartupError(f"bind: {host} is no address of this machine: {error.strerror}") from None
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if family == socket.AF_INET6:  # [::] takes IPv4 too, unless another address on that port is to
        alone = not any(":" not in split_address(each)[0] and split_address(each)[1] == port for each in beside)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not alone)
    try:
        sock.bind(where)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise StartupError(f"bind: {address} {_why(error)}") from None
    return sock


def _why(error: OSError) -> str:
    words = {
        errno.EADDRINUSE: "is taken by another program",
        errno.EADDRNOTAVAIL: "is not an address of this machine",
        errno.EACCES: "is not for this user: ports below 1024 need more rights",
    }
    return words.get(error.errno or 0, f"cannot be used: {error.strerror}")


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reached_at(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


async def _until_it_answers(host: str, port: int, server: asyncio.Task[None]) -> None:
    """Ask something over the socket, which listens since it was bound: the answer comes when there is one."""

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await reader.readline()
        finally:
            writer.close()

    asking = asyncio.create_task(ask())
    await asyncio.wait({asking, server}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    if server.done():
        server.result()
    else:
        await asking
