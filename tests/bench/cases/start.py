"""From nothing to the first healthy answer, against the bare import of the libraries; and `roci --help`."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import ground
from table import Figure, median, ms, times

# What a server has loaded when it first answers, as far as it is not Python's own or comes along with these.
LIBRARIES = ("quart", "hypercorn.asyncio", "peewee", "pydantic", "msgspec", "pluggy", "click", "yaml", "docker")
LIBRARIES += ("dns.asyncresolver", "argon2", "pyotp")


def run(quick: bool) -> Iterator[Figure]:
    rounds = 3 if quick else 9
    yield _help(rounds)
    yield from _start(rounds)


def _help(rounds: int) -> Figure:
    roci = str(Path(sys.executable).with_name("roci"))
    helped, bare = _in_turns(rounds, [roci, "--help"], [sys.executable, "-c", "pass"])
    return Figure("roci --help, against python -c pass", ms(helped), ms(bare), **times(helped, bare, 10))


def _start(rounds: int) -> Iterator[Figure]:
    with ground.server() as server:
        loaded = set(ground.client(server).get("/bench/modules")[1]["modules"])
    libraries = [name for name in LIBRARIES if name in loaded]
    imports = [sys.executable, "-c", f"import {', '.join(libraries)}"]
    with tempfile.TemporaryDirectory(prefix="roci-bench-") as folder:
        again = _until_healthy(Path(folder))  # the first start makes the database
        taken, bare = [], []
        for _ in range(rounds):
            taken.append(_until_healthy(Path(folder)))
            bare.append(_seconds(imports))
    cold, imported = median(taken), median(bare)
    yield Figure(
        "cold start to the first healthy answer, against importing its libraries",
        ms(cold),
        ms(imported),
        **times(cold, imported, 2),
    )
    yield Figure("the very first start, which makes the database", ms(again), ms(imported), **times(again, imported))


def _until_healthy(folder: Path) -> float:
    """Seconds until /api/v1/health answers; the server is stopped then."""
    port = ground.free_port()
    process = ground.Server(folder, bind=f"127.0.0.1:{port}", local_agent=False)
    began = time.perf_counter()
    with process.log.open("ab") as log:
        process.process = subprocess.Popen(process.argv, env=process.environment, stdout=log, stderr=log)
    try:
        while not _is_healthy(f"http://127.0.0.1:{port}"):
            assert process.is_running, process.output
            time.sleep(0.002)
        return time.perf_counter() - began
    finally:
        process.process.terminate()
        process.process.wait(15)


def _is_healthy(url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/api/v1/health/lite")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _in_turns(rounds: int, *commands: Sequence[str]) -> list[float]:
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds + 1):
        for times_of_it, command in zip(taken, commands, strict=True):
            times_of_it.append(_seconds(command))
    return [median(each[1:]) for each in taken]  # the first fills the caches


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCI_")}
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    return time.perf_counter() - began
