"""What differs between two texts, line by line, as pages show it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["same", "gone", "new", "gap"]
AROUND = 3  # lines shown before and behind a difference
MOST = 6_000  # lines of both that are compared closely; where more differ, they are told as one block

_Code = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class Line:
    """One line of either text. A `gap` stands for lines left out, which are the same in both."""

    kind: Kind
    old_no: int | None
    new_no: int | None
    text: str


def lines(before: str, after: str) -> list[Line]:
    """What became of `before`: what is gone, what is new, and the lines around. Empty: nothing differs."""
    old, new = before.splitlines(), after.splitlines()
    found: list[Line] = []
    end = 0
    for group in _groups(old, new):
        if group[0][1] > end:
            found.append(Line("gap", None, None, ""))
        for kind, first, last, new_first, new_last in group:
            if kind == "equal":
                found += [Line("same", at + 1, at - first + new_first + 1, old[at]) for at in range(first, last)]
            else:
                found += [Line("gone", at + 1, None, old[at]) for at in range(first, last)]
                found += [Line("new", None, at + 1, new[at]) for at in range(new_first, new_last)]
        end = group[-1][2]
    if found and end < len(old):
        found.append(Line("gap", None, None, ""))
    return found


def counts(found: list[Line]) -> tuple[int, int]:
    """How many lines are new, and how many are gone."""
    return sum(line.kind == "new" for line in found), sum(line.kind == "gone" for line in found)


def _groups(old: list[str], new: list[str]) -> list[list[_Code]]:
    """What differs, near differences together, each with some lines around it."""
    start = _shared(old, new)
    ending = _shared(old[start:][::-1], new[start:][::-1])
    if len(old) + len(new) - 2 * (start + ending) > MOST:
        return [_block(len(old), len(new), start, ending)]
    skipped = max(0, start - AROUND)
    kept = max(0, ending - AROUND)
    matcher = difflib.SequenceMatcher(None, old[skipped : len(old) - kept], new[skipped : len(new) - kept])
    return [
        [(kind, *(at + skipped for at in places)) for kind, *places in group]  # type: ignore[misc]
        for group in matcher.get_grouped_opcodes(AROUND)
    ]


def _shared(one: list[str], other: list[str]) -> int:
    """How many lines both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (mine, yours) in enumerate(pairs) if mine != yours), min(len(one), len(other)))


def _block(old: int, new: int, start: int, ending: int) -> list[_Code]:
    """All between what both begin and end with. The texts are this many lines long."""
    before, behind = min(AROUND, start), min(AROUND, ending)
    codes = [("equal", start - before, start, start - before, start)] if before else []
    codes.append(("replace", start, old - ending, start, new - ending))
    if behind:
        codes.append(("equal", old - ending, old - ending + behind, new - ending, new - ending + behind))
    return codes
