"""Keep the values of secrets out of output, even when they arrive in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SHORTEST = 6  # shorter values would blank out ordinary words
MASK = "***"


class Masker:
    """Replaces secret values in a stream of text.

    However a text is cut into pieces, the pieces masked in order and flushed give what the whole would. Values
    that overlap in the text disappear under one mask.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._values = _to_hide(values)
        self._held = ""  # the end of the text so far: perhaps the beginning of a value
        self._hidden = 0  # how much of it lies under a mask that was given out already

    def mask(self, text: str) -> str:
        """A text of its own, apart from the stream."""
        other = Masker(self._values)
        return other.feed(text) + other.flush()

    def feed(self, text: str) -> str:
        """What may be shown by now. Holds back an end that could become a value."""
        text = self._held + text
        return self._give(text, min((_unfinished(text, value) for value in self._values), default=len(text)))

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
        spans = sorted(span for value in self._values for span in _occurrences(text, value))
        together: tuple[int, int] | None = None
        for start, end in spans:
            if together and start < together[1]:
                together = together[0], max(together[1], end)
                continue
            if together:
                yield together
            together = start, end
        if together:
            yield together


def _to_hide(values: Iterable[str]) -> set[str]:
    """Each value, and each line of it: programs print a key line by line."""
    every = [str(value) for value in values]
    lines = [line.strip() for value in every for line in value.splitlines()]
    return {text for text in (*every, *lines) if len(text) >= SHORTEST}


def _occurrences(text: str, value: str) -> Iterator[tuple[int, int]]:
    at = text.find(value)
    while at >= 0:
        yield at, at + len(value)
        at = text.find(value, at + 1)


def _unfinished(text: str, value: str) -> int:
    """Where the end of the text could be the beginning of the value; the text's length if nowhere."""
    at = text.find(value[0], max(len(text) - len(value) + 1, 0))
    while at >= 0:
        if value.startswith(text[at:]):
            return at
        at = text.find(value[0], at + 1)
    return len(text)
