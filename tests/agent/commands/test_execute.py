"""Shell lines on the host itself, really run."""

from __future__ import annotations

import asyncio
import os
import signal
import tracemalloc
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from roci import Site, StepFailed
from roci_plugins.agent import process
from roci_plugins.agent.commands.execute import environment, execute
from roci_plugins.agent.process import Stderr

from ..test_process import gone


class Told:
    """What a command printed, its streams apart, and its exit code."""

    def __init__(self) -> None:
        self.stdout = self.stderr = ""
        self.exit_code = 0
        self.groups: list[int] = []

    def add(self, text: str) -> None:
        if isinstance(text, Stderr):
            self.stderr += text
        else:
            self.stdout += text

    def site(self, **options: Any) -> Site:
        def spawn(*args: Any, **given: Any) -> Any:
            return process.spawn(*args, **given, **options, on_start=self.groups.append)

        return Site(Path("/data"), None, {}, spawn)


async def run(command: str, folder: str | None = None, env: dict[str, str] | None = None) -> Told:
    told = Told()
    try:
        async for text in execute(told.site(), {"command": command, "working_directory": folder, "env": env or {}}):
            told.add(text)
    except StepFailed as error:
        assert not error.message, "all words are in the streams"
        told.exit_code = error.details["exit_code"]
    return told


async def test_the_two_outputs_are_kept_apart_and_the_exit_code_is_told() -> None:
    told = await run("echo out; echo err >&2; exit 3")
    assert (told.stdout, told.stderr, told.exit_code) == ("out\n", "err\n", 3)


async def test_a_line_runs_with_what_was_given_and_little_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCI_SECRET", "not for commands")
    told = await run("env", env={"FOO": "a b'\"$", "LANG": "de_AT.UTF-8"})
    seen = dict(line.split("=", 1) for line in told.stdout.splitlines())
    assert (seen["FOO"], seen["LANG"], seen["HOME"]) == ("a b'\"$", "de_AT.UTF-8", str(Path.home()))
    assert seen.keys() - {"PWD", "SHLVL", "_", "DOCKER_CONFIG"} == {"FOO", "LANG", "HOME", "PATH"}


async def test_a_path_of_the_callers_own_does_not_hide_the_shell() -> None:
    assert (await run("echo ok", env={"PATH": "/nowhere"})).stdout == "ok\n"


def test_docker_in_a_command_reaches_the_engine_and_the_logins_of_this_agent() -> None:
    host = {"PATH": "/bin", "DOCKER_CONFIG": "/etc/logins", "OTHER": "x"}
    seen = environment(Site(Path("/data"), "unix:///run/d.sock", {"S": "secret"}, process.spawn), {}, host)
    assert seen == {
        "PATH": "/bin",
        "HOME": str(Path.home()),
        "LANG": "C.UTF-8",
        "DOCKER_CONFIG": "/etc/logins",
        "DOCKER_HOST": "unix:///run/d.sock",
    }


async def test_it_runs_in_the_home_or_in_the_folder_that_is_asked_for(tmp_path: Path) -> None:
    assert (await run("pwd")).stdout == f"{Path.home()}\n"
    assert (await run("pwd", str(tmp_path))).stdout == f"{tmp_path.resolve()}\n"


@pytest.mark.parametrize(
    ("command", "folder", "code", "words"),
    [
        ("no-such-program", None, 127, "not found"),
        ("/etc/passwd", None, 126, "ermission denied"),
        ("echo hi", "/nowhere", 126, "cannot use the folder /nowhere: No such file or directory"),
        ("echo hi", "/etc/passwd", 126, "cannot use the folder /etc/passwd: Not a directory"),
        ("kill -9 $$", None, 137, ""),
    ],
)
async def test_what_cannot_run_says_why_on_standard_error(
    command: str, folder: str | None, code: int, words: str
) -> None:
    told = await run(command, folder)
    assert (told.exit_code, told.stdout) == (code, "")
    assert words in told.stderr


async def test_nul_and_bad_bytes_are_passed_on_as_text() -> None:
    assert (await run(r"printf 'a\000b\377c'")).stdout == "a\0b�c"


async def test_a_line_that_closes_its_output_and_goes_on_is_waited_for(tmp_path: Path) -> None:
    done = tmp_path / "done"
    await run(f"exec >&- 2>&-; sleep 0.2; touch {done}")
    assert done.exists()


async def test_a_child_in_the_background_goes_on_and_is_not_waited_for() -> None:
    told = await run("sleep 100 & echo $!")
    child = int(told.stdout)
    os.kill(child, signal.SIGTERM)  # raises, if it were gone
    await gone(told.groups[0])


async def test_children_that_ignore_the_request_to_end_are_killed_with_the_line() -> None:
    told = Told()
    line = "sh -c 'trap \"\" TERM; echo child; while :; do sleep 0.05; done' & wait"
    args = {"command": line, "working_directory": None, "env": {}}
    async with aclosing(execute(told.site(grace=0.3), args)) as output:
        assert await anext(output) == "child\n"
    await gone(told.groups[0])


async def test_a_flood_is_read_in_little_memory_and_leaves_the_loop_to_others() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(others())
    args = {"command": "head -c 67108864 /dev/zero", "working_directory": None, "env": {}}
    size = pieces = 0
    tracemalloc.start()
    async for text in execute(Told().site(), args):
        size, pieces = size + len(text), pieces + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    beside.cancel()
    with suppress(asyncio.CancelledError):
        await beside
    assert size == 64 * 1024 * 1024 and turns >= pieces
    assert peak < 16 * 1024 * 1024
