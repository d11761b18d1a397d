"""The chain that seals the audit trail: each row's seal covers the row and the seal before it. Pure.

Whoever has the database but not the key can neither edit, remove nor insert a row without the chain showing it; the
head says where it ends, so that a cut tail shows too. That there are seals at all is noted beside the key, so that
they cannot be taken away. A whole database put in the place of another, such as an older copy of it, cannot show by
itself: keep the head that `roci audit verify` prints elsewhere, and give it back with `--head`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

START = ""  # what comes before the first row
BROKEN = "broken"  # what a row is chained to when the head before it could not be trusted

Row = Sequence[Any]  # a row's columns as the table has them: its number first, its seal last
REPLACED = "from row {0} on the trail is sealed anew: the key was replaced, or the head was removed or edited"


@dataclass(frozen=True)
class Head:
    """Where the chain ends. `mac` proves it, as a seal does a row."""

    seq: int
    hash: str
    mac: str


@dataclass(frozen=True)
class Fault:
    """The first row that is not as it was written, and what is wrong."""

    seq: int
    what: str


@dataclass(frozen=True)
class Checked:
    """How many rows were read, the first fault (None: all is as it was written), and how many have no seal."""

    rows: int
    fault: Fault | None = None
    unsealed: int = 0


def seal(key: bytes, previous: str, values: Row) -> str:
    """The seal of a row (without its own), after the row that has the seal `previous`."""
    return hmac.digest(key, previous.encode() + b"\n" + msgspec.json.encode(values), "sha256").hex()


def head(key: bytes, seq: int, hash: str) -> Head:
    return Head(seq, hash, hmac.digest(key, f"head {seq} {hash}".encode(), "sha256").hex())


def holds(key: bytes, end: Head) -> bool:
    """Whether this head was made with this key."""
    return hmac.compare_digest(end.mac, head(key, end.seq, end.hash).mac)


def verify(key: bytes, end: Head | None, rows: Iterable[Row], sealed_from: int | None = None) -> Checked:
    """Follow the chain from its first row. Rows without a seal are from before it; only the first ones may be.

    `sealed_from` is the first row that must have one, as was noted where the database's writers do not reach; from
    then on there must be a head, too. None: nothing was noted yet.
    """
    walk, stream = _Walk(key, end, sealed_from), iter(rows)
    for row in stream:
        if fault := walk.step(row):
            return Checked(walk.count, walk.explain(fault, row, stream), walk.unsealed)
    return Checked(walk.count, walk.ended(), walk.unsealed)


class _Walk:
    """Where a verification has come to."""

    def __init__(self, key: bytes, end: Head | None, sealed_from: int | None) -> None:
        self.key, self.end, self.sealed_from = key, end, sealed_from
        self.trusted = end is not None and holds(key, end)
        self.previous, self.count, self.unsealed, self.sealed = START, 0, 0, False

    def step(self, row: Row) -> str | None:
        """Take one more row; what is wrong with it, or None."""
        *values, stored = row
        if values[0] != self.count + 1:
            return "removed" if values[0] > self.count + 1 else "inserted"
        if self.trusted and self.end and values[0] > self.end.seq:
            return "inserted behind the end"
        due = seal(self.key, self.previous, values)
        if (stored and not hmac.compare_digest(stored, due)) or (not stored and self._needs_seal(values[0])):
            return "edited"
        self.previous, self.count, self.sealed = due, self.count + 1, self.sealed or bool(stored)
        self.unsealed += not stored
        return None

    def _needs_seal(self, seq: int) -> bool:
        return self.sealed or (self.sealed_from is not None and seq >= self.sealed_from)

    def explain(self, fault: str, row: Row, rest: Iterator[Row]) -> Fault:
        """The fault in words; what follows the row tells one kind from another."""
        seq, following = self.count + 1, next(rest, None)
        if fault == "removed":
            until = row[0] - 1
            return Fault(seq, f"removed: row {seq} is missing" if until == seq else f"removed: rows {seq} to {until}")
        if fault != "edited":
            return Fault(row[0], f"{fault}: ROCI did not write row {row[0]}")
        if not row[-1] and not self.sealed:
            return Fault(seq, f"edited: the seal of row {seq} was removed")
        if (again := self._sealed_anew(row, following, rest)) is not None:
            return Fault(seq, REPLACED.format(again))
        if not self.sealed and not self.trusted:
            return Fault(seq, "key replaced: another key sealed this trail, or its head and first row were edited")
        if not self.sealed and seq > 1:
            return Fault(1, f"edited: one of the rows 1 to {seq}; those before {seq} have no seals of their own")
        return Fault(seq, self._difference(row, following))

    def _sealed_anew(self, row: Row, following: Row | None, rest: Iterator[Row]) -> int | None:
        """The row that begins a new chain, where one does."""
        found = (each for each in _joined(row, following, rest) if each[-1] == seal(self.key, BROKEN, each[:-1]))
        first = next(found, None)
        return None if first is None else int(first[0])

    def _difference(self, row: Row, following: Row | None) -> str:
        seq, stored = row[0], row[-1]
        if following is None:
            fits = self.trusted and self.end is not None and (self.end.seq, self.end.hash) == (seq, stored)
            inserted = False
        else:
            fits = following[-1] == seal(self.key, stored, following[:-1])
            inserted = following[-1] == seal(self.key, self.previous, [seq, *following[1:-1]])
        if inserted:
            return f"inserted: ROCI did not write row {seq}, the ones behind it were numbered anew"
        return f"edited: row {seq}" + ("" if fits else ", or rows here were removed or inserted and numbered anew")

    def ended(self) -> Fault | None:
        """What is wrong at the end of the rows."""
        if self.end is None and not self.sealed and self.sealed_from is None:
            return None
        if self.end is None or not self.trusted:
            done = "removed" if self.end is None else "edited"
            return Fault(max(self.count, 1), f"the head was {done}: rows may be missing at the end")
        if self.count < self.end.seq:
            return Fault(self.count + 1, f"tail cut: rows {self.count + 1} to {self.end.seq} are missing")
        if self.previous != self.end.hash:
            return Fault(1, f"edited: one of the rows 1 to {self.count}, which have no seals of their own")
        return None


def _joined(row: Row, following: Row | None, rest: Iterator[Row]) -> Iterator[Row]:
    yield row
    if following is not None:
        yield following
        yield from rest
