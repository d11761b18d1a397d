"""Keep the values of secrets out of output, even when they arrive in pieces.

The time it takes grows with the text, hardly with the number and the length of the values: one sweep finds where
any value may stand, and only there values are compared.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SHORTEST = 6  # shorter values would blank out ordinary words
LONGEST = 256  # of a longer value every stretch of so many characters is hidden
MASK = "***"
START = 16  # at most so many characters are looked at to see whether a value begins
LONGEST_IN_URL = 8192  # characters before the @ of an address; whoever needs more is not looked after
IN_URL = re.compile(rf"://([^\s/]{{1,{LONGEST_IN_URL}}})@")  # to the last @: people do not encode that of a password
BEGINNING_OF_URL = re.compile(rf":(?:/(?:/[^\s/]{{0,{LONGEST_IN_URL}}})?)?\Z")  # it may become one of these
REST_OF_URL = re.compile(rf"(/{{0,2}})[^\s/]{{1,{LONGEST_IN_URL}}}@")
LONG_NAME, LONG_USER = 12, 20  # characters from which on a name is taken for a token: alone, and with a password
NO_PASSWORDS = ("", "x-oauth-basic")  # what stands for a password where the name is the token
SHORTEST_END = 3  # characters of the end of a value that are worth hiding
GRAM = 4  # characters that are looked up at once
BLOCK = 4096  # grams looked up in one go


def without_url_secrets(text: str) -> str:
    """A text in which no address carries a password or a token: https://me:***@git.lan."""
    return IN_URL.sub(_without_secret, text)


def _without_secret(found: re.Match[str]) -> str:
    user, colon, password = found[1].partition(":")
    if colon and len(user) < LONG_USER and password not in NO_PASSWORDS:
        return f"://{user}:{MASK}@"
    return f"://{MASK}@" if colon or len(user) >= LONG_NAME else found[0]


