"""`roci serve` as a process: what it says when it is ready or cannot start, and how it ends whatever is connected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from roci_plugins.core.serve import DRAIN, LAST_RESORT, STOP

CUT_OFF = "did not end by themselves"
LEFT = "a connection does not end"
HOLDING = """
import asyncio, time
from quart import Blueprint, Response, websocket
from roci import Surface, hookimpl
from roci_plugins.surfaces.http import public, roci
from roci_plugins.surfaces.stream import ServerSent, stream

routes = Blueprint("holding", __name__)

async def ticks():
    yield ServerSent("tick", 1)
    await asyncio.Event().wait()

@routes.get("/stream")
@public
async def events():
    return stream(roci, ticks())

@routes.websocket("/polite")
@public
async def polite():
    await websocket.send("held")
    await roci.draining.wait()
    await websocket.close(1012, "restart")

@routes.websocket("/stubborn")
@public
async def stubborn():
    try:
        await websocket.send("held")
        await asyncio.Event().wait()
    finally:
        print("let go", flush=True)

@routes.get("/slow")
@public
async def slow():
    await asyncio.sleep(1)
    return "done"

@routes.get("/stuck")
@public
async def stuck():
    print("stuck", flush=True)
    time.sleep(60)

@hookimpl
def register_surfaces():
    return [Surface("holding", "", routes, lambda error: (error.message, error.status))]
"""


class Served:
    """The process, and the lines it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout
        async with asyncio.timeout(30):
            while not (found := re.search(pattern, "\n".join(self.lines))):
                line = await self.process.stdout.readline()
                assert line, f"it ended without {pattern!r}: {self.lines}"
                self.lines.append(line.decode().rstrip())
        return found

    async def url(self) -> str:
        return (await self.line(r"ROCI is ready on (http://127\.\S+)"))[1]

    async def ends(self, *signals: signal.Signals) -> int:
        """The exit code, after the signals."""
        for each in signals:
            self.process.send_signal(each)
            if len(signals) > 1:
                await self.line("stopping")
        async with asyncio.timeout(30):
            rest, _ = await self.process.communicate()
        self.lines += rest.decode().splitlines()
        assert self.process.returncode is not None
        return self.process.returncode


def ended_by_itself(served: Served) -> bool:
    """Whether nothing was waited for until its time was over: so it took less than three seconds of ours."""
    return not any(words in line for line in served.lines for words in (CUT_OFF, LEFT))


Serve = Callable[..., "asyncio.Future[Served]"]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "holding.py").write_text(HOLDING)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ROCI_")}
    base = {
        "ROCI_BIND": "127.0.0.1:0",
        "ROCI_DATA_DIR": str(tmp_path / "data"),
        "ROCI_LOCAL_AGENT": "false",
        "ROCI_PLUGINS_DIR": str(tmp_path / "plugins"),
    }
    started: list[Served] = []

    async def start(**settings: str) -> Served:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "roci", "serve"),
            env=plain | base | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        started.append(Served(process))
        return started[-1]

    yield start  # type: ignore[misc]
    for each in started:
        with contextlib.suppress(ProcessLookupError):
            each.process.kill()
        await each.process.wait()


