"""What the benches stand on: a server for each, fleets of simulated agents, requests, and what /proc says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.bed import Client, Process, Server

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(environment: Mapping[str, str] | None = None, local_agent: bool = False) -> Iterator[Server]:
    """`roci serve` with every built-in plugin and the yardstick, on a data folder that goes with the block."""
    with tempfile.TemporaryDirectory(prefix="roci-bench-", ignore_cleanup_errors=True) as folder:
        settings = {"ROCI_PLUGINS_DIR": str(HERE / "plugins"), "ROCI_LOG_LEVEL": "warning", **(environment or {})}
        process = Server(Path(folder), local_agent=local_agent, environment=settings)
        try:
            process.start()
            yield process
            complaints = [line for line in process.output.splitlines() if " WARNING " in line or " ERROR " in line]
            for line in complaints[:5]:
                print(f"the server said: {line}", file=sys.stderr)
        finally:
            process.end()


def token(process: Server) -> str:
    """The API token that the yardstick made, an administrator's."""
    return (process.data_dir / "bench-token").read_text()


def client(process: Server) -> Client:
    """Signed in with it."""
    signed_in = Client(process.url)
    signed_in.session.headers["Authorization"] = f"Bearer {token(process)}"
    return signed_in


def admit_all(process: Server) -> None:
    """Let the policies approve any agent."""
    policy = {"name": "bench", "priority": 0, "match_type": {"type": "any"}, "action": "approve"}
    status, body = client(process).post("/api/v1/policies", policy)
    assert status == 201, body


class Bare(Process):
    """The yardstick server: the same libraries, nothing of ROCI."""

    def __init__(self, folder: Path) -> None:
        super().__init__([sys.executable, str(HERE / "bare.py")], folder / "bare.log", {})
        self.url = ""

    def start(self) -> None:
        super().start()
        self.url = self.wait_for_output(r"ready on (\S+)")[1]


@contextlib.contextmanager
def bare() -> Iterator[Bare]:
    with tempfile.TemporaryDirectory(prefix="roci-bench-") as folder:
        process = Bare(Path(folder))
        try:
            process.start()
            yield process
        finally:
            process.end()


class Fleet:
    """Simulated agents in a process of their own, connected. Orders are those of agents.py."""

    def __init__(self, url: str, count: int, *options: str) -> None:
        argv = [sys.executable, str(HERE / "agents.py"), "--controlled", "--url", url, "--agents", str(count)]
        self._process = subprocess.Popen([*argv, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, name: str, **values: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": name, **values}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the simulated agents ended at {name!r}"
        return dict(json.loads(answer))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def fleet(url: str, count: int, *options: str) -> Iterator[Fleet]:
    agents = Fleet(url, count, *options)
    try:
        answer = agents.order("connect")
        assert answer["connected"] == count, f"{answer['connected']} of {count} agents were approved"
        yield agents
    finally:
        agents.end()


# --- what the kernel says of a process ---


def rss(process: Process) -> int:
    """Bytes of memory that a process and its children hold."""
    assert process.process
    return sum(_status(pid, "VmRSS") * 1024 for pid in [process.process.pid, *_children(process.process.pid)])


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return int(found[1])


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu(process: Process) -> float:
    """Seconds of processor time that a process has used, all threads, both modes."""
    assert process.process
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# --- requests ---


class Asking:
    """One kept-alive connection that asks for the same path again and again, with as little work as possible."""

    def __init__(self, url: str, path: str, headers: Mapping[str, str]) -> None:
        self._where = urlsplit(url)
        lines = [f"GET {path} HTTP/1.1", f"Host: {self._where.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._request = "\r\n".join([*lines, "", ""]).encode()

    async def open(self) -> None:
        where = self._where
        self._reader, self._writer = await asyncio.open_connection(where.hostname, where.port, limit=2**22)

    async def ask(self) -> float:
        """Seconds to the last byte of the answer."""
        began = time.perf_counter()
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length, head
        await self._reader.readexactly(int(length[1]))
        taken = time.perf_counter() - began
        if b"connection: close" in head.lower():  # Hypercorn ends a connection after a thousand requests
            self.close()
            await self.open()
        return taken

    def close(self) -> None:
        self._writer.close()


def ask_for(url: str, path: str, headers: Mapping[str, str], seconds: float, connections: int = 8) -> list[float]:
    """How long each of many requests took; their number is the rate times the seconds."""

    async def one(deadline: float) -> list[float]:
        asking = Asking(url, path, headers)
        await asking.open()
        taken = []
        while time.perf_counter() < deadline:
            taken.append(await asking.ask())
        asking.close()
        return taken

    async def all_of_them() -> list[float]:
        deadline = time.perf_counter() + seconds
        return [*itertools.chain(*await asyncio.gather(*(one(deadline) for _ in range(connections))))]

    return asyncio.run(all_of_them())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def timed(client: Client, path: str) -> float:
    """Seconds that one request takes, with the connection of a client that has one."""
    began = time.perf_counter()
    status, body = client.get(path)
    assert status == 200, body
    return time.perf_counter() - began


def ended(client: Client, operation_id: str) -> dict[str, Any]:
    """The operation, once it has ended: its event stream says when."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        operation = _followed(client, operation_id)
        if operation["status"] != "running":
            assert operation["status"] == "succeeded", operation
            return operation
    raise AssertionError(f"the operation {operation_id} does not end")


def _followed(client: Client, operation_id: str) -> dict[str, Any]:
    """What the `end` of an operation's event stream says."""
    path = f"{client.url}/api/v1/operations/{operation_id}/output"
    with client.session.get(path, stream=True, timeout=60) as answer:
        event = ""
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            event = line.removeprefix("event: ") if line.startswith("event: ") else event
            if event == "end" and line.startswith("data: "):
                operation: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return operation
    raise AssertionError(f"the stream of {operation_id} ended without an end")
