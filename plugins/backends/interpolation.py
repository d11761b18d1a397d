"""`${VARIABLE}` in a Compose file's values, the way Compose fills them in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NEXT = re.compile(r"\$(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<dollar>\$)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)|)")
DEPTH = 20
_BRACE = re.compile(r"\$\{|\}")
_OPERATOR = re.compile(r":?[-?+]")


def fill(value: Any, variables: Mapping[str, str], missing: set[str] | None = None) -> Any:
    """The value with every variable in its texts filled in; keys stay as they are.

    Names without a value are added to `missing` and become empty. Raises ValueError for what cannot be read and
    for `${NAME:?why}` without a value; no value ever stands in the error.
    """
    if isinstance(value, dict):
        return {key: fill(item, variables, missing) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, variables, missing) for item in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    filled, _ = _read(value, 0, variables, set() if missing is None else missing, 0)
    return filled


def mentions(value: Any) -> bool:
    """Whether any text in the value names a variable, so that it can be judged only where it runs."""
    if isinstance(value, dict):
        return any(map(mentions, value.values()))
    if isinstance(value, list):
        return any(map(mentions, value))
    return isinstance(value, str) and "$" in value.replace("$$", "")


@dataclass(frozen=True)
class Mention:
    """A variable that a text names. `default`: what stands there without a value; None: nothing does."""

    name: str
    default: str | None = None
    is_required: bool = False


def mentioned(text: str) -> Iterator[Mention]:
    """Every variable in a text, those within the words of others too. A text that cannot be read tells what it can:
    nothing of what stands deeper than is read.
    """
    closings = _closings(text)
    around: list[int] = []  # where those end in whose words this one stands
    for found in _NEXT.finditer(text):
        while around and around[-1] < found.end():
            around.pop()
        if len(around) > DEPTH:
            continue
        if found["name"]:
            yield Mention(found["name"])
        elif found["braced"]:
            end, operator, word = closings.get(found.start() + 1, len(text)), _OPERATOR.match(text, found.end()), ""
            if operator:
                word = text[operator.end() : end]
                around.append(end)
            kind = operator[0][-1] if operator else ""
            yield Mention(found["braced"], {"-": word, "+": ""}.get(kind), kind == "?")


def _closings(text: str) -> dict[int, int]:
    """Where the brace closes that a `${` opens, by where it stands."""
    found: dict[int, int] = {}
    open_: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] != "}":
            open_.append(brace.end() - 1)
        elif open_:
            found[open_.pop()] = brace.start()
    return found


def _read(text: str, at: int, variables: Mapping[str, str], missing: set[str], depth: int) -> tuple[str, int]:
    """Fill in from `at` to the end, or (inside braces) to the closing brace; return where that was."""
    if depth > DEPTH:
        raise ValueError(f"variables stand inside each other more than {DEPTH} deep")
    parts: list[str] = []
    while at < len(text):
        if depth and text[at] == "}":
            return "".join(parts), at
        if text[at] != "$":
            parts.append(text[at])
            at += 1
            continue
        found = _NEXT.match(text, at)
        assert found
        at = found.end()
        if found["dollar"]:
            parts.append("$")
        elif found["name"]:
            parts.append(_plain(found["name"], variables, missing))
        elif found["braced"]:
            part, at = _braced(found["braced"], text, at, variables, missing, depth)
            parts.append(part)
        else:
            raise ValueError("a `$` that begins no variable is written `$$`")
    if depth:
        raise ValueError("a `${` is not closed")
    return "".join(parts), at


def _plain(name: str, variables: Mapping[str, str], missing: set[str]) -> str:
    if name not in variables:
        missing.add(name)
    return str(variables.get(name, ""))


def _braced(
    name: str, text: str, at: int, variables: Mapping[str, str], missing: set[str], depth: int
) -> tuple[str, int]:
    """What follows `${NAME`, to behind the closing brace."""
    if text[at : at + 1] == "}":
        return _plain(name, variables, missing), at + 1
    operator = _OPERATOR.match(text, at)
    if not operator:
        raise ValueError(f"`${{{name}` is not closed, or what follows the name is no operator")
    unused: set[str] = set()
    word, end = _read(text, operator.end(), variables, unused, depth + 1)
    value = variables.get(name)
    there = bool(value) if operator[0][0] == ":" else value is not None
    match operator[0][-1]:
        case "-":
            chosen, asked = (str(value), False) if there else (word, True)
        case "+":
            chosen, asked = (word, True) if there else ("", False)
        case _:
            if not there:
                raise ValueError(f"the variable {name} is required: {word or 'it has no value'}")
            chosen, asked = str(value), False
    if asked:
        missing |= unused
    return chosen, end + 1