class UrlMasker:
    """The same for a stream of text, which may be cut in the middle of an address."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        text = self._held + text
        last = max(len(text) - LONGEST_IN_URL - len("://"), 0)
        begun = BEGINNING_OF_URL.search(text, last)
        cut = begun.start() if begun else len(text)
        self._held = text[cut:]
        return without_url_secrets(text[:cut])

    def flush(self) -> str:
        text, self._held = self._held, ""
        return without_url_secrets(text)


def without_cut_url(text: str) -> str:
    """A text that began earlier: what may be the rest of a password in an address is not shown."""
    rest = REST_OF_URL.match(text)
    return f"{rest[1]}{MASK}@{text[rest.end() :]}" if rest else text


class Masker:
    """Replaces secret values in a stream of text.

    However a text is cut into pieces, the pieces masked in order and flushed give what the whole would. Values
    that overlap in the text disappear under one mask.
    """

    def __init__(self, values: Iterable[str]) -> None:
        hidden = sorted(_to_hide(values), key=len, reverse=True)
        self._every = hidden
        self._longest = max(map(len, hidden), default=0)
        self._sure = min([START, *map(len, hidden)])  # characters that every value has and is known by
        self._stride = self._sure - GRAM + 1
        self._by_start: dict[str, list[str]] = {}  # by their first characters, longest first
        for value in hidden:
            self._by_start.setdefault(value[: self._sure], []).append(value)
        self._grams: dict[str, list[int]] = {}  # how far behind the start of a value each stands, furthest first
        for back in reversed(range(self._stride)):
            for gram in {start[back : back + GRAM] for start in self._by_start}:
                self._grams.setdefault(gram, []).append(back)
        self._beginnings = {start[:length] for start in self._by_start for length in range(1, self._sure)}
        self._repeating = {value: unit for value in hidden if (unit := _unit(value))}
        self._held = ""  # the end of the text so far: perhaps the beginning of a value
        self._hidden = 0  # how much of it lies under a mask that was given out already

    def mask(self, text: str) -> str:
        """A text of its own, apart from the stream."""
        other = copy.copy(self)
        other._held, other._hidden = "", 0
        return other.feed(text) + other.flush()

    def without_cut_value(self, text: str) -> str:
        """A text that began earlier, perhaps in the middle of a value: the end of that is hidden too."""
        ends: dict[str, list[str]] = {}
        for value in self._every:
            ends.setdefault(value[-SHORTEST_END:], []).append(value)
        for size in range(min(self._longest - 1, len(text)), SHORTEST_END - 1, -1):
            if any(value.endswith(text[:size]) for value in ends.get(text[size - SHORTEST_END : size], ())):
                return MASK + text[size:]
        return text

    def feed(self, text: str) -> str:
        """What may be shown by now. Holds back an end that could become a value."""
        if not self._every:
            return text
        text = self._held + text
        return self._give(text, self._unfinished(text))

    def flush(self) -> str:
        """The rest, at the end of the stream."""
        return self._give(self._held, len(self._held))

    def _give(self, text: str, until: int) -> str:
        shown: list[str] = []
        at = self._hidden
        for start, end in self._found(text):
            if start >= until:
                break
            if start < at:  # reaches out of a mask given before
                at = max(at, end)
                continue
            shown += [text[at:start], MASK]
            at = end
        shown.append(text[at:until])
        self._held, self._hidden = text[until:], max(at - until, 0)
        return "".join(shown)

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where values stand, in order, those that overlap as one."""
        block = start = end = 0
        while block < len(text):
            for at in self._starts(text, block):
                reach = self._reach(text, at, end)
                if reach <= end:
                    continue
                if at >= end:
                    if end:
                        yield start, end
                    start = at
                end = reach
            # What begins long before the end of what is hidden cannot reach further.
            block = max(block + BLOCK * self._stride, end - self._longest + 1)
        if end:
            yield start, end

    def _reach(self, text: str, at: int, end: int) -> int:
        """Where the longest value at this place ends, with its repetitions; `end` unless it ends after that."""
        for value in self._by_start.get(text[at : at + self._sure], ()):
            if at + len(value) <= end:
                break
            if text.startswith(value, at):
                reach = at + len(value)
                return _run(text, reach, self._repeating[value]) if value in self._repeating else reach
        return end

    def _starts(self, text: str, block: int) -> list[int]:
        """Where values may begin in a block, in order. Looks at one gram in every stride only."""
        grams, stride = self._grams, self._stride
        sampled = range(block + stride - 1, min(block + BLOCK * stride, len(text)), stride)
        return [at - back for at in sampled for back in grams.get(text[at : at + GRAM], ())]

    def _unfinished(self, text: str) -> int:
        """Where the end of the text could be the beginning of a value; the text's length if nowhere."""
        for at in range(max(len(text) - self._longest + 1, 0), len(text)):
            if self._begins(text[at:]):
                return at
        return len(text)

    def _begins(self, end: str) -> bool:
        """Whether a longer value begins with this."""
        if len(end) < self._sure:
            return end in self._beginnings
        values = self._by_start.get(end[: self._sure], ())
        return any(len(value) > len(end) and value.startswith(end) for value in values)


def without_secrets(said: Any, masker: Masker) -> Any:
    """What a client said, at any depth and the names in it too, without these values and those in addresses."""
    match said:
        case str():
            return without_url_secrets(masker.mask(said))
        case Mapping():
            return {without_secrets(name, masker): without_secrets(value, masker) for name, value in said.items()}
        case list():
            return [without_secrets(value, masker) for value in said]
    return said


def _to_hide(values: Iterable[str]) -> set[str]:
    """Each value, and each line of it: programs print a key line by line. Long ones as stretches that overlap."""
    every = [str(value) for value in values]
    lines = [line.strip() for value in every for line in value.splitlines()]
    return {part for text in (*every, *lines) if len(text) >= SHORTEST for part in _stretches(text)}


def _stretches(text: str) -> Iterator[str]:
    for at in range(0, len(text) - LONGEST, LONGEST - 1):
        yield text[at : at + LONGEST]
    yield text[-LONGEST:]


def _unit(value: str) -> str:
    """What a value repeats from end to end, as "ab" in "ababa"; empty where it does not."""
    half = len(value) // 2
    size = next((size for size in range(1, half + 1) if value.startswith(value[size:])), 0)
    return value[-size:] if size else ""


def _run(text: str, at: int, unit: str) -> int:
    """How far a unit repeats from here on."""
    sizes = [unit]
    while text.startswith(sizes[-1], at):
        at += len(sizes[-1])
        sizes.append(sizes[-1] * 2)
    for piece in reversed(sizes):
        if text.startswith(piece, at):
            at += len(piece)
    return at
