from __future__ import annotations

import asyncio

import pytest

from roci import StartupError, Unavailable
from roci_plugins.agent.abilities import Abilities, allowed


def test_the_allowed_are_all_but_a_few_and_what_was_changed_by_name() -> None:
    known = ["deploy", "cancel", "exec", "reboot"]
    assert allowed(known, []) == ["deploy", "cancel"]
    assert allowed(known, ["exec", "-cancel"]) == ["deploy", "exec"]
    with pytest.raises(StartupError, match="reboott is unknown"):
        allowed(known, ["reboott"])


def test_what_this_version_cannot_do_may_be_allowed_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert allowed(["deploy", "cancel"], ["exec", "reboot", "-terminal"]) == ["deploy", "cancel"]
    assert caplog.messages == ["agent.allow: this version has no exec, reboot yet"]


class Engine:
    def __init__(self, manages: bool | None) -> None:
        self.manages = manages
        self.asked = 0

    async def check(self) -> bool:
        self.asked += 1
        if self.manages is None:
            raise Unavailable("the engine does not answer")
        return self.manages


async def test_what_depends_on_how_things_are_is_offered_while_it_can_be_done() -> None:
    engine = Engine(False)
    abilities = Abilities(["deploy", "backend:swarm"], [], {"backend:swarm": engine.check})
    assert not await abilities.look() and abilities.offered == ["deploy"]
    engine.manages = True
    assert await abilities.look() and abilities.offered == ["deploy", "backend:swarm"]
    engine.manages = None
    assert not await abilities.look() and abilities.offered == ["deploy", "backend:swarm"], "as it was"
    engine.manages = False
    assert await abilities.look() and abilities.offered == ["deploy"]
    assert abilities.allowed == ["deploy", "backend:swarm"]


async def test_a_change_is_waited_for() -> None:
    engine = Engine(False)
    abilities = Abilities(["backend:swarm"], [], {"backend:swarm": engine.check}, look=0)
    waiting = asyncio.create_task(abilities.changed())
    async with asyncio.timeout(30):
        while engine.asked < 3:
            await asyncio.sleep(0)
        assert not waiting.done()
        engine.manages = True
        await waiting


async def test_what_is_not_allowed_is_not_asked_about() -> None:
    engine = Engine(True)
    abilities = Abilities(["backend:swarm"], ["-backend:swarm"], {"backend:swarm": engine.check})
    assert not await abilities.look() and engine.asked == 0 and abilities.offered == []
