"""What a link sends, in which order, and what it keeps meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from roci import NotReady
from roci_plugins.agent import wire
from roci_plugins.agent.link import WAITING, Link

REGISTER = wire.Register(hostname="nas", ip_address="10.0.0.5", volume_base="/data")
PONG = wire.encode(wire.Pong())


class Peer:
    """A channel whose other end reads when it is let."""

    peer, forwarded_for = "10.0.0.5", None

    def __init__(self) -> None:
        self.reads, self.taken = asyncio.Event(), asyncio.Queue[str]()

    async def receive(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, text: str) -> None:
        await self.reads.wait()
        self.taken.put_nowait(text)

    async def close(self, code: int, reason: str) -> None:
        await self.send(f"{code} {reason}")


@contextlib.asynccontextmanager
async def session(peer: Peer):
    """A link, and the task that serves it."""
    made: asyncio.Future[Link] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        made.set_result(link := Link(peer, REGISTER))
        try:
            await peer.receive()
        finally:
            await link.end()

    task = asyncio.create_task(serve())
    yield await made, task
    task.cancel()
    await asyncio.wait({task})


def sending() -> int:
    return sum(task.get_name() == "link" for task in asyncio.all_tasks())


async def test_a_link_has_a_task_only_while_it_sends() -> None:
    async with session(peer := Peer()) as (link, _):
        assert sending() == 0
        for _ in range(2):
            link.send(wire.Pong())
            assert sending() == 1
            peer.reads.set()
            assert await peer.taken.get() == PONG
            peer.reads.clear()
            while sending():
                await asyncio.sleep(0)
        assert not link.closing


async def test_what_was_said_before_a_link_is_closed_goes_out_first_and_then_the_session_ends() -> None:
    async with session(peer := Peer()) as (link, task):
        link.send(wire.Pong())
        link.close(4000, "bye")
        with pytest.raises(NotReady):
            link.send(wire.Pong())
        peer.reads.set()
        await asyncio.wait({task})
        assert [peer.taken.get_nowait(), peer.taken.get_nowait()] == [PONG, "4000 bye"]


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async with session(Peer()) as (link, task):
        for _ in range(WAITING):
            link.send(wire.Pong())
        with pytest.raises(NotReady, match="does not read"):
            link.send(wire.Pong())
        await asyncio.wait({task})
        assert task.cancelled() and link.closing


async def test_a_silent_link_whose_session_ends_is_closed() -> None:
    async with session(Peer()) as (link, task):
        task.cancel()
        await asyncio.wait({task})
        assert link.closing
