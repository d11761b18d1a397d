"""The server's end of links: what watchers hear, and what they cannot break."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roci import Roci, Unavailable
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub, Live
from roci_plugins.agent.scripted import scripted_agent, until
from roci_plugins.domain import policies


class Heard:
    """A watcher that notes what it hears, and then perhaps fails."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.what: list[Any] = []

    def _note(self, what: Any) -> None:
        self.what.append(what)
        if self.fails:
            raise RuntimeError("a watcher of somebody's")

    def joined(self, live: Live) -> None:
        self._note("joined")

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        self._note(containers and [each.name for each in containers])

    def left(self, live: Live) -> None:
        self._note("left")


async def test_heartbeats_that_cannot_be_saved_are_complained_of_once_a_minute(
    roci: Roci, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: Any) -> None:
        raise Unavailable("the disk is full")

    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await agent.say("heartbeat")
        await agent.say("ping")
        await agent.hear()
        with monkeypatch.context() as patched:
            patched.setattr(roci.store, "note", full)
            roci.part(Hub)._dirty.add(agent.agent_id)
            for _ in range(3):
                await roci.part(Hub).flush()
    assert [line for line in caplog.messages if "not saved" in line] == [
        "heartbeats are not saved yet: the disk is full"
    ]


async def test_a_watcher_that_fails_costs_neither_the_link_nor_other_watchers(
    roci: Roci, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Heard(fails=True), Heard()
    roci.part(Hub).watchers += [bad, good]
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        for _ in range(3):
            await agent.say("heartbeat")
        await agent.say("ping")
        assert (await agent.hear())["type"] == "pong"
        assert roci.part(Hub).connected == 1
    await until(lambda: "left" in good.what)
    assert good.what == bad.what == ["joined", None, None, None, "left"]
    assert sum("Heard failed on nas" in line for line in caplog.messages) == 1


async def test_a_watcher_hears_of_containers_when_they_are_others_than_before(roci: Roci) -> None:
    heard = Heard()
    roci.part(Hub).watchers.append(heard)
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        for names in (["web"], ["web"], None, ["web", "db"], ["web", "db"]):
            said = names and [{"id": "a" * 12, "name": name} for name in names]
            await agent.say("heartbeat", containers=said)
        await agent.say("ping")
        await agent.hear()
    assert heard.what[1:6] == [["web"], None, None, ["web", "db"], None]


def test_what_a_container_tells_of_itself_is_cut() -> None:
    long = "x" * 100_000
    (one,) = wire.read_containers(
        f'[{{"id":"a","name":"{long}","state":"{long}","app":"{long}","ports":["80/tcp"]}}]'.encode()
    )
    assert {len(text or "") for text in (one.name, one.state, one.app)} == {wire.LONGEST_TEXT}
    assert (one.id, one.image, one.created, one.ports) == ("a", "", None, ["80/tcp"])


def test_a_containers_name_is_one_line() -> None:
    told = msgspec.json.encode([{"id": "a", "name": "n\nInjected\r\x1b[1A\u2028 é"}])
    assert [each.name for each in wire.read_containers(told)] == ["n\ufffdInjected\ufffd\ufffd[1A\ufffd é"]


@pytest.mark.parametrize("id", ["../../../hosts/x/containers/y", "..", ".a", "", "a/b", "a?b", "a%2fb", "a b", "a\n"])
def test_a_container_whose_id_no_engine_gave_is_left_out(id: str) -> None:
    told = msgspec.json.encode([{"id": id, "name": "web"}, {"id": "0123456789ab", "name": "db"}])
    assert [each.name for each in wire.read_containers(told)] == ["db"]
