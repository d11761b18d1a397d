from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from roci import StepFailed
from roci_plugins.agent import process

ENV = {"PATH": os.environ["PATH"]}


async def output(*argv: str, **options: object) -> str:
    return "".join([text async for text in process.spawn(argv, cwd="/", env=ENV, **options)])


async def gone(pid: int, seconds: float = 30) -> None:
    """Wait until no running process is left in the group."""
    deadline = asyncio.get_running_loop().time() + seconds
    while members(pid):
        assert asyncio.get_running_loop().time() < deadline, f"the group {pid} still runs: {members(pid)}"
        await asyncio.sleep(0.02)


def members(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


async def test_output_and_errors_come_as_one_text() -> None:
    assert await output("sh", "-c", "echo one; echo two >&2; echo three") == "one\ntwo\nthree\n"


async def test_output_comes_while_the_program_runs(tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"echo begun; while [ ! -e {go} ]; do sleep 0.02; done; echo done"
    seen = []
    async for text in process.spawn(["sh", "-c", script], cwd="/", env=ENV):
        seen.append(text)
        go.touch()
    assert seen == ["begun\n", "done\n"]


async def test_a_program_gets_only_the_environment_it_is_given_and_no_input() -> None:
    program = "import os, sys; print(sorted(os.environ), repr(sys.stdin.read()))"
    seen = [text async for text in process.spawn([sys.executable, "-Ic", program], cwd="/", env={"A": "1"})]
    assert "".join(seen) in ("['A'] ''\n", "['A', 'LC_CTYPE'] ''\n")


async def test_characters_are_never_cut_and_bad_bytes_are_replaced() -> None:
    program = (
        "import sys, time\n"
        "for byte in 'ü€😀'.encode() + b'\\xff':\n"
        "    sys.stdout.buffer.write(bytes([byte])); sys.stdout.buffer.flush(); time.sleep(0.01)"
    )
    assert await output(sys.executable, "-c", program) == "ü€😀�"


async def test_a_failure_names_the_program_the_code_and_the_last_line() -> None:
    with pytest.raises(StepFailed) as error:
        await output("sh", "-c", "echo fine; echo it broke; exit 3")
    assert error.value.message == "sh ended with exit code 3: it broke"
    assert error.value.details == {"exit_code": 3, "tail": "fine\nit broke\n"}


async def test_a_program_ended_by_a_signal_says_which() -> None:
    with pytest.raises(StepFailed) as error:
        await output("sh", "-c", "kill -9 $$")
    assert (error.value.message, error.value.details["exit_code"]) == ("sh was ended by SIGKILL", 137)


async def test_a_missing_program_and_a_missing_folder_are_told_apart() -> None:
    with pytest.raises(StepFailed, match="cannot run no-such-program: No such file") as error:
        await output("no-such-program")
    assert error.value.details["exit_code"] == 127
    with pytest.raises(StepFailed, match="cannot use the folder /nowhere: No such file"):
        await anext(process.spawn(["sh"], cwd="/nowhere", env=ENV))


async def test_closing_the_output_ends_the_whole_group() -> None:
    started, ended = [], []
    running = process.spawn(
        ["sh", "-c", "sleep 100 & echo up; wait"], cwd="/", env=ENV, on_start=started.append, on_end=ended.append
    )
    async with aclosing(running):
        assert await anext(running) == "up\n"
        assert len(members(started[0])) == 2 and not ended
    assert not members(started[0]) and ended == started


async def test_cancelling_who_listens_ends_the_program() -> None:
    started: list[int] = []
    up = asyncio.Event()

    async def listen() -> None:
        async for _ in process.spawn(["sh", "-c", "echo up; sleep 100"], cwd="/", env=ENV, on_start=started.append):
            up.set()

    task = asyncio.create_task(listen())
    await asyncio.wait_for(up.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(started[0])


async def test_who_does_not_want_to_end_is_killed() -> None:
    started: list[int] = []
    script = "trap '' TERM; echo up; while true; do sleep 0.1; done"
    running = process.spawn(["sh", "-c", script], cwd="/", env=ENV, on_start=started.append, grace=0.3)
    assert await anext(running) == "up\n"
    await running.aclose()
    await gone(started[0])


async def test_a_child_that_keeps_the_output_open_is_not_waited_for() -> None:
    started: list[int] = []
    begun = asyncio.get_running_loop().time()
    assert await output("sh", "-c", "sleep 60 & echo parent is done", on_start=started.append) == "parent is done\n"
    assert asyncio.get_running_loop().time() - begun < 30
    os.killpg(started[0], 9)


async def test_a_slow_listener_gets_everything_and_holds_the_program_back() -> None:
    seen = 0
    async for text in process.spawn(["sh", "-c", "head -c 30000000 /dev/zero"], cwd="/", env=ENV):
        seen += len(text)
        if seen < 1_000_000:
            await asyncio.sleep(0)
    assert seen == 30_000_000
