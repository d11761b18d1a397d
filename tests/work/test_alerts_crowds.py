"""A host that has very much to complain of costs the others nothing: crowds are told as one, and hosts take turns."""

from __future__ import annotations

from typing import Any

import pytest

from roci import Roci
from roci_plugins.agent.hub import Live
from roci_plugins.agent.wire import Container
from roci_plugins.domain import alerts, hosts
from roci_plugins.domain.alerts import Fire, Resolve
from roci_plugins.domain.hosts import Host, Introduction
from roci_plugins.work.alerts import changes
from roci_plugins.work.alerts.changes import Changes
from roci_plugins.work.alerts.live import MOST, Judge
from roci_plugins.work.alerts.rules import Key

UP, DOWN = ("running", "Up 5 minutes"), ("exited", "Exited (1) 1 second ago")
CROWD = MOST + 30


@pytest.fixture
def judge(roci: Roci) -> Judge:
    judge = roci.part(Judge)
    judge.settings.stopped_after = 0
    return judge


def added(name: str) -> Host:
    return hosts.decide(hosts.add(Introduction(name, "10.0.0.1", "10.0.0.1", "10.0.0.1")), "approved", None, "test")


def see(judge: Judge, live: Live, *states: tuple[str, str]) -> None:
    judge._see(live, [Container(id=f"{at:012}", name=f"c{at}", status=a, state=b) for at, (a, b) in enumerate(states)])


async def open_alerts(roci: Roci) -> list[Any]:
    await roci.part(Judge).board.flush()
    return (await roci.read(alerts.list_, "active", limit=1000))[0]


async def test_a_crowd_of_containers_is_told_as_one_until_there_is_room(roci: Roci, judge: Judge) -> None:
    live = Live(await roci.write(added, "nas"))
    roci.part(Judge)._hub.roster[live.host.id] = live
    see(judge, live, *[UP] * CROWD)
    see(judge, live, *[DOWN] * CROWD)
    found = await open_alerts(roci)
    assert len(found) == MOST + 1
    (crowd,) = (alert for alert in found if not alert.subject)
    assert (crowd.type, crowd.severity) == ("container_stopped", "critical")
    assert crowd.message == "nas has 30 more containers that stopped"
    see(judge, live, *[UP] * 40, *[DOWN] * 40)
    see(judge, live, *[UP] * 40, *[DOWN] * 40)  # or the sweep, which finds the same
    assert {alert.subject for alert in await open_alerts(roci)} == {f"c{at}" for at in range(40, CROWD)}
    see(judge, live, *[UP] * CROWD)
    assert await open_alerts(roci) == []


async def test_what_is_resolved_by_hand_makes_room_for_others(roci: Roci, judge: Judge) -> None:
    live = Live(await roci.write(added, "nas"))
    see(judge, live, *[UP] * CROWD)
    see(judge, live, *[DOWN] * CROWD)
    for alert in await open_alerts(roci):
        await roci.write(alerts.resolve, alert.id)
    see(judge, live, *[DOWN] * CROWD)
    assert len(await open_alerts(roci)) == 30


def fire(host: str, type: str = "container_stopped", subject: str = "web", threshold: str | None = None) -> Fire:
    return Fire(host, type, "critical", "it is bad", subject, threshold)


def put(waiting: Changes, found: Fire) -> None:
    waiting.add(Key(found.host_id, found.type, found.subject, found.threshold_id), found)


def test_hosts_take_turns_and_what_is_of_whole_hosts_goes_first() -> None:
    waiting = Changes()
    for number in range(100):
        put(waiting, fire("loud", subject=f"c{number}"))
    put(waiting, fire("calm", "container_unhealthy"))
    put(waiting, fire("calm", "container_stopped"))
    put(waiting, fire("calm", "cpu", "", "t1"))
    put(waiting, fire("gone", "host_offline", ""))
    first = [(found.key.host_id, found.key.type) for found in waiting.take(4)]
    assert first == [
        ("calm", "cpu"),
        ("gone", "host_offline"),
        ("loud", "container_stopped"),
        ("calm", "container_stopped"),
    ]
    assert len(waiting.take(1000)) == 100 and not waiting


def test_what_could_not_be_written_comes_again_in_order() -> None:
    waiting = Changes()
    for subject in "abc":
        put(waiting, fire("h", subject=subject))
    waiting.put_back(waiting.take(2))
    assert [found.key.subject for found in waiting.take(3)] == ["a", "b", "c"]


def test_a_host_with_too_much_waiting_is_told_of_nothing_new_and_what_is_over_is_left_out() -> None:
    waiting, key = Changes(), Key("h", "container_stopped", "c0")
    begun = [fire("h", subject=f"c{number}") for number in range(changes.MOST[1])]
    assert not waiting.withdraw(key, begun[0].id)
    for each in begun:
        put(waiting, each)
    assert waiting.is_full(key) and not waiting.is_full(key._replace(host_id="other"))
    assert waiting.withdraw(key, begun[0].id) and not waiting.is_full(key)
    put(waiting, begun[0])
    waiting.add(key, Resolve(begun[0].id))
    assert waiting.withdraw(key, begun[0].id), "the end goes with its beginning"
    assert len(waiting.take(1000)) == changes.MOST[1] - 1
    assert not waiting.withdraw(key, "written long ago")


async def test_a_host_that_flaps_without_end_keeps_little_waiting(roci: Roci, judge: Judge) -> None:
    live = Live(await roci.write(added, "nas"))
    for _ in range(20):
        see(judge, live, *[UP] * CROWD)
        see(judge, live, *[DOWN] * CROWD)
    assert len(judge.board._changes.take(100_000)) <= changes.MOST[1] + MOST + 1
