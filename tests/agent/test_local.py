"""This machine as a host: the link inside the process, and what keeps it up."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, cast

import pytest

from roci import Settings
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.journal import Journal
from roci_plugins.agent.local import Pipe, keep_connected, pipe
from roci_plugins.agent.runner import worker_of
from roci_plugins.agent.worker import AgentSettings, Worker


class Engine:
    async def containers(self) -> list[dict[str, Any]]:
        return []


class FailingHub:
    """Fails at the first connection, serves the second, and removes the host."""

    def __init__(self) -> None:
        self.served = 0

    async def serve(self, channel: Pipe, local: bool = False) -> None:
        assert local
        self.served += 1
        await channel.receive()
        if self.served == 1:
            raise RuntimeError("a defect")
        await channel.close(wire.DELETED, "this host was removed")


async def test_the_first_reason_to_close_is_the_one_both_ends_hear() -> None:
    here, there = pipe()
    await there.close(wire.DELETED, "")
    await there.close(wire.TRY_LATER, "")
    for end in (here, there):
        with pytest.raises(wire.Closed) as closed:
            await end.receive()
        assert closed.value.code == wire.DELETED


async def test_this_machine_comes_back_after_a_defect_and_goes_when_it_is_removed(tmp_path: Path) -> None:
    worker = Worker(AgentSettings(name="h1"), Journal(tmp_path), Engine(), {}, {})
    hub = FailingHub()
    async with asyncio.timeout(30):
        await keep_connected(worker, cast(Hub, hub))
    assert hub.served == 2


async def test_a_disk_that_takes_nothing_does_not_end_the_link_for_good(tmp_path: Path) -> None:
    class Forgetful(FailingHub):
        async def serve(self, channel: Pipe, local: bool = False) -> None:
            self.served += 1
            await channel.receive()
            if self.served == 1:  # a token, which cannot be written down
                (tmp_path / "state").rename(tmp_path / "elsewhere")
                answer = wire.RegistrationResponse(status="approved", agent_id="id-1", agent_token="t")
                await channel.send(wire.encode(answer))
                with contextlib.suppress(wire.Closed):
                    while True:
                        await channel.receive()
            await channel.close(wire.DELETED, "")

    hub = Forgetful()
    worker = Worker(AgentSettings(name="h1"), Journal(tmp_path / "state"), Engine(), {}, {})
    async with asyncio.timeout(30):
        await keep_connected(worker, cast(Hub, hub))
    assert hub.served == 2


async def test_heartbeats_ask_the_engine_that_docker_host_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As deploys do: with an engine elsewhere, a host whose heartbeats asked the usual socket would know nothing."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/elsewhere.sock")
    mine = AgentSettings(server="http://127.0.0.1:1", state_dir=str(tmp_path / "state"))
    heartbeat = await worker_of(Settings(data_dir=str(tmp_path)), mine).heartbeat()
    assert heartbeat.engine_error is not None and f"{tmp_path}/elsewhere.sock" in heartbeat.engine_error
