"""What notifiers are given to work with: a thread that may hang, text of one line."""

from __future__ import annotations

import asyncio
import threading

import pytest

from roci import Unavailable
from roci_plugins.notifiers import in_thread, left_behind, one_line


async def test_what_blocks_runs_beside_the_loop_and_its_error_comes_back() -> None:
    assert await in_thread(lambda: threading.current_thread().name) == "roci-notice"

    def fails() -> None:
        raise Unavailable("no route")

    with pytest.raises(Unavailable, match="no route"):
        await in_thread(fails)


async def test_what_hangs_can_be_left_holds_up_no_other_and_is_told_to_end() -> None:
    go, left = threading.Event(), list[threading.Thread]()
    left_behind.set(left)
    for _ in range(50):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await in_thread(go.wait)
    assert await in_thread(lambda: "another") == "another"
    assert len(left) == 50 and all(thread.is_alive() for thread in left)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await in_thread(go.wait, go.set)
    for thread in left:
        await asyncio.to_thread(thread.join, 10)
    assert not any(thread.is_alive() for thread in left)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\r\nb\x00c", "a b c"), ("  a \u2028 b ", "a b"), ("x" * 300, "x" * 199 + "…"), ("é漢🔥", "é漢🔥")],
)
def test_one_line_is_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
