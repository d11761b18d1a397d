"""A deploy on a real engine through server and agent, against bare `docker compose up -d`, in turns."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ground
from cases.memory import agent_of
from table import Figure, at_most, median, ms, percentile

import roci  # noqa: F401 - first: it mounts the plugins of a checkout
from roci_plugins.agent.commands.compose_cli import candidates
from tests.e2e.bed import unique

AGENTS = 100  # others, which beat meanwhile


def run(quick: bool) -> Iterator[Figure]:
    from tests.e2e import engines

    address = engines.find_engine()
    image = engines.make_image(engines.connect(address))
    cli = candidates()[0]
    with (
        tempfile.TemporaryDirectory(prefix="roci-bench-") as folder,
        ground.server() as server,
        agent_of(server) as agent,
        ground.fleet(server.url, AGENTS) as fleet,
    ):
        fleet.order("beat", interval=15)
        bench = _Deploys(server, agent.name, image, cli, Path(folder))
        try:
            yield from _figures(bench, 7 if quick else 20)
        finally:
            bench.clean_up()


class _Deploys:
    """One application that ROCI deploys, and its twin that Compose puts up by itself."""

    def __init__(self, server: ground.Server, hostname: str, image: str, cli: str, folder: Path) -> None:
        self._client = ground.client(server)
        compose = f"services:\n  web:\n    image: {image}\n    stop_signal: SIGKILL\n"
        (folder / "docker-compose.yml").write_text(compose)
        self._names = {"bare": unique("bench-bare"), "roci": unique("bench-roci")}
        self._compose = [cli, "--ansi", "never", "--progress", "plain"]
        self._file = ["-f", str(folder / "docker-compose.yml")]
        _, body = self._client.get("/api/v1/agents")
        host = next(each["id"] for each in body["agents"] if each["hostname"] == hostname)
        new = {"name": self._names["roci"], "compose_yaml": compose, "agent_id": host}
        status, body = self._client.post("/api/v1/applications", new)
        assert status == 201, body
        self._id = body["id"]

    def up(self) -> float:
        """Seconds of `docker compose up -d`."""
        return self._run("up", "-d", "--remove-orphans")

    def _run(self, *words: str) -> float:
        began = time.perf_counter()
        argv = [*self._compose, *self._file, "-p", self._names["bare"], *words]
        subprocess.run(argv, check=True, capture_output=True)
        return time.perf_counter() - began

    def roci(self) -> float:
        """Seconds from the request until the event that the deploy has ended, with its result stored."""
        began = time.perf_counter()
        status, body = self._client.post(f"/api/v1/applications/{self._id}/deploy", {})
        assert status == 202, body
        ground.ended(self._client, body["operation_id"])
        return time.perf_counter() - began

    def clean_up(self) -> None:
        for name in self._names.values():
            subprocess.run([*self._compose, "-p", name, "down"], check=False, capture_output=True)


def _figures(bench: _Deploys, rounds: int) -> Iterator[Figure]:
    bare_first, first = bench.up(), bench.roci()
    yield Figure(
        "the first deploy of one service, against docker compose up -d",
        ms(first),
        ms(bare_first),
        f"{(first - bare_first) * 1000:+.0f} ms",
    )
    turns = [(bench.up(), bench.roci()) for _ in range(rounds)]
    up, through = (median(each) for each in zip(*turns, strict=True))
    yield Figure(
        f"a deploy of one unchanged service, {AGENTS} other agents beating, against docker compose up -d",
        ms(through),
        ms(up),
        f"{through / up:.2f} x",
    )
    own = [total - alone for alone, total in turns]
    yield Figure("what a deploy takes beyond that: median", ms(median(own)), ms(up), f"{median(own) / up:.0%}")
    worst = percentile(own, 95)
    yield Figure("the same, p95", ms(worst), **at_most(worst * 1000, 10, "ms"))
