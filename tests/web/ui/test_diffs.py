"""What differs between two texts: which lines, under which numbers, and in bearable time."""

from __future__ import annotations

import random

from roci_plugins.web.ui import diffs
from roci_plugins.web.ui.diffs import Line


def shape(before: str, after: str) -> list[str]:
    signs = {"same": " ", "gone": "-", "new": "+", "gap": "~"}
    return [signs[line.kind] + line.text for line in diffs.lines(before, after)]


def test_the_same_text_has_no_differences() -> None:
    assert diffs.lines("a\nb\n", "a\nb\n") == []
    assert diffs.lines("", "") == []


def test_a_changed_line_is_gone_and_new_with_the_numbers_of_both_texts() -> None:
    assert diffs.lines("a\nb\nc", "z\na\nB\nc") == [
        Line("new", None, 1, "z"),
        Line("same", 1, 2, "a"),
        Line("gone", 2, None, "b"),
        Line("new", None, 3, "B"),
        Line("same", 3, 4, "c"),
    ]


def test_what_is_the_same_far_from_a_difference_is_left_out() -> None:
    before = [f"line {n}" for n in range(1, 31)]
    after = [*before]
    after[14] = "other"
    expected = ["~", " line 12", " line 13", " line 14", "-line 15", "+other", " line 16", " line 17", " line 18", "~"]
    assert shape("\n".join(before), "\n".join(after)) == expected
    assert [line.new_no for line in diffs.lines("\n".join(before), "\n".join(after))][1] == 12


def test_two_differences_far_apart_have_a_gap_between_them() -> None:
    before = [f"line {n}" for n in range(1, 21)]
    after = ["first", *before[1:-1], "last"]
    found = shape("\n".join(before), "\n".join(after))
    around = [" line 2", " line 3", " line 4", "~", " line 17", " line 18", " line 19"]
    assert found == ["-line 1", "+first", *around, "-line 20", "+last"]


def test_everything_may_be_new_or_gone() -> None:
    assert shape("", "a\nb") == ["+a", "+b"]
    assert shape("a\nb", "") == ["-a", "-b"]
    assert diffs.counts(diffs.lines("a\nb", "c")) == (1, 2)


def test_texts_that_differ_all_over_are_told_as_one_block() -> None:
    some = random.Random(7)
    words = [f"  - {n}" for n in range(120)]
    before = ["head", "old", *some.choices(words, k=20_000), "old", "tail"]
    after = ["head", "new", *some.choices(words, k=20_000), "new", "tail"]
    found = diffs.lines("\n".join(before), "\n".join(after))
    assert [line.kind for line in (found[0], found[1], found[20_003], found[-1])] == ["same", "gone", "new", "same"]
    assert (found[-1].old_no, found[-1].new_no, len(found)) == (20_004, 20_004, 40_006)
