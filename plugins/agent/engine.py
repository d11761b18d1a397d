"""The host's Docker engine. Its client blocks, so each call runs in a thread of its own, with a time limit.

An engine that stops answering raises Unavailable in time, and never holds more than a few threads. Threads are
daemons: a hung engine cannot keep the process from ending. Docker's library is imported at the first call.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime
import functools
import os
import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from roci import StepFailed, Unavailable

T = TypeVar("T")

SOCKET = "unix:///var/run/docker.sock"
MOMENT = 2.0  # seconds it has for what nobody can wait for
LIMIT = 10.0  # seconds an engine has to answer a question
CHANGE = 60.0  # seconds it has to carry out a change
THREADS = 16  # calls at once; with more than that outstanding the engine counts as hung
STREAMS = 32  # streams at once, beside those calls
AHEAD = 64  # pieces of a stream that are read before somebody takes them
PATIENCE = 600.0  # seconds between two pieces of a stream, such as the progress of a pull
KILLED, ASKED = "Exited (137)", 8  # containers of that state, and how many of them are asked about at one time
START = "start it with `sudo systemctl enable --now docker`"


class Refused(StepFailed):
    """The engine's own no, in its words. `status` in the details is its HTTP status."""

    @property
    def is_missing(self) -> bool:
        return bool(self.details["status"] == 404)


@functools.cache
def engine(docker_host: str | None = None) -> Engine:
    """The one Engine of an address; None means Docker's usual socket."""
    return Engine(docker_host or SOCKET)


class Engine:
    """One engine, by address. Nothing is connected before the first call."""

    def __init__(self, address: str, limit: float = LIMIT) -> None:
        self.address = address
        self._limit = limit
        self.listed: list[dict[str, Any]] = []  # what `containers` said last
        self._kills: dict[str, bool | None] = {}  # of those listed that were killed: for want of memory?
        self._client: Any = None
        self._slots = threading.BoundedSemaphore(THREADS)
        self._streams = threading.BoundedSemaphore(STREAMS)

    async def call(self, work: Callable[[Any], T], limit: float | None = None) -> T:
        """`work(api)` in a thread, with docker's low-level client; `limit` in seconds.

        The engine's own no is Refused; a silent or missing engine is Unavailable.
        """
        waiting = asyncio.wrap_future(self._begin(lambda: work(self._api())))
        try:
            async with asyncio.timeout(limit or self._limit):
                return await asyncio.shield(waiting)
        except TimeoutError:
            waiting.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody asks for it any more
            raise self._silent() from None

    async def change(self, work: Callable[[Any], T], limit: float | None = None) -> T:
        """`call` for what must not be cut in two: a cancelled caller goes only when the engine has answered."""
        task = asyncio.ensure_future(self.call(work, limit or CHANGE))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    async def stream(self, work: Callable[[Any], Iterable[T]]) -> AsyncGenerator[T, None]:
        """Yield what `work(api)` yields, not faster than it is taken. Closing this ends the thread when its next
        piece comes, or at once where what `work` returns has a `cancel`, which may be called from another thread.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[T] = asyncio.Queue()
        piece: asyncio.Future[T] = loop.create_future()
        reader = _Reader()

        def read() -> None:
            with contextlib.closing(self._api(PATIENCE)) as api:
                for one in reader.over(work(api)):
                    loop.call_soon_threadsafe(pieces.put_nowait, one)

        ended = asyncio.wrap_future(self._begin(read, self._streams))
        try:
            while not (ended.done() and pieces.empty()):
                piece = asyncio.ensure_future(pieces.get())
                either: set[asyncio.Future[Any]] = {piece, ended}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if piece.done():
                    reader.room.release()
                    yield piece.result()
            await ended
        finally:
            piece.cancel()
            reader.stop()
            ended.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody asks for it any more

    async def containers(self) -> list[dict[str, Any]]:
        """Every container, running or not, in the shape that heartbeats carry. One call, but for what was killed."""
        found = await self.call(lambda api: api.containers(all=True))
        self.listed = [described(container) for container in found]
        await self._tell_of_kills({one["id"]: one for one in self.listed if one["state"].startswith(KILLED)})
        return self.listed

    async def _tell_of_kills(self, killed: Mapping[str, dict[str, Any]]) -> None:
        """Whether it was for want of memory, or by hand. Each is asked about once, a few in one heartbeat."""
        self._kills = {id: oom for id, oom in self._kills.items() if id in killed}
        with contextlib.suppress(Unavailable):
            for id in [id for id in killed if id not in self._kills][:ASKED]:
                self._kills[id] = await self._was_for_memory(id)
        for id, oom in self._kills.items():
            killed[id]["oom"] = oom

    async def _was_for_memory(self, id: str) -> bool | None:
        try:
            found = await self.call(lambda api: api.inspect_container(id)["State"], limit=MOMENT)
        except Refused:  # it is gone
            return None
        return bool(found.get("OOMKilled"))

    async def manages_swarm(self) -> bool:
        """Whether this engine is a manager of a swarm. Raises Unavailable."""
        try:
            await self.call(lambda api: api.inspect_swarm(), limit=MOMENT)
        except Refused:
            return False
        return True

    async def ping(self) -> str | None:
        """None when the engine answers, else what is wrong and the command that mends it."""
        if problem := _socket_problem(self.address):
            return problem
        try:
            await self.call(lambda api: api.ping())
        except Unavailable as error:
            return error.message
        except Exception as error:  # whatever else speaks on that socket
            return f"what answers at {self.address} is no Docker engine: {error}"
        return None

    def _begin(
        self, work: Callable[[], T], slots: threading.BoundedSemaphore | None = None
    ) -> concurrent.futures.Future[T]:
        slots = slots or self._slots
        if not slots.acquire(blocking=False):
            raise self._silent() if slots is self._slots else Unavailable(f"{STREAMS} logs or pulls are read already")
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:
                slots.release()
                self._settle(done, error=self._translated(error))
            else:
                slots.release()
                self._settle(done, result=result)

        try:
            threading.Thread(target=run, name="docker", daemon=True).start()
        except RuntimeError as error:
            slots.release()
            raise Unavailable(f"the Docker engine cannot be asked: {error}") from error
        return done

    def _settle(self, done: concurrent.futures.Future[Any], result: Any = None, error: Any = None) -> None:
        with contextlib.suppress(concurrent.futures.InvalidStateError, RuntimeError):  # nobody waits any more
            done.set_exception(error) if error else done.set_result(result)

    def _api(self, patience: float | None = None) -> Any:
        """A client of its own for a stream, whose silence is longer; else the shared one."""
        import docker

        if self._client is None or patience:
            # Connecting asks for the engine's version: that must not take longer than any question. Two threads may
            # both connect; the later client wins, which does no harm, while a lock would let one hang for all.
            client: Any = docker.APIClient(
                self.address, version="auto", timeout=cast(int, self._limit), max_pool_size=THREADS
            )
            client.timeout = patience or CHANGE
            if patience:
                return client
            self._client = client
        return self._client

    def _translated(self, error: BaseException) -> BaseException:
        import docker.errors
        import requests

        if isinstance(error, docker.errors.APIError):
            return Refused(str(error.explanation or error), status=error.status_code)
        if _is_caused_by(error, (requests.Timeout, TimeoutError)):
            return self._silent()
        if isinstance(error, (docker.errors.DockerException, requests.RequestException, OSError)):
            return Unavailable(_socket_problem(self.address) or f"no Docker engine answers at {self.address}: {START}")
        return error

    def _silent(self) -> Unavailable:
        return Unavailable(
            f"the Docker engine at {self.address} does not answer: restart it with `sudo systemctl restart docker`"
        )


class _Reader:
    """What one stream's thread reads, until it is stopped from outside."""

    def __init__(self) -> None:
        self.room = threading.Semaphore(AHEAD)
        self._stopped = False
        self._cancel: Callable[[], None] = lambda: None

    def over(self, found: Iterable[T]) -> Iterator[T]:
        """The pieces, each when there is room for it."""
        self._cancel = getattr(found, "cancel", self._cancel)
        if self._stopped:
            self._cancel()
        for piece in found:
            self.room.acquire()
            if self._stopped:
                return
            yield piece

    def stop(self) -> None:
        self._stopped = True
        self.room.release()
        self._cancel()