@contextlib.asynccontextmanager
async def streaming(url: str, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """An answer that has begun, over a plain connection."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    yield reader
    writer.close()


async def test_it_answers_when_it_says_that_it_is_ready_and_ends_with_zero(serve: Serve):
    served = await serve()
    async with streaming(await served.url(), "/api/v1/health/lite") as reader:
        assert b"200" in await reader.readline()
        headers = await reader.readuntil(b"\r\n\r\n")
        assert b"server:" not in headers.lower()
    code = await served.ends(signal.SIGTERM)
    assert code == 0 and ended_by_itself(served)


async def test_every_address_is_announced(serve: Serve):
    served = await serve(ROCI_BIND="127.0.0.1:0,[::1]:0")
    await served.line(r"ROCI is ready on http://127\.0\.0\.1:\d+")
    await served.line(r"ROCI is ready on http://\[::1\]:\d+")
    assert await served.ends(signal.SIGINT) == 0


async def test_the_first_run_prints_a_link_each_start_until_there_is_an_administrator(serve: Serve):
    links = []
    for settings in ({}, {}, {"ROCI_ADMIN_PASSWORD": "correct horse"}, {}):
        served = await serve(**settings)
        url = await served.url()
        if len(links) < 2:
            links.append((await served.line(rf"First run: open {url}(/setup/\S+)"))[1])
        assert await served.ends(signal.SIGTERM) == 0
        assert ("First run" in "\n".join(served.lines)) == ("ROCI_ADMIN_PASSWORD" not in settings and len(links) < 3)
        if "ROCI_ADMIN_PASSWORD" in settings:
            links.append("an administrator")
    assert links[0] != links[1]


async def test_the_link_of_the_first_run_can_be_opened_where_all_addresses_are_listened_at(serve: Serve):
    served = await serve(ROCI_BIND="0.0.0.0:0")
    port = (await served.line(r"ROCI is ready on http://0\.0\.0\.0:(\d+)"))[1]
    await served.line(rf"First run: open http://localhost:{port}/setup/\S+ \(on another machine: ")
    assert await served.ends(signal.SIGTERM) == 0


async def test_a_taken_address_is_named(serve: Serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        served = await serve(ROCI_BIND=address)
        assert await served.ends() == 1
    assert served.lines == [f"roci: bind: {address} is taken by another program"]


async def test_an_address_of_another_machine_is_named(serve: Serve):
    served = await serve(ROCI_BIND="192.0.2.1:8080")
    assert await served.ends() == 1
    assert served.lines == ["roci: bind: 192.0.2.1:8080 is not an address of this machine"]


async def test_a_database_that_is_none_is_named(serve: Serve, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "roci.db").write_text("this is not a database at all. " * 50)
    served = await serve()
    assert await served.ends() == 1
    assert served.lines == [f"roci: {tmp_path / 'data' / 'roci.db'}: file is not a database"]


async def test_a_second_server_on_the_same_data_is_refused(serve: Serve):
    first, second = await serve(), None
    await first.url()
    second = await serve()
    assert await second.ends() == 1
    assert "another ROCI runs on" in second.lines[0]


async def test_a_held_websocket_and_an_event_stream_end_within_three_seconds(serve: Serve):
    served = await serve()
    url = await served.url()
    async with connect(url.replace("http", "ws") + "/polite") as held, streaming(url, "/stream") as reader:
        assert await held.recv() == "held"
        await reader.readuntil(b"event: tick")
        code = await served.ends(signal.SIGTERM)
        assert code == 0 and ended_by_itself(served)
        with pytest.raises(ConnectionClosed):
            await held.recv()
        assert held.close_code == 1012
        await reader.read()  # to its end


async def test_a_request_under_way_is_answered_before_the_end(serve: Serve):
    served = await serve()
    async with streaming(await served.url(), "/slow") as reader:
        await asyncio.sleep(0)
        await served_has_begun(served)
        code = await served.ends(signal.SIGTERM)
        assert code == 0 and b"done" in await reader.read()


async def served_has_begun(served: Served) -> None:
    """Another answer, so that the one asked for before is being made."""
    async with streaming(await served.url(), "/api/v1/health/lite") as reader:
        await reader.readline()


async def test_who_does_not_let_go_is_cut_off_in_order(serve: Serve):
    served = await serve()
    url = (await served.url()).replace("http", "ws")
    async with connect(url + "/stubborn") as held:
        assert await held.recv() == "held"
        code = await served.ends(signal.SIGTERM)
    assert code == 0 and any(CUT_OFF in line for line in served.lines)
    assert "let go" in served.lines  # its own clean-up ran


async def test_an_idle_kept_connection_does_not_delay_the_end(serve: Serve):
    served = await serve()
    async with streaming(await served.url(), "/api/v1/health/lite") as reader:
        await reader.readuntil(b"\r\n\r\n")
        code = await served.ends(signal.SIGTERM)
    assert code == 0 and ended_by_itself(served)


async def test_a_second_signal_ends_it_at_once(serve: Serve):
    served = await serve()
    url = (await served.url()).replace("http", "ws")
    async with connect(url + "/stubborn") as held:
        await held.recv()
        code = await served.ends(signal.SIGTERM, signal.SIGTERM)
    assert code == -signal.SIGTERM and not any(CUT_OFF in line for line in served.lines)


async def test_a_loop_that_hangs_is_given_up_on_within_ten_seconds(serve: Serve):
    served = await serve()
    async with streaming(await served.url(), "/stuck"):
        await served.line("stuck")
        code = await served.ends(signal.SIGTERM)
    assert code == 1 and any("giving up" in line for line in served.lines)
    assert DRAIN + 1 + STOP < LAST_RESORT < 10
