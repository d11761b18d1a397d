"""Who an agent is to a server that knows it no more: over the real hub."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.journal import Identity, Journal
from roci_plugins.agent.local import pipe
from roci_plugins.agent.scripted import scripted_agent, until
from roci_plugins.agent.worker import AgentSettings, Worker
from roci_plugins.domain import hostkeys, hosts
from roci_plugins.work import enrol


class Engine:
    async def containers(self) -> list[dict[str, Any]]:
        return []


async def meet(roci: Roci, worker: Worker) -> str:
    """Let a worker register with this server's hub and hear the answer; the id it is known by."""
    here, there = pipe()
    served = asyncio.create_task(roci.part(Hub).serve(there))
    talking = asyncio.create_task(worker.converse(here))
    worker.status = "unknown"
    await until(lambda: worker.status != "unknown")
    (known,) = roci.part(Hub).roster.values()
    await until(lambda: known.reported is not None or known.host.status != "approved")
    await here.close(1000, "")
    await asyncio.gather(served, talking, return_exceptions=True)
    return str(known.host.id)


async def test_an_agent_with_a_token_nobody_knows_is_one_pending_host_until_it_is_approved(
    roci: Roci, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    journal.remember(Identity("00000000-0000-4000-8000-000000000000", "t" * 64))
    worker = Worker(AgentSettings(name="h1"), journal, Engine(), {}, {})
    first = await meet(roci, worker)
    assert worker.status == "pending"
    assert [await meet(roci, worker) for _ in range(2)] == [first, first]
    await enrol.approve(roci, first)
    assert await meet(roci, worker) == first and worker.status == "approved"
    assert journal.identity().agent_id == first and journal.identity().agent_token != "t" * 64
    assert await meet(roci, worker) == first
    assert roci.part(Hub).roster[first].host.token_presented


async def test_nobody_is_a_host_without_the_token_that_its_agent_keeps(roci: Roci, tmp_path: Path) -> None:
    worker = Worker(AgentSettings(name="h1"), Journal(tmp_path), Engine(), {}, {})
    first = await meet(roci, worker)
    await enrol.approve(roci, first)
    assert await meet(roci, worker) == first
    ours = await roci.read(hosts.get, first)
    assert ours.token_presented
    async with scripted_agent(roci) as impostor:
        answer = await impostor.register("h1", ip_address=ours.declared_ip, protocol=2, capabilities=["ack"])
        assert answer["status"] == "pending" and impostor.agent_id != first and "agent_token" not in answer
    await roci.write(hosts.remove, impostor.agent_id)
    await until(lambda: impostor.agent_id not in roci.part(Hub).roster)
    assert await meet(roci, worker) == first and worker.status == "approved"


async def test_an_agent_that_has_no_token_closes_no_record_by_saying_that_it_keeps_one(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await agent.say("token_kept")
        await agent.say("ping")
        assert await agent.hear() == {"type": "pong"}
    assert not (await roci.read(hosts.get, agent.agent_id)).token_presented


async def test_an_agent_with_a_key_is_the_host_that_the_key_is_of(roci: Roci, tmp_path: Path) -> None:
    expected = await roci.write(hosts.expect, "nas")
    _, key = await roci.write(hostkeys.issue, expected.id)
    journal = Journal(tmp_path)
    journal.remember(Identity("00000000-0000-4000-8000-000000000000", "t" * 64))
    worker = Worker(AgentSettings(name="h1", key=key), journal, Engine(), {}, {})
    assert await meet(roci, worker) == expected.id and worker.status == "approved"
