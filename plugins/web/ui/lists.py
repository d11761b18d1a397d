"""What the reader of a list chose by its address: some of the rows, their order, one page of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from quart import request

T = TypeVar("T")
LONGEST = 200  # characters of a text to look for
DIGITS = 8  # of a number


def asked(name: str = "q") -> str:
    """A text of the address."""
    return request.args.get(name, "").strip()[:LONGEST]


def number(name: str) -> int | None:
    """A whole number of the address; None for none, and for what is no such number."""
    return whole(request.args.get(name, ""))


def whole(text: str) -> int | None:
    """A whole number of a few digits, as it is typed; None for all else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS else None


def one_of(name: str, allowed: Collection[str]) -> str:
    """A word of the address; empty for none, and for one that is not allowed."""
    word = request.args.get(name, "")
    return word if word in allowed else ""


def link(**changes: object) -> str:
    """This list with other choices; None takes one back. It begins at its first page."""
    kept = {name: value for name, value in request.args.items() if name not in ("part", "page")}
    wanted = {name: value for name, value in {**kept, **changes}.items() if value not in (None, "")}
    return f"{request.path}?{urlencode(wanted)}" if wanted else request.path


def holds(text: str, *where: str | None) -> bool:
    """Whether each word of a text is somewhere in these."""
    if not text:
        return True
    told = "\n".join(filter(None, where)).casefold()
    return all(word in told for word in text.casefold().split())


@dataclass(frozen=True)
class Order:
    """By what rows are in order, and whether the greatest come first."""

    key: str
    is_down: bool

    def link(self, key: str) -> str:
        """The same list by another key; by this one, the other way round."""
        return link(sort=key, order="down" if key == self.key and not self.is_down else None)

    def aria(self, key: str) -> str:
        return ("descending" if self.is_down else "ascending") if key == self.key else "none"


def order(keys: Collection[str]) -> Order:
    """As the address has it. No key: the list's own order."""
    return Order(one_of("sort", keys), request.args.get("order") == "down")


def arranged(rows: Iterable[T], wanted: Order, keys: Mapping[str, Callable[[T], Any]]) -> list[T]:
    """In this order; what is not known comes last either way."""
    if not wanted.key:
        return list(rows)
    told = [(keys[wanted.key](row), row) for row in rows]
    known = sorted((pair for pair in told if pair[0] is not None), key=lambda pair: pair[0], reverse=wanted.is_down)
    return [row for _, row in known] + [row for value, row in told if value is None]


@dataclass(frozen=True)
class Leaf(Generic[T]):
    """One page of a list."""

    rows: list[T]
    total: int
    number: int
    last: int


def leaf(rows: list[T], size: int) -> Leaf[T]:
    """That which the address asks for, or the nearest there is."""
    at, last = _nearest(len(rows), size)
    return Leaf(rows[(at - 1) * size : at * size], len(rows), at, last)


async def leaf_of(read: Callable[[int, int], Awaitable[tuple[list[T], int]]], size: int) -> Leaf[T]:
    """The same of what `read(limit, offset)` answers, with how much there is in all."""
    wanted = max(number("page") or 1, 1)
    rows, total = await read(size, (wanted - 1) * size)
    at, last = _nearest(total, size)
    if at != wanted:
        rows, total = await read(size, (at - 1) * size)
    return Leaf(rows, total, at, last)


def _nearest(total: int, size: int) -> tuple[int, int]:
    """The number of that page, and of the last."""
    last = max(-(-total // size), 1)
    return min(max(number("page") or 1, 1), last), last
