from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from roci import Unavailable
from roci_plugins.agent.engine import AHEAD, STREAMS, THREADS, Engine, Refused, described
from roci_plugins.agent.scripted import until

Answer = tuple[int, Any]


class FakeEngine:
    """Speaks enough of the engine's interface on a unix socket; with `silent`, accepts and says nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.sock"
        self.address = f"unix://{self.path}"
        self.answers: dict[str, Answer] = {"/version": (200, {"ApiVersion": "1.41"}), "/v1.41/_ping": (200, "OK")}
        self.asked: list[str] = []
        self.silent = False
        self.server: asyncio.Server | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError), contextlib.closing(writer):
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                self.asked.append(path := line.split()[1].decode())
                if not self.silent:
                    writer.write(self.answer(path.partition("?")[0]))

    def answer(self, path: str) -> bytes:
        status, body = self.answers.get(path, (404, {"message": "no such thing"}))
        text = body if isinstance(body, str) else json.dumps(body)
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        return (head + text).encode()


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeEngine]:
    made = FakeEngine(tmp_path)
    made.server = await asyncio.start_unix_server(made.serve, made.path)
    yield made
    made.server.close()


CONTAINER = {
    "Id": "0123456789abcdef0123",
    "Names": ["/other/alias", "/shop-web-1"],
    "Image": "nginx:1.27",
    "State": "running",
    "Status": "Up 3 minutes",
    "Created": 1_700_000_000,
    "Ports": [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 443, "Type": "tcp"},
    ],
    "Labels": {"com.docker.compose.project": "shop"},
}
SHOWN = {
    "id": "0123456789ab",
    "name": "shop-web-1",
    "image": "nginx:1.27",
    "status": "running",
    "state": "Up 3 minutes",
    "created": "2023-11-14T22:13:20Z",
    "ports": ["0.0.0.0:8080->80/tcp", "443/tcp", "[::]:8080->80/tcp"],
    "app": "shop",
}


def test_a_container_is_shown_as_heartbeats_carry_it() -> None:
    assert described(CONTAINER) == SHOWN


def test_a_container_of_which_little_is_known_is_shown_all_the_same() -> None:
    assert described({"Id": "0" * 64, "Names": None, "Ports": None, "Labels": None}) == {
        "id": "0" * 12, "name": "", "image": "", "status": "unknown", "state": "",
        "created": "1970-01-01T00:00:00Z", "ports": [], "app": None,
    }  # fmt: skip


async def test_all_containers_come_by_one_call_in_the_version_the_engine_speaks(fake: FakeEngine) -> None:
    fake.answers["/v1.41/containers/json"] = (200, [CONTAINER])
    engine = Engine(fake.address)
    assert await engine.containers() == [SHOWN]
    assert await engine.containers() == [SHOWN]
    assert [path.partition("?")[0] for path in fake.asked] == ["/version", *["/v1.41/containers/json"] * 2]


async def test_what_was_killed_is_asked_about_once_for_whether_it_took_too_much_memory(fake: FakeEngine) -> None:
    killed = [
        {"Id": f"{at:012}{'f' * 52}", "Names": [f"/c{at}"], "State": "exited", "Status": "Exited (137) 3 days ago"}
        for at in range(10)
    ]
    died = {"Id": "d" * 64, "Names": ["/died"], "State": "exited", "Status": "Exited (1) 3 days ago"}
    fake.answers["/v1.41/containers/json"] = (200, [*killed, died])
    for at in range(1, 10):  # the first is gone when it is asked about
        fake.answers[f"/v1.41/containers/{at:012}/json"] = (200, {"State": {"OOMKilled": at % 2 == 0}})
    engine = Engine(fake.address)
    first = [one.get("oom") for one in await engine.containers()]
    assert first == [None, False, True, False, True, False, True, False, None, None, None], "a few at one time"
    assert [one.get("oom") for one in await engine.containers()][8:] == [True, False, None]
    asked = len(fake.asked)
    assert [one.get("oom") for one in await engine.containers()][:3] == [None, False, True]
    assert len(fake.asked) == asked + 1
    fake.answers["/v1.41/containers/json"] = (200, [CONTAINER])
    assert await engine.containers() == [SHOWN] and engine._kills == {}


async def test_the_engines_no_comes_in_its_words(fake: FakeEngine) -> None:
    with pytest.raises(Refused, match="no such thing") as error:
        await Engine(fake.address).call(lambda api: api.inspect_container("x"))
    assert error.value.is_missing


async def test_a_silent_engine_is_unavailable_in_time_and_holds_few_threads(fake: FakeEngine) -> None:
    fake.silent = True
    engine = Engine(fake.address, limit=0.2)
    before = set(threading.enumerate())
    begun = asyncio.get_running_loop().time()
    results = await asyncio.gather(*(engine.containers() for _ in range(3 * THREADS)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert "does not answer" in str(results[0])
    assert asyncio.get_running_loop().time() - begun < 30
    assert sum(thread.name == "docker" for thread in {*threading.enumerate()} - before) <= THREADS


async def test_a_machine_without_room_for_a_thread_costs_no_slot(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    asked = Engine(fake.address)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        for _ in range(THREADS + 1):
            with pytest.raises(Unavailable, match="can't start new thread"):
                await asked.call(lambda api: api.ping())
    assert await asked.call(lambda api: api.ping())


async def test_an_engine_that_is_silent_at_the_first_question_is_called_silent(fake: FakeEngine) -> None:
    fake.silent = True
    engine = Engine(fake.address, limit=0.3)
    with pytest.raises(Unavailable, match="does not answer"):  # the library's own time runs out, and it wraps that
        await engine.call(lambda api: api.version(), limit=5)


async def test_an_engine_that_comes_back_is_used_again(fake: FakeEngine) -> None:
    fake.silent = True
    engine = Engine(fake.address, limit=1)
    assert "does not answer" in (await engine.ping() or "")
    fake.silent = False
    assert await engine.ping() is None


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda path: None, "no Docker engine"),
        (lambda path: path.touch(), "no Docker engine answers at"),
    ],
)
async def test_a_missing_engine_is_told_with_the_command_that_mends_it(
    tmp_path: Path, prepare: Callable[[Path], None], problem: str
) -> None:
    prepare(tmp_path / "x.sock")
    engine = Engine(f"unix://{tmp_path}/x.sock")
    said = await engine.ping() or ""
    assert problem in said and "`" in said
    with pytest.raises(Unavailable, match=problem):
        await engine.containers()


async def test_what_is_no_engine_is_told(fake: FakeEngine) -> None:
    fake.answers["/version"] = (200, "hello")
    assert await Engine(fake.address).ping()


async def test_a_stream_passes_on_what_comes_and_ends_with_its_error(fake: FakeEngine) -> None:
    engine = Engine(fake.address)
    assert [piece async for piece in engine.stream(lambda api: iter("abc"))] == ["a", "b", "c"]

    def broken(api: Any) -> Any:
        yield "a"
        raise OSError("gone")

    seen = []
    with pytest.raises(Unavailable):
        async for piece in engine.stream(broken):
            seen.append(piece)
    assert seen == ["a"]


async def test_a_closed_stream_lets_its_thread_go(fake: FakeEngine) -> None:
    ended, more = threading.Event(), threading.Event()

    def endless(api: Any) -> Any:
        try:
            while True:
                yield "piece"
                more.wait(30)
        finally:
            ended.set()

    stream = Engine(fake.address).stream(endless)
    assert await anext(stream) == "piece"
    await stream.aclose()
    more.set()
    assert await asyncio.to_thread(ended.wait, 30)


async def test_a_cancelled_change_is_not_cut_in_two(fake: FakeEngine) -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def work(api: Any) -> None:
        begun.set()
        go.wait(30)
        done.set()

    task = asyncio.create_task(Engine(fake.address).change(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
async def test_a_socket_that_may_not_be_used_is_told(fake: FakeEngine) -> None:
    fake.path.chmod(0)
    assert "usermod -aG docker" in (await Engine(fake.address).ping() or "")


async def test_a_stream_is_read_no_faster_than_it_is_taken(fake: FakeEngine) -> None:
    given = 0

    def flood(api: Any) -> Any:
        nonlocal given
        while given < 5 * AHEAD - 1:
            given += 1
            yield given

    stream = Engine(fake.address).stream(flood)
    assert await anext(stream) == 1
    await until(lambda: given > AHEAD)
    assert given <= AHEAD + 3
    assert [piece async for piece in stream] == list(range(2, 5 * AHEAD))


async def test_a_silent_stream_is_cut_from_outside(fake: FakeEngine) -> None:
    class Silent:
        def __init__(self) -> None:
            self.cut, self.ended = threading.Event(), threading.Event()

        def __iter__(self) -> Any:
            yield "first"
            self.cut.wait(10)
            self.ended.set()

        def cancel(self) -> None:
            self.cut.set()

    engine = Engine(fake.address)
    for _ in range(STREAMS + 1):  # more than there is room for, if they went on
        silent = Silent()
        stream = engine.stream(lambda api, silent=silent: silent)
        assert await anext(stream) == "first"
        await stream.aclose()
        assert await asyncio.to_thread(silent.ended.wait, 10)


async def test_streams_leave_room_for_questions_and_there_are_not_too_many(fake: FakeEngine) -> None:
    engine, go = Engine(fake.address), threading.Event()

    def waiting(api: Any) -> Any:
        yield "first"
        go.wait(10)

    streams = [engine.stream(waiting) for _ in range(STREAMS)]
    for stream in streams:
        await anext(stream)
    assert await engine.call(lambda api: api.ping())
    with pytest.raises(Unavailable, match=f"{STREAMS} logs or pulls are read already"):
        await anext(engine.stream(waiting))
    go.set()
    for stream in streams:
        assert [piece async for piece in stream] == []


def test_a_task_of_a_swarm_belongs_to_the_application_that_its_stack_is() -> None:
    assert described({**CONTAINER, "Labels": {"com.docker.stack.namespace": "shop"}})["app"] == "shop"
    assert described({**CONTAINER, "Labels": None})["app"] is None


async def test_an_engine_tells_whether_it_manages_a_swarm(fake: FakeEngine) -> None:
    engine = Engine(fake.address)
    fake.answers["/v1.41/swarm"] = 503, {"message": "This node is not a swarm manager."}
    assert not await engine.manages_swarm()
    fake.answers["/v1.41/swarm"] = 200, {"ID": "abc"}
    assert await engine.manages_swarm()
    fake.silent = True
    with pytest.raises(Unavailable):
        await Engine(fake.address, limit=0.2).manages_swarm()
