from __future__ import annotations

import struct

import pytest

from roci import StepFailed
from roci_plugins.agent.commands.logs import Frames, _asked
from roci_plugins.agent.process import Stderr


def frame(stream: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


def read(framed: bool, *pieces: bytes) -> list[str]:
    frames = Frames(framed)
    return [text for piece in pieces for text in frames.feed(piece)] + list(frames.end())


def test_both_streams_come_in_order_and_are_told_apart() -> None:
    texts = read(True, frame(1, b"one\n") + frame(2, b"two\n") + frame(1, b"") + frame(1, b"three\n"))
    assert texts == ["one\n", "two\n", "three\n"]
    assert [isinstance(text, Stderr) for text in texts] == [False, True, False]


def test_it_does_not_matter_where_the_answer_is_cut() -> None:
    whole = frame(1, "ü€😀\n".encode()) + frame(2, "err😀\n".encode())
    for size in range(1, len(whole)):
        texts = read(True, *(whole[at : at + size] for at in range(0, len(whole), size)))
        assert "".join(texts) == "ü€😀\nerr😀\n"
        assert "".join(text for text in texts if isinstance(text, Stderr)) == "err😀\n"


def test_a_character_cut_by_a_piece_of_the_other_stream_stays_whole() -> None:
    euro = "€".encode()
    assert read(True, frame(1, euro[:1]) + frame(2, b"!") + frame(1, euro[1:])) == ["!", "€"]


def test_bad_bytes_are_replaced_and_the_last_ones_too() -> None:
    assert read(True, frame(1, b"a\xffb\xe2\x82")) == ["a�b", "�"]


def test_lines_of_standard_error_are_marked_and_a_long_line_has_one_time() -> None:
    answer = (
        frame(1, b"T1 one\n") + frame(2, b"T2 two\n") + frame(2, b"T3 lo") + frame(2, b"T3 ng\n") + frame(1, b"T4 \n")
    )
    for size in range(1, len(answer)):
        frames = Frames(True, marked=True)
        texts = [text for at in range(0, len(answer), size) for text in frames.feed(answer[at : at + size])]
        assert "".join(texts) == "T1 one\n\2T2 two\n\2T3 long\nT4 \n"
    assert read(False, b"T1 one\n") == ["T1 one\n"]


def test_a_terminal_has_no_frames() -> None:
    assert read(False, b"\x01\x00\x00\x00 looks\r\n", b"\xe2\x82", b"\xac") == ["\x01\x00\x00\x00 looks\r\n", "€"]


def test_a_long_line_is_read_in_time_that_grows_with_it() -> None:
    line = b"x" * 16384
    answer = frame(1, line) * 640
    assert sum(map(len, read(True, *(answer[at : at + 65536] for at in range(0, len(answer), 65536))))) == 640 * 16384


ARGS = {"tail": 10, "follow": False, "timestamps": True, "since": None, "until": None}


def test_what_is_asked_is_put_into_the_engines_words() -> None:
    asked = _asked({**ARGS, "since": "2026-11-22T09:41:00Z", "until": "2026-11-22T10:41:00.5+01:00"})
    assert asked == {
        "stdout": 1,
        "stderr": 1,
        "follow": 0,
        "timestamps": 1,
        "since": "1795340460.000000",
        "until": "1795340460.500000",
        "tail": 10,
    }
    assert _asked({**ARGS, "since": "2026-11-22T09:41:00"})["since"] == "1795340460.000000"
    assert (_asked({**ARGS, "tail": 0})["tail"], _asked({**ARGS, "tail": -1})["tail"]) == (0, "all")


@pytest.mark.parametrize("text", ["yesterday", "12", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(StepFailed, match="is no moment, such as"):
        _asked({**ARGS, "since": text})
