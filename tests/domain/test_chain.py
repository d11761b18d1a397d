"""The chain of seals: whatever is done to the rows, it shows, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from roci_plugins.domain import chain
from roci_plugins.domain.chain import Checked, Head

KEY, OTHER = b"k" * 32, b"o" * 32
Rows = list[list[Any]]


def sealed(names: Sequence[str], key: bytes = KEY, previous: str = chain.START, first: int = 1) -> Rows:
    rows: Rows = []
    for seq, name in enumerate(names, first):
        previous = chain.seal(key, previous, [seq, name])
        rows.append([seq, name, previous])
    return rows


def ending(rows: Rows, key: bytes = KEY) -> Head:
    return chain.head(key, rows[-1][0], rows[-1][-1])


def found(rows: Rows, end: Head | None, key: bytes = KEY) -> tuple[int, str]:
    fault = chain.verify(key, end, rows).fault
    assert fault is not None
    return fault.seq, fault.what


@pytest.fixture
def rows() -> Rows:
    return sealed("abcdef")


def test_rows_as_they_were_written_have_no_fault(rows: Rows):
    assert chain.verify(KEY, ending(rows), rows) == Checked(6)
    assert chain.verify(KEY, None, []) == Checked(0)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_an_edited_row_is_found(rows: Rows, number: int):
    end = ending(rows)
    rows[number - 1][1] = "X"
    assert found(rows, end) == (number, f"edited: row {number}")


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_removed_row_is_found(rows: Rows, number: int):
    end = ending(rows)
    del rows[number - 1]
    assert found(rows, end) == (number, f"removed: row {number} is missing")


def test_removed_rows_are_found_though_the_rest_is_numbered_anew(rows: Rows):
    end = ending(rows)
    del rows[2]
    for seq, row in enumerate(rows, 1):
        row[0] = seq
    seq, what = found(rows, end)
    assert seq == 3 and "removed or inserted" in what


def test_an_inserted_row_is_found(rows: Rows):
    end = ending(rows)
    forged = [*rows[:2], [3, "X", "00"], *[[row[0] + 1, *row[1:]] for row in rows[2:]]]
    seq, what = found(forged, end)
    assert seq == 3 and what.startswith("inserted")
    assert found([[0, "X", "00"], *rows], end)[0] == 0


def test_a_row_behind_the_end_is_found(rows: Rows):
    seq, what = found([*rows, [7, "X", chain.seal(OTHER, rows[-1][-1], [7, "X"])]], ending(rows))
    assert seq == 7 and what.startswith("inserted behind the end")


@pytest.mark.parametrize(
    ("kept", "end", "what"),
    [
        (4, lambda rows: ending(rows), "tail cut: rows 5 to 6 are missing"),
        (4, lambda rows: None, "the head was removed"),
        (4, lambda rows: Head(4, rows[3][-1], ending(rows).mac), "the head was edited"),
        (0, lambda rows: ending(rows), "tail cut: rows 1 to 6 are missing"),
    ],
)
def test_a_cut_tail_is_found(rows: Rows, kept: int, end: Callable[[Rows], Head | None], what: str):
    assert what in found(rows[:kept], end(rows))[1]


def test_another_key_is_told_from_an_edited_row(rows: Rows):
    seq, what = found(rows, ending(rows), OTHER)
    assert seq == 1 and what.startswith("key replaced")


def test_a_trail_that_went_on_with_another_key_says_from_where(rows: Rows):
    later = sealed("gh", OTHER, chain.BROKEN, 7)
    seq, what = found([*rows, *later], ending(later, OTHER), OTHER)
    assert seq == 1 and "from row 7 on" in what


def test_a_head_that_was_lost_shows_for_ever(rows: Rows):
    later = sealed("gh", KEY, chain.BROKEN, 7)
    assert "from row 7 on" in found([*rows, *later], ending(later))[1]


def test_rows_from_before_the_seals_are_covered_by_the_first_seal():
    old: Rows = [[1, "a", ""], [2, "b", ""]]
    previous = chain.START
    for row in old:
        previous = chain.seal(KEY, previous, row[:-1])
    rows = [*old, *sealed("cd", KEY, previous, 3)]
    assert chain.verify(KEY, ending(rows), rows) == chain.verify(KEY, ending(rows), rows, 3) == Checked(4, unsealed=2)
    assert chain.verify(KEY, None, old) == Checked(2, unsealed=2)
    rows[0][1] = "X"
    assert found(rows, ending(rows)) == (1, "edited: one of the rows 1 to 3; those before 3 have no seals of their own")


def test_a_row_without_a_seal_behind_sealed_ones_is_found(rows: Rows):
    end = ending(rows)
    rows[3][-1] = ""
    assert found(rows, end)[0] == 4


@pytest.mark.parametrize(
    ("kept", "seal", "what"),
    [
        (6, "", "edited: the seal of row 1 was removed"),
        (0, "", "the head was removed"),
        (6, None, "the head was removed"),
    ],
)
def test_seals_that_were_noted_cannot_be_taken_away(rows: Rows, kept: int, seal: str | None, what: str):
    forged = [[seq, "X" if seal == "" else name, stored if seal is None else seal] for seq, name, stored in rows[:kept]]
    fault = chain.verify(KEY, None, forged, sealed_from=1).fault
    assert fault and what in fault.what


def test_a_forged_trail_that_was_written_to_again_is_found(rows: Rows):
    forged: Rows = [[seq, "X", ""] for seq, _, _ in rows[:3]]
    for before in (forged, forged[:0]):
        later = sealed("gh", KEY, chain.BROKEN, len(before) + 1)
        assert chain.verify(KEY, ending(later), [*before, *later], sealed_from=1).fault
