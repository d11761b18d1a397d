"""YAML that people typed: plain values, and the line each of them stands on.

Read as Compose reads it (YAML 1.2: `22:22` and `yes` are text), and with limits, since the text comes from outside:
size, depth, the number and the length of values after aliases are followed, no key twice.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import yaml

from roci import Invalid

LIMIT = 256 * 1024  # bytes
DEPTH = 40
VALUES = 50_000  # after aliases are followed
LENGTH = 4 * LIMIT  # characters of all values and keys after that

Path = tuple[str | int, ...]

_STANDARD = "tag:yaml.org,2002:"
_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map", "merge", "timestamp", "value", "binary")
_TAGS = {*(_STANDARD + kind for kind in _PLAIN), "!reset", "!override"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LOCATED = re.compile(r"compose_yaml(?: line (?P<line>[0-9]+))?: (?P<reason>.*)", re.DOTALL)
_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")


@dataclasses.dataclass(frozen=True)
class Document:
    """A text's value, and where in the text each part of it begins."""

    value: Any
    lines: Mapping[Path, int]

    def refuse(self, path: Path, reason: str) -> Invalid:
        """The error for what stands at `path`: raise it."""
        return wrong(self.line(path), reason)

    def line(self, path: Path) -> int:
        """Where it stands, or else what it would be in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Path) -> Any:
        """What stands there; None where nothing does."""
        value = self.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value


def wrong(line: int, reason: str) -> Invalid:
    return Invalid(f"compose_yaml line {line}: {reason}")


def located(refusal: str) -> tuple[int | None, str]:
    """The line that a refusal names, and its reason. None: it is not about one line."""
    found = _LOCATED.fullmatch(refusal)
    if not found:
        return None, refusal
    return int(found["line"]) if found["line"] else None, found["reason"]


def parse(text: str) -> Document:
    """Raises Invalid with the line and the reason."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid("compose_yaml: it holds characters that are no text") from None
    if size > LIMIT:
        raise Invalid(f"compose_yaml: it is {size // 1024} KiB long, the most is {LIMIT // 1024}")
    try:
        _refuse_depth(text)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise wrong(mark.line + 1 if mark else 1, error.problem or "it is not YAML") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else 1
        raise wrong(line, "it holds a character that YAML does not allow") from None
    except yaml.YAMLError as error:
        raise Invalid(f"compose_yaml: {error}") from None
    reader = _Reader()
    value = reader.read(node, ()) if node else None
    return Document(value, reader.lines)


def _refuse_depth(text: str) -> None:
    """Before anything recursive sees the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                raise wrong(_line(event), f"values are nested more than {DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(part: Any) -> int:
    """Of a node or an event."""
    return int(part.start_mark.line) + 1


class _Reader:
    """Turns nodes into values and notes the line of each."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._open: set[int] = set()
        self._seen = self._length = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        line = _line(node)
        self._seen += 1
        if self._seen > VALUES:
            raise wrong(line, f"with its aliases followed it holds more than {VALUES} values")
        if id(node) in self._open or len(path) > DEPTH:
            raise wrong(line, "an alias leads back to itself, or values are nested too deep")
        if node.tag not in _TAGS:
            raise wrong(line, f"Compose does not know the tag {node.tag}")
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.ScalarNode):
            self._measure(node)
            return _scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _measure(self, node: yaml.ScalarNode) -> None:
        self._length += len(node.value)
        if self._length > LENGTH:
            raise wrong(_line(node), f"with its aliases followed it is longer than {LENGTH // 1024} KiB")

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merges: list[yaml.Node] = []
        for key, value in node.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode):
                raise wrong(line, "a key must be a word")
            self._measure(key)
            if key.value == "<<" and not key.style:
                merges.append(value)
                continue
            if key.value in found:
                raise wrong(line, f"{key.value!r} stands here a second time")
            self.lines[(*path, key.value)] = line
            found[key.value] = self.read(value, (*path, key.value))
        for merge in merges:
            self._merge(merge, path, found)
        return found

    def _merge(self, node: yaml.Node, path: Path, into: dict[str, Any]) -> None:
        """`<<: *base` or `<<: [*a, *b]`: what is there already wins."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                raise wrong(_line(node), "<< takes a mapping or a list of mappings")
            lines, self.lines = self.lines, {}
            values = self.read(source, path)
            fresh, self.lines = self.lines, lines
            for at, line in fresh.items():
                if len(at) > len(path) and at[len(path)] not in into:
                    self.lines.setdefault(at, line)
            into.update({key: value for key, value in values.items() if key not in into})


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style or node.tag == f"{_STANDARD}str" or not node.tag.startswith(_STANDARD):
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
