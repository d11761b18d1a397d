"""Who comes and goes, and who is refused at the socket, in the event log."""

from __future__ import annotations

from typing import Any

import pytest

from roci import Roci, Unavailable
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import events, hostkeys, policies, presence
from roci_plugins.domain.events import Recorded
from roci_plugins.work import refusals
from roci_plugins.work.presence import Presence


@pytest.fixture
async def open_door(roci: Roci) -> None:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")


async def log(roci: Roci, *names: str) -> list[Recorded]:
    """The rows of these events, the oldest first."""
    await roci.part(Presence).flush()
    rows: list[Recorded] = (await roci.read(events.list_, 100, 0))[0]
    return [row for row in reversed(rows) if row.name in names]


async def passages(roci: Roci) -> list[Recorded]:
    return await log(roci, "HostConnected", "HostDisconnected")


async def gone(roci: Roci, agent: ScriptedAgent) -> None:
    live = roci.part(Hub).roster[agent.agent_id]
    await until(lambda: not live.is_connected)


async def test_a_host_comes_and_goes(roci: Roci, open_door: None) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas", ip_address="10.0.0.7")
        await agent.hang_up()
        await gone(roci, agent)
    came, went = await passages(roci)
    assert (came.name, came.noun, came.subject_id, came.actor_name) == ("HostConnected", "host", agent.agent_id, "nas")
    assert came.data["count"] == 1 and came.data["from_address"]
    assert (went.name, went.data["code"]) == ("HostDisconnected", 1006)
    assert went.data["reason"] == "the connection was lost"


async def test_why_it_went_is_said(roci: Roci, open_door: None) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await agent.say("register", hostname="nas")
        assert await agent.closed() == wire.MALFORMED
        await gone(roci, agent)
    assert [(row.data["code"], row.data["reason"]) for row in (await passages(roci))[1:]] == [
        (wire.MALFORMED, "already registered")
    ]


async def test_a_host_that_waits_for_a_decision_is_not_told_of(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("stranger")
        await agent.hang_up()
        await gone(roci, agent)
    assert await passages(roci) == []


async def test_what_cannot_be_written_is_written_later(
    roci: Roci, open_door: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise Unavailable("the disk is full")

    async with scripted_agent(roci) as agent:
        with monkeypatch.context() as patch:
            patch.setattr(presence, "record", full)
            await agent.register("nas")
            with pytest.raises(Unavailable):
                await roci.part(Presence).flush()
        assert [row.name for row in await passages(roci)] == ["HostConnected"]


async def test_many_that_come_at_once_are_one_write(roci: Roci, open_door: None) -> None:
    writes = []
    write = roci.store.write

    async def counted(fn: Any, *args: Any, **more: Any) -> Any:
        writes.append(fn)
        return await write(fn, *args, **more)

    for number in range(20):
        roci.part(Presence)._passages.note(presence.HostConnected(str(number), "h", ""), 0.0)
    roci.store.write = counted  # type: ignore[method-assign]
    assert len(await passages(roci)) == 20
    assert writes.count(presence.record) == 1


async def test_keys_that_are_refused_at_the_socket_are_told_of(roci: Roci, open_door: None) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
    row, secret = await roci.write(hostkeys.issue, agent.agent_id, "k", None)
    await roci.write(hostkeys.deactivate, row.id)
    for token in (str(secret), "chatops_" + "x" * 43):
        async with scripted_agent(roci, peer="10.9.9.9") as other:
            await other.say("register", hostname="liar", agent_token=token)
            assert await other.closed() == wire.REJECTED
    await refusals.flush(roci, everything=True)
    revoked, unknown = sorted(await log(roci, "AttemptRefused"), key=lambda row: -len(row.data["host_id"]))
    assert (revoked.data["host_id"], unknown.data["host_id"]) == (agent.agent_id, "")
    for each in (revoked, unknown):
        assert (each.outcome, each.address, each.data["tried"]) == ("refused", "10.9.9.9", "liar")
        assert "unknown, expired or revoked" in each.data["reason"] and "chatops_" not in str(each.data)
