"""`roci agent`: keep a worker connected to its server, for as long as the process lives."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import random
import signal
import time
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from roci import Settings, StartupError, core

from . import wire
from .host import make_worker
from .worker import AgentSettings, Worker

log = logging.getLogger("roci.agent")
SHORTEST, LONGEST = 1.0, 60.0  # seconds between attempts
STABLE = 60.0  # seconds after which a connection counts as good
REFUSED, REMOVED = 300.0, 60.0  # seconds to stay away after being rejected, or removed
PING = 20.0  # seconds of silence after which the other end is asked, and has as long to answer


def socket_url(server: str) -> str:
    """The address of the agents' socket on a server given as http, https, ws or wss. Raises StartupError."""
    parts = urlsplit(server if "://" in server else f"http://{server}")
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise StartupError(f"server: {server!r} is no address, such as https://roci.lan:8080")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/ws/agent") else f"{path}/ws/agent"
    return urlunsplit((scheme, parts.netloc, path, "", ""))


class WebSocket:
    """A websocket of the client library's, as a worker wants it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        try:
            return await self._socket.recv()
        except ConnectionClosed as closed:
            raise wire.Closed(
                closed.rcvd.code if closed.rcvd else None, closed.rcvd.reason if closed.rcvd else ""
            ) from None

    async def send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except ConnectionClosed:
            raise wire.Closed from None


class Backoff:
    """How long to wait before the next attempt: longer each time, never in step with others."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._next = SHORTEST

    def after(self, code: int | None, lasted: float) -> float:
        """Seconds to wait after a connection that was closed with this code and had lasted so long."""
        if lasted >= STABLE:
            self._next = SHORTEST
        pause, self._next = self._next, min(self._next * 2, LONGEST)
        least = {wire.REJECTED: REFUSED, wire.DELETED: REMOVED}.get(code or 0, 0.0)
        return max(pause * (0.5 + self._chance() / 2), least * (1 + self._chance() / 10))


async def keep_connected(worker: Worker, url: str) -> None:
    """Connect, serve, and connect again. Runs until it is cancelled."""
    backoff = Backoff()
    while True:
        began = time.monotonic()
        code = None
        try:
            async with connect(
                url, compression=None, max_size=wire.LONGEST, ping_interval=PING, ping_timeout=PING, proxy=None
            ) as socket:
                log.info("connected to %s", url)
                await worker.converse(WebSocket(socket))
        except wire.Closed as closed:
            code = closed.code
            log.warning("the link is gone%s", f": {closed.reason} ({closed.code})" if closed.code else "")
        except (OSError, TimeoutError, InvalidHandshake) as error:
            log.warning("cannot reach %s: %s", url, error or type(error).__name__)
        except Exception:
            log.exception("the link failed")
        pause = backoff.after(code, time.monotonic() - began)
        log.info("trying again in %.0f s", pause)
        await asyncio.sleep(pause)


def worker_of(settings: Settings, mine: AgentSettings) -> Worker:
    """The worker of this host, with the backends and commands of the plugins an agent needs."""
    loading = core("loading")
    pm = loading.load(settings, only=importlib.import_module("roci_plugins").AGENT)
    return make_worker(mine, loading.by_name("backend", pm.hook.register_backends()), pm)


async def run(settings: Settings, mine: AgentSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    if not mine.server:
        raise StartupError("say which server: --server http://roci.lan:8080")
    url = socket_url(mine.server)
    worker = worker_of(settings, mine)
    task = asyncio.create_task(keep_connected(worker, url))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await worker.stop()
