"""What authenticators remember: no trip to the database for a known credential, and nothing stale for long."""

from __future__ import annotations

import asyncio

import pytest

from roci import Actor, Roci
from roci_plugins.auth.recall import Recall
from roci_plugins.domain import principals
from roci_plugins.domain.credentials import Proven
from roci_plugins.domain.principals import NewPrincipal


class Desk:
    """Verifies secrets that begin with an a, and counts."""

    def __init__(self, roci: Roci) -> None:
        self.asked: list[str] = []
        self.touched: list[str] = []
        self.stale = False
        self.recall = Recall(roci, self.verify, self.touched.append)

    def verify(self, secret: str) -> Proven | None:
        self.asked.append(secret)
        return Proven(secret, Actor(secret, secret), self.stale) if secret.startswith("a") else None


@pytest.fixture
def desk(roci: Roci) -> Desk:
    return Desk(roci)


async def test_a_known_credential_is_verified_once(desk: Desk):
    assert [await desk.recall.actor("ann") for _ in range(5)] == [Actor("ann", "ann")] * 5
    assert desk.asked == ["ann"]


async def test_an_unknown_one_is_verified_each_time(desk: Desk):
    assert [await desk.recall.actor("bob") for _ in range(2)] == [None, None]
    assert desk.asked == ["bob", "bob"]


async def test_what_another_process_changed_is_seen_after_a_moment(desk: Desk):
    desk.recall.age = 0.0
    await desk.recall.actor("ann")
    await desk.recall.actor("ann")
    assert desk.asked == ["ann", "ann"]


async def test_any_change_of_a_principal_makes_it_forget(roci: Roci, desk: Desk):
    heard: list[object] = []
    events = roci.subscribe(principals.PrincipalAdded)
    waiting = asyncio.create_task(anext(events))
    await asyncio.wait({waiting}, timeout=0.01)  # it is subscribed once it has begun to wait
    await desk.recall.actor("ann")
    await roci.write(principals.add, NewPrincipal("cleo"))
    heard.append(event := await waiting)
    desk.recall.heard(event)
    await desk.recall.actor("ann")
    assert desk.asked == ["ann", "ann"]
    await events.aclose()


async def test_what_ends_while_it_is_being_read_is_not_remembered(desk: Desk):
    async def end_meanwhile() -> None:
        desk.recall.heard(principals.PrincipalDisabled("ann", "ann"))

    await asyncio.gather(desk.recall.actor("ann"), end_meanwhile())
    await desk.recall.actor("ann")
    assert desk.asked == ["ann", "ann"]


async def test_the_use_of_a_stale_one_is_written_down(desk: Desk):
    desk.stale = True
    await desk.recall.actor("ann")
    async with asyncio.timeout(30):
        while not desk.touched:
            await asyncio.sleep(0)
    assert desk.touched == ["ann"]


async def test_what_is_remembered_has_a_bound(desk: Desk):
    desk.recall.most = 3
    for number in range(10):
        await desk.recall.actor(f"a{number}")
    assert len(desk.recall._known) == 3