def _is_caused_by(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    """docker's library wraps what happens while it asks for the engine's version."""
    while error is not None:
        if isinstance(error, kinds) or any(isinstance(each, kinds) for each in error.args):
            return True
        error = error.__cause__ or error.__context__
    return False


def _socket_problem(address: str) -> str | None:
    """Why a local engine's socket cannot be used, for the person who can change it."""
    if not address.startswith("unix://"):
        return None
    path = address.removeprefix("unix://")
    if not os.path.exists(path):
        if shutil.which("dockerd") or shutil.which("docker"):
            return f"no Docker engine listens at {path}: {START}"
        return "no Docker engine is installed: install one with `curl -fsSL https://get.docker.com | sudo sh`"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"this user may not use {path}: run `sudo usermod -aG docker $USER`, then sign in again"
    return None


def described(container: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of the engine's list of containers, for heartbeats."""
    names = [name.lstrip("/") for name in container.get("Names") or []]
    labels = container.get("Labels") or {}
    created = datetime.datetime.fromtimestamp(container.get("Created") or 0, datetime.UTC)
    return {
        "id": container["Id"][:12],
        "name": min(names, key=lambda name: name.count("/"), default=""),  # others are links: "web/db"
        "image": container.get("Image") or "",
        "status": container.get("State") or "unknown",
        "state": container.get("Status") or "",
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ports": sorted({_port(port) for port in container.get("Ports") or []}),
        "app": labels.get("com.docker.compose.project") or labels.get("com.docker.stack.namespace"),
    }


def _port(port: Mapping[str, Any]) -> str:
    inside = f"{port['PrivatePort']}/{port.get('Type', 'tcp')}"
    if not port.get("PublicPort"):
        return inside
    address = port.get("IP") or "0.0.0.0"  # noqa: S104  shown, not listened on
    return f"{f'[{address}]' if ':' in address else address}:{port['PublicPort']}->{inside}"
