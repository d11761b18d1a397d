from __future__ import annotations

import asyncio

import pytest

from roci_plugins.agent.masking import Masker
from roci_plugins.agent.output import KEPT, Output, tail_of
from roci_plugins.agent.process import Stderr
from roci_plugins.agent.scripted import until


class Listener:
    def __init__(self, *secrets: str, whole: bool = False) -> None:
        self.frames: list[tuple[int, str]] = []
        self.slow: asyncio.Event | None = None
        self.output = Output(Masker(secrets), self.hear, whole)

    async def hear(self, seq: int, text: str) -> None:
        if self.slow:
            await self.slow.wait()
        self.frames.append((seq, text))

    @property
    def heard(self) -> str:
        return "".join(text for _, text in self.frames)


async def test_what_follows_a_burst_is_sent_although_nothing_comes_after_it() -> None:
    to = Listener()
    for text in ("one\n", "two\n", "three\n"):
        await to.output.add(text)
    await until(lambda: to.heard == "one\ntwo\nthree\n")
    assert [seq for seq, _ in to.frames] == list(range(len(to.frames)))


async def test_frames_keep_their_order_when_the_listener_is_slow() -> None:
    to = Listener(whole=True)
    await to.output.add("1")
    to.slow = asyncio.Event()
    await to.output.add("2")
    await until(lambda: to.output._sending.locked())  # what waits is being sent now
    adding = asyncio.create_task(to.output.add("3" * (KEPT + 1)))
    await asyncio.sleep(0)
    to.slow.set()
    await adding
    await to.output.finish()
    assert to.heard == "12" + "3" * (KEPT + 1)
    assert [seq for seq, _ in to.frames] == list(range(len(to.frames)))


async def test_what_is_being_sent_is_finished_and_nothing_runs_on() -> None:
    before = asyncio.all_tasks()
    to = Listener()
    for text in ("1", "2"):
        await to.output.add(text)
    to.slow = asyncio.Event()
    await until(lambda: to.output._sending.locked())
    to.output.end("3")
    finishing = asyncio.create_task(to.output.finish())
    await asyncio.sleep(0)
    to.slow.set()
    await finishing
    assert to.heard == "12"
    assert asyncio.all_tasks() - {finishing} == before


async def test_what_goes_wrong_while_sending_later_is_not_lost() -> None:
    async def fails(seq: int, text: str) -> None:
        if text == "2":
            raise RuntimeError("no way out")

    output = Output(Masker([]), fails)
    await output.add("1")
    await output.add("2")
    later = output._later
    assert later
    await asyncio.wait([later])
    with pytest.raises(RuntimeError, match="no way out"):
        await output.finish()


async def test_the_whole_of_a_read_is_sent_and_of_anything_else_only_the_newest() -> None:
    whole, newest = Listener(whole=True), Listener()
    for to in (whole, newest):
        to.output._sent_at = float("inf")  # as if a frame had just been sent
        for _ in range(5):
            await to.output.add("x" * KEPT)
        to.output.end("")
        await to.output.flush()
    assert len(whole.heard) == 5 * KEPT
    assert len(newest.heard) == KEPT


async def test_streams_are_kept_apart_unmasked_and_cut_between_characters() -> None:
    to = Listener("supersecret")
    await to.output.add("supersecret ")
    await to.output.add(Stderr("€" * KEPT))
    stdout, stderr, truncated = to.output.streams()
    assert stdout == "supersecret " and set(stderr) == {"€"} and truncated
    assert KEPT - 3 < len(stderr.encode()) <= KEPT
    assert to.output.end("").startswith("€") and to.output.truncated


async def test_nothing_is_missing_from_two_streams_that_fit() -> None:
    to = Listener()
    await to.output.add("o" * (KEPT - 1))
    await to.output.add(Stderr("e" * (KEPT - 1)))
    assert to.output.streams() == ("o" * (KEPT - 1), "e" * (KEPT - 1), False)
    assert to.output.truncated, "both together do not fit into one text"


async def test_the_last_word_is_said_once() -> None:
    to = Listener("supersecret")
    await to.output.add("it broke: supersec")
    assert to.output.end("it broke") == "it broke: supersec"
    await to.output.flush()
    assert to.heard == "it broke: supersec"


@pytest.mark.parametrize(
    ("text", "size", "kept"),
    [
        ("abcdef", 4, "cdef"),
        ("abc", 12, "abc"),
        ("äöü", 3, "ü"),
        ("x😀", 4, "😀"),
        ("x😀", 3, ""),
        ("a\ud800b", 2, "?b"),
    ],
)
def test_the_end_of_a_text_is_cut_between_two_characters(text: str, size: int, kept: str) -> None:
    assert tail_of(text, size) == kept
