"""The host's end of terminals, on a real PTY: what goes in and comes out, how it ends, and that nothing piles up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roci import StepFailed, Unavailable
from roci_plugins.agent import terminal_wire as said
from roci_plugins.agent.engine import Engine, engine
from roci_plugins.agent.scripted import until
from roci_plugins.agent.terminals import Terminal, Terminals
from roci_plugins.agent.ttys import ContainerTty, Ttys, _members, environment, host_shell
from roci_plugins.agent.worker import Worker

from .test_worker import COMMANDS, Backend, Host


class Desk(Host):
    """A host with terminals, and what the server hears of them."""

    def __init__(self, folder: Path, allow: tuple[str, ...] = ("terminal",), keep: float = 60) -> None:
        super().__init__(folder, allow=list(allow))
        self.terminals = Terminals(Ttys(engine("unix:///nowhere")), keep)
        backends = {"compose": Backend()}
        self.worker = Worker(self.settings, self.journal, self.engine, backends, COMMANDS, terminals=self.terminals)
        self.shown, self.at, self.taken = "", 0, 0

    async def open(self, id: str = "t1", **fields: Any) -> None:
        await self.say("terminal", terminal_id=id, shell="sh", **fields)

    async def type(self, text: str, seq: int, id: str = "t1") -> None:
        await self.say("terminal_input", terminal_id=id, seq=seq, data=text)

    async def look(self) -> dict[str, Any]:
        frame = await self.hear("terminal_output")
        self.shown += frame.get("data", "")
        self.at, self.taken = frame["at"], frame.get("taken", 0)
        return frame

    async def until_shown(self, text: str) -> str:
        async with asyncio.timeout(30):
            while text not in self.shown:
                await self.look()
                await self.say("terminal_taken", terminal_id="t1", at=self.at)
        return self.shown


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.connect()
    yield desk
    await desk.worker.stop()
    await desk.end()


async def test_terminals_are_offered_only_where_the_host_says_so(tmp_path: Path) -> None:
    for allow, offered in ((("terminal",), True), ((), False)):
        desk = Desk(tmp_path / str(offered), allow)
        frame = await desk.connect()
        assert ("terminal" in frame["capabilities"]) is offered
        await desk.end()


async def test_a_host_that_does_not_allow_them_opens_none_whatever_the_server_believes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ())
    await desk.connect()
    await desk.open()
    ended = await desk.hear("terminal_ended")
    assert (ended["terminal_id"], ended["exit_code"]) == ("t1", 126) and "agent.allow" in ended["reason"]
    await desk.end()


async def test_what_is_typed_is_done_and_the_end_tells_the_exit_code(desk: Desk) -> None:
    await desk.open(rows=30, cols=101)
    await desk.type("tty && stty size && echo $((40+2))ü\n", 1)
    shown = await desk.until_shown("42ü")
    assert "/dev/pts/" in shown and "30 101" in shown and desk.taken == 1
    await desk.type("exit 7\n", 2)
    assert await desk.hear("terminal_ended") == {"type": "terminal_ended", "terminal_id": "t1", "exit_code": 7}


async def test_the_shell_is_told_of_another_size(desk: Desk) -> None:
    await desk.open()
    await desk.type("echo rea''dy\n", 1)
    await desk.until_shown("ready")
    await desk.say("terminal_resize", terminal_id="t1", rows=50, cols=132)
    await desk.type("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.05; done; echo si''zed\n", 2)
    await desk.until_shown("sized")


async def test_the_shell_sees_nothing_of_the_agents_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCI_AGENT__KEY", "supersecret")
    await desk.open()
    await desk.type("env; ps -o tty= -p $$; echo do''ne\n", 1)
    shown = await desk.until_shown("done")
    assert "supersecret" not in shown and "TERM=xterm-256color" in shown


def test_the_environment_is_a_closed_list() -> None:
    host = {"ROCI_KEY": "x", "AWS_SECRET": "y", "PATH": "/bin", "DOCKER_CONFIG": "/c"}
    found = environment("/home/a", "a", "/bin/sh", "tcp://engine:2375", host)
    assert set(found) == {
        *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TERM", "COLORTERM", "DOCKER_CONFIG", "DOCKER_HOST")
    }


@pytest.mark.parametrize("own", ["/usr/sbin/nologin", "/bin/false", "", "/no/such/shell"])
def test_a_user_without_a_shell_gets_one_that_there_is(own: str) -> None:
    assert os.path.basename(host_shell("", own)) in said.SHELLS
    assert host_shell("", "/bin/sh") == "/bin/sh"


def test_a_shell_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/bin/sh" if name == "sh" else None)
    with pytest.raises(StepFailed, match="there is no fish on this host; there is sh"):
        host_shell("fish", "/bin/sh")


async def test_a_shell_by_another_name_is_none(desk: Desk) -> None:
    await desk.say("terminal", terminal_id="t1", shell="/bin/sh -c 'rm -rf /'")
    assert "no shell is called" in (await desk.hear("terminal_ended"))["reason"]


async def test_a_flood_stops_at_the_window_and_goes_on_when_it_is_taken(desk: Desk) -> None:
    await desk.open()
    await desk.type("yes\n", 1)
    async with asyncio.timeout(30):
        while desk.at < said.WINDOW:
            await desk.look()
    (terminal,) = desk.terminals._terminals.values()
    await until(lambda: not terminal._reading)
    assert len(terminal._text) == said.WINDOW == desk.at and terminal.next() is None
    await desk.say("ping")
    await desk.hear("pong")  # others have their turn
    await desk.say("terminal_taken", terminal_id="t1", at=desk.at)
    assert (await desk.look())["at"] > said.WINDOW
    await desk.say("terminal_close", terminal_id="t1")
    await until(lambda: terminal.end)


async def test_more_input_than_was_agreed_closes_the_terminal(desk: Desk) -> None:
    await desk.open()
    await desk.type("stty raw -echo; echo rea''dy; sleep 100\n", 1)
    await desk.until_shown("ready")
    (terminal,) = desk.terminals._terminals.values()
    await until(lambda: terminal._written == 1)
    for seq in range(2, 200):
        await desk.type("x" * said.LONGEST_PIECE, seq)
    assert (await desk.hear("terminal_ended"))["reason"] == "closed"
    assert len(terminal._typed) <= said.PIECES


def running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


async def shell_with_children(desk: Desk) -> list[int]:
    """The processes of a terminal: a shell, one child in the background and one that will not hear of its end."""
    await desk.open()
    await desk.type("sleep 300 & (trap '' HUP TERM; echo rea''dy; sleep 301; sleep 302)\n", 1)
    await desk.until_shown("ready")
    (terminal,) = desk.terminals._terminals.values()
    found = list(_members(terminal._tty._process.pid))  # type: ignore[union-attr]
    assert len(found) >= 3
    return found


async def test_closing_ends_all_that_runs_in_it(desk: Desk) -> None:
    pids = await shell_with_children(desk)
    await desk.say("terminal_close", terminal_id="t1")
    assert (await desk.hear("terminal_ended"))["reason"] == "closed"
    await until(lambda: not running(pids))


async def test_it_goes_on_over_a_new_connection_where_it_was(desk: Desk) -> None:
    await desk.open()
    await desk.type("echo be''fore\n", 1)
    await desk.until_shown("before")
    (terminal,) = desk.terminals._terminals.values()
    await desk.type("sleep 0.2; echo mean''while; echo $((1+1))x\n", 2)
    await until(lambda: terminal._written == 2)
    await desk.disconnect()
    await until(lambda: "2x" in terminal._text)
    await desk.connect()
    await desk.say("terminal_resume", terminal_id="t1", at=desk.at)
    await desk.type("echo be''fore\n", 2)  # was accepted before
    assert "meanwhile" in await desk.until_shown("2x")
    assert terminal._accepted == 2 and desk.shown.count("before") == 1


async def test_nobody_coming_back_ends_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, keep=0.05)
    await desk.connect()
    pids = await shell_with_children(desk)
    await desk.disconnect()
    await until(lambda: not running(pids))
    await desk.connect()
    await desk.say("terminal_resume", terminal_id="t1", at=0)
    assert "does not have it any more" in (await desk.hear("terminal_ended"))["reason"]
    await desk.end()


async def test_an_agent_that_ends_takes_its_terminals_along(desk: Desk) -> None:
    pids = await shell_with_children(desk)
    await desk.worker.stop()
    await until(lambda: not running(pids))


async def test_what_holds_the_terminal_open_does_not_keep_it_when_its_shell_has_ended(desk: Desk) -> None:
    await desk.open()
    await desk.type("(trap '' HUP; sleep 300) & exit 3\n", 1)
    assert (await desk.hear("terminal_ended"))["exit_code"] == 3


class Gone:
    """A terminal whose shell has ended, and that cannot be ended."""

    early = b""

    def __init__(self, error: Exception) -> None:
        self.fd, self._far = os.pipe()
        self._error = error

    async def open(self, _asked: said.Terminal) -> Gone:
        return self

    async def resize(self, rows: int, cols: int) -> None: ...

    async def ended(self, _silent: asyncio.Event) -> int | None:
        os.close(self._far)
        return 7

    async def end(self) -> None:
        os.close(self.fd)
        raise self._error


@pytest.mark.parametrize("error", [Unavailable("the engine is gone"), OSError("gone")], ids=["known", "unknown"])
async def test_a_terminal_that_cannot_be_ended_is_told_to_have_ended(error: Exception) -> None:
    terminal = Terminal(said.Terminal(terminal_id="t1"), Gone(error), lambda: None)
    await asyncio.wait([terminal.task], timeout=10)
    assert terminal.end and terminal.end.exit_code == 7 and terminal.task.exception() is None


async def test_a_terminal_in_a_container_lets_go_of_an_engine_that_is_gone(tmp_path: Path) -> None:
    closed: list[bool] = []
    answer = SimpleNamespace(close=lambda: closed.append(True))
    away = Engine(f"unix://{tmp_path}/engine.sock")
    await ContainerTty(away, "0" * 12, "made", "t1", answer, -1, b"").end()
    assert closed


class Slow(Gone):
    """A terminal in a container whose engine takes its time for a size."""

    def __init__(self) -> None:
        super().__init__(OSError("gone"))
        self.sizes: list[tuple[int, int]] = []
        self.may_go_on = asyncio.Event()

    async def open(self, _asked: said.Terminal) -> Slow:
        return self

    async def resize(self, rows: int, cols: int) -> None:
        self.sizes.append((rows, cols))
        await self.may_go_on.wait()
        if len(self.sizes) == 1:
            raise Unavailable("the engine is slow")

    async def ended(self, _silent: asyncio.Event) -> int | None:
        await asyncio.Event().wait()
        return None


async def test_many_sizes_are_set_one_at_a_time_and_only_the_latest_counts() -> None:
    slow = Slow()
    terminal = Terminal(said.Terminal(terminal_id="t1"), slow, lambda: None)
    await until(lambda: terminal._tty)
    for number in range(1, 1000):
        terminal.resize(number, 80)
    await until(lambda: slow.sizes)
    assert slow.sizes == [(999, 80)]
    terminal.resize(1, 2)
    terminal.resize(3, 4)
    slow.may_go_on.set()
    assert terminal._fitting
    await asyncio.wait_for(terminal._fitting, 30)
    assert slow.sizes == [(999, 80), (3, 4)]
    terminal.close()
    await asyncio.wait([terminal.task], timeout=10)
