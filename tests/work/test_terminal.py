"""One terminal as the server has it: how often its host is told of another size."""

from __future__ import annotations

from typing import Any, cast

import pytest

from roci import Actor, Malformed, NotReady
from roci_plugins.agent import terminal_wire as said
from roci_plugins.agent.link import Link
from roci_plugins.agent.scripted import until
from roci_plugins.work import terminal as module
from roci_plugins.work.terminal import Terminal, Wish


class Told:
    """A host's link: what it was told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.is_there = True

    def send(self, message: Any) -> None:
        if not self.is_there:
            raise NotReady("the agent is not connected")
        self.messages.append(message)

    def sizes(self) -> list[tuple[int, int]]:
        return [(each.rows, each.cols) for each in self.messages if isinstance(each, said.TerminalResize)]


@pytest.fixture
def link() -> Told:
    return Told()


@pytest.fixture
async def terminal(link: Told, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(module, "BETWEEN_SIZES", 0.01)
    ann = Actor("a1", "ann")
    return Terminal("t1", "pi", "h1", "pi", Wish(rows=30, cols=100), ann, lambda: cast(Link, link))


async def test_a_flood_of_sizes_becomes_the_first_and_the_last(terminal: Terminal, link: Told) -> None:
    for number in range(20_000):
        terminal.resize(1 + number % 999, 80)
    assert link.sizes() == [(1, 80)]
    last = 1 + 19_999 % 999
    await until(lambda: terminal._sizing is None)
    assert link.sizes() == [(1, 80), (last, 80)]


async def test_the_size_that_it_has_is_not_told_again(terminal: Terminal, link: Told) -> None:
    terminal.resize(30, 100)
    assert link.sizes() == []
    terminal.resize(31, 100)
    terminal.resize(32, 100)
    terminal.resize(31, 100)
    await until(lambda: terminal._sizing is None)
    assert link.sizes() == [(31, 100)]
    with pytest.raises(Malformed):
        terminal.resize(0, 100)


async def test_a_host_that_was_away_is_told_of_the_size_when_it_is_back(terminal: Terminal, link: Told) -> None:
    link.is_there = False
    terminal.resize(31, 100)
    terminal.lose()
    terminal.resize(40, 100)
    link.is_there = True
    terminal.resume()
    assert link.sizes() == [(40, 100)]
    assert isinstance(link.messages[0], said.TerminalResume)
