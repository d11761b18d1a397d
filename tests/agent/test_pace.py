"""How much one host may say: buckets that fill with time, and what the hub does with what comes too fast."""

from __future__ import annotations

from typing import Any

import pytest

from roci import Roci
from roci_plugins.agent import pace, wire
from roci_plugins.agent.hub import Hub, Live
from roci_plugins.agent.pace import Bucket, Pace
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import policies


def test_a_bucket_is_paid_with_time_and_never_holds_more_than_its_room() -> None:
    bucket = Bucket(10.0, 20.0)
    assert bucket.take(20.0, 100.0) == 0.0
    assert bucket.take(5.0, 100.0) == 0.5
    assert bucket.take(0.0, 100.5) == 0.0
    assert bucket.level(1000.0) == 20.0
    assert bucket.level(999.0) == 20.0, "a clock that goes back takes nothing away"


@pytest.mark.parametrize(("interval", "rate"), [(15.0, 1.0), (3.0, 1.0), (0.3, 10.0)])
def test_heartbeats_are_taken_in_once_a_second_or_thrice_in_an_interval(interval: float, rate: float) -> None:
    host = Pace(interval)
    assert sum(host.may_beat(100.0) for _ in range(100)) == pace.BEATS
    assert host.next_beat == pytest.approx(100.0 + 1 / rate)
    assert host.may_beat(host.next_beat) and not host.may_beat(host.next_beat)
    assert sum(host.may_beat(200.0 + step / rate / 10) for step in range(1000)) == pytest.approx(
        100 + pace.BEATS, abs=1
    )


def test_long_heartbeats_are_taken_in_less_often_and_the_longest_still_is() -> None:
    host = Pace(15.0)
    assert sum(host.may_beat(100.0, 4 * pace.LONG) for _ in range(10)) == 2
    assert not host.may_beat(104.0, wire.LONGEST) and host.next_beat == pytest.approx(110.0)
    assert host.may_beat(110.0, wire.LONGEST)


def test_one_frame_of_the_longest_is_read_in_a_second() -> None:
    host = Pace(15.0)
    assert sum(host.pause(wire.LONGEST, 100.0) == 0 for _ in range(5)) == 5
    assert host.pause(wire.LONGEST, 100.0) == pytest.approx(1.0)
    assert host.pause(100, 101.0) < 0.1


def test_many_short_frames_are_read_two_hundred_a_second() -> None:
    host = Pace(15.0)
    pauses = [host.pause(100, 100.0) for _ in range(1001)]
    assert pauses[999] == 0 and pauses[1000] == pytest.approx(1 / 200)


class Beats:
    """A watcher that notes the containers of each heartbeat it hears of."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def joined(self, live: Live) -> None: ...

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        self.names += [each.name for each in containers or ()]

    def left(self, live: Live) -> None: ...


async def beat(agent: ScriptedAgent, *names: str, **more: Any) -> None:
    await agent.say("heartbeat", containers=[{"id": "a" * 12, "name": name} for name in names], **more)


async def pong(agent: ScriptedAgent) -> None:
    """All that was said before is read."""
    await agent.say("ping")
    assert (await agent.hear())["type"] == "pong"


async def test_of_heartbeats_that_come_too_fast_the_newest_is_taken_in_when_it_is_time(roci: Roci) -> None:
    beats, number = Beats(), int(pace.BEATS)
    roci.part(Hub).watchers.append(beats)
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas", protocol=2)
        live = roci.part(Hub).roster[agent.agent_id]
        for each in range(number + 20):
            await beat(agent, f"c{each}", running_commands=[])
        await pong(agent)
        assert beats.names == [f"c{each}" for each in range(number)]
        version = live.version
        await beat(agent, "newest")
        await pong(agent)
        assert live.version > version, "it is alive"
        await until(lambda: len(beats.names) > number)
        assert beats.names[number:] == ["newest"] and live.held is None
        await pong(agent)


async def test_another_connection_of_a_host_is_no_way_around_its_pace(roci: Roci) -> None:
    beats, number = Beats(), int(pace.BEATS)
    roci.part(Hub).watchers.append(beats)
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    fields: dict[str, Any] = {}
    for turn in range(2):
        async with scripted_agent(roci) as agent:
            await agent.register("nas", **fields)
            fields = {"agent_id": agent.agent_id, "agent_token": agent.agent_token}
            for each in range(number):
                await beat(agent, f"c{turn}.{each}")
            await pong(agent)
    assert number <= len(beats.names) < number + 5


async def test_a_host_with_too_many_containers_keeps_the_first_and_says_so(
    roci: Roci, caplog: pytest.LogCaptureFixture
) -> None:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        live = roci.part(Hub).roster[agent.agent_id]
        for _ in range(2):
            await beat(agent, *(f"c{each}" for each in range(wire.MOST_CONTAINERS + 1)))
            await pong(agent)
            found = live.containers
            assert found and len(found) == wire.MOST_CONTAINERS and found[-1].name == f"c{wire.MOST_CONTAINERS - 1}"
            assert live.engine_error == "only 2,000 of its containers are looked at"
        assert sum("only 2,000" in line for line in caplog.messages) == 1
        await beat(agent, *(f"c{each}" for each in range(wire.MOST_CONTAINERS)))
        await pong(agent)
        assert live.engine_error is None and not live.is_crowded
