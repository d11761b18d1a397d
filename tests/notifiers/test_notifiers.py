"""What notifiers are given to work with: a thread that may hang, text of one line."""

from __future__ import annotations

import asyncio
import threading

import pytest

from roci import Unavailable
from roci_plugins.notifiers import THREADS, in_thread, one_line


async def test_what_blocks_runs_beside_the_loop_and_its_error_comes_back() -> None:
    assert await in_thread(lambda: threading.current_thread().name) == "roci-notice"

    def fails() -> None:
        raise Unavailable("no route")

    with pytest.raises(Unavailable, match="no route"):
        await in_thread(fails)


async def test_what_hangs_can_be_left_and_too_much_of_it_is_refused() -> None:
    go = threading.Event()
    try:
        for _ in range(THREADS._initial_value):  # type: ignore[attr-defined]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await in_thread(go.wait)
        with pytest.raises(Unavailable, match="too many"):
            await in_thread(go.wait)
    finally:
        go.set()
    for _ in range(THREADS._initial_value):  # type: ignore[attr-defined]
        assert await asyncio.to_thread(THREADS.acquire, timeout=10), "a place becomes free once it ends"
    THREADS.release(THREADS._initial_value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\r\nb\x00c", "a b c"), ("  a \u2028 b ", "a b"), ("x" * 300, "x" * 199 + "…"), ("é漢🔥", "é漢🔥")],
)
def test_one_line_is_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
