"""What a Compose file holds, for those who write it: services, what they publish and keep, and what looks wrong.

Nothing here refuses a file. What stands in it is told as far as it can be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import composekeys, composevalues, values
from .interpolation import Mention, mentioned, mentions
from .values import Port, Wrong
from .yamltext import Document, Path

LONGEST = 200  # characters of one value
MOST = 50  # ports, volumes or names of one service


@dataclass(frozen=True)
class Service:
    """One service, its values as they stand in the file."""

    name: str
    line: int
    image: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()  # names
    networks: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    restart: str = ""


@dataclass(frozen=True)
class Published:
    """A port of the host that a service takes."""

    service: str
    line: int
    port: Port


@dataclass(frozen=True)
class Doubt:
    """What Compose would probably complain of, or leave out."""

    line: int
    reason: str


@dataclass(frozen=True)
class Variable:
    """A variable that the file asks for, once; `lines` are where."""

    name: str
    lines: tuple[int, ...]
    default: str | None = None  # used where it has no value
    is_required: bool = False  # without a value the deploy is refused


@dataclass(frozen=True)
class Plain:
    """A value of an environment as it stands in the file. None: the name alone does."""

    service: str
    name: str
    value: str | None
    line: int


@dataclass(frozen=True)
class Outline:
    services: tuple[Service, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]


def of(document: Document) -> Outline:
    root = _mapping(document.value)
    services = [_service(document, name, each) for name, each in _mapping(root.get("services")).items()]
    return Outline(tuple(services), tuple(_mapping(root.get("networks"))), tuple(_mapping(root.get("volumes"))))


def _service(document: Document, name: str, given: Any) -> Service:
    given = _mapping(given)
    return Service(
        name,
        document.line(("services", name)),
        _short(given.get("image")),
        tuple(_shown(item, "published", "target") for item in _list(given.get("ports"))),
        tuple(_shown(item, "source", "target") for item in _list(given.get("volumes"))),
        tuple(_names(given.get("environment"))),
        tuple(_names(given.get("networks"))),
        tuple(_names(given.get("depends_on"))),
        _short(given.get("restart")),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:MOST] if isinstance(value, list) else []


def _names(value: Any) -> list[str]:
    """Of a mapping, or of a list of NAME or NAME=value."""
    if isinstance(value, list):
        return [_short(item).partition("=")[0] for item in _list(value)]
    return [_short(name) for name in list(_mapping(value))[:MOST]]


def _short(value: Any) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value)[:LONGEST]


def _shown(item: Any, *keys: str) -> str:
    """A port or a volume, in the short form that most people write."""
    if not isinstance(item, dict):
        return _short(item)
    return ":".join(filter(None, (_short(item.get(key)) for key in keys)))


# --- ports of the host ---------------------------------------------------------


def published(document: Document) -> Iterator[Published]:
    """Ports that stand in the file as numbers; those with variables are known on the host only."""
    for name, service in _mapping(_mapping(document.value).get("services")).items():
        at = ("services", name, "ports")
        for place, item in enumerate(_list(_mapping(service).get("ports"))):
            if mentions(item):
                continue
            try:
                found = values.ports([item])
            except Wrong:
                continue  # a form that is read on the host
            yield from (Published(name, document.line((*at, place)), port) for port in found if port.host.isdigit())


# --- variables -----------------------------------------------------------------


def variables(document: Document) -> list[Variable]:
    """All that Compose fills in, by name: `${NAME}` in values, and names of an environment without a value."""
    found: dict[str, dict[tuple[int, Mention], None]] = {}  # each once, in their order
    for at, text in _texts(document.value, ()):
        line = document.line(at)
        for mention in mentioned(text):
            found.setdefault(mention.name, {})[line, mention] = None
    for at, name in _passed_on(document):
        found.setdefault(name, {})[document.line(at), Mention(name)] = None
    return [_variable(name, found[name]) for name in sorted(found)]


def _variable(name: str, told: Collection[tuple[int, Mention]]) -> Variable:
    defaults = [mention.default for _, mention in told]
    has_default = all(default is not None for default in defaults)
    lines = tuple(dict.fromkeys(line for line, _ in told))
    return Variable(name, lines, defaults[0] if has_default else None, any(mention.is_required for _, mention in told))


def _texts(value: Any, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*at, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, (*at, place))
    elif isinstance(value, str) and "$" in value:
        yield at, value


def _passed_on(document: Document) -> Iterator[tuple[Path, str]]:
    """`environment: [NAME]`, or `NAME:` without a value: the deploy's own variable of that name."""
    for name, service in _mapping(_mapping(document.value).get("services")).items():
        given, at = _mapping(service).get("environment"), ("services", name, "environment")
        if isinstance(given, list):
            yield from (((*at, place), text) for place, text in enumerate(given) if _is_name(text))
        else:
            yield from (((*at, key), key) for key, value in _mapping(given).items() if value is None and _is_name(key))


def plain(document: Document) -> list[Plain]:
    """What the services' environments say, in their order."""
    found = []
    for service, given in _mapping(_mapping(document.value).get("services")).items():
        value, at = _mapping(given).get("environment"), ("services", service, "environment")
        for place, item in enumerate(value if isinstance(value, list) else ()):
            name, equals, rest = _short(item).partition("=")
            found.append(Plain(service, name, rest if equals else None, document.line((*at, place))))
        for name, item in _mapping(value).items():
            found.append(Plain(service, name, None if item is None else _short(item), document.line((*at, name))))
    return found


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and text.isidentifier() and text.isascii()


# --- doubts --------------------------------------------------------------------


def doubts(document: Document) -> list[Doubt]:
    """In the order of lines."""
    root = _mapping(document.value)
    found = [*_unknown(document, (), composekeys.ROOT), *_undefined(document, root)]
    for name in _mapping(root.get("services")):
        at = ("services", name)
        found += _unknown(document, at, composekeys.SERVICE)
        found += _unknown(document, (*at, "healthcheck"), composekeys.HEALTHCHECK)
        found += [Doubt(document.line(where), reason) for where, reason in composevalues.wrong(document, at)]
    for kind, known in (("networks", composekeys.NETWORK), ("volumes", composekeys.VOLUME)):
        for name in _mapping(root.get(kind)):
            found += _unknown(document, (kind, name), known)
    if "version" in root:
        found.append(Doubt(document.line(("version",)), "`version` means nothing any more: leave it out"))
    return sorted(found, key=lambda doubt: doubt.line)


def _unknown(document: Document, at: Path, known: frozenset[str]) -> Iterator[Doubt]:
    for key in _mapping(document.at(at)):
        if key in known or key.startswith("x-"):
            continue
        meant = composekeys.meant(key, known)
        hint = f": is `{meant}` meant?" if meant else ""
        yield Doubt(document.line((*at, key)), f"Compose does not know `{key[:LONGEST]}` here{hint}")


def _undefined(document: Document, root: Mapping[str, Any]) -> Iterator[Doubt]:
    """Volumes and networks that a service names and the top level does not."""
    if root.get("include"):
        return
    for name, service in _mapping(root.get("services")).items():
        at, given = ("services", name), _mapping(service)
        for place, item in enumerate(_list(given.get("volumes"))):
            if (source := _volume(item)) and source not in _mapping(root.get("volumes")):
                yield Doubt(document.line((*at, "volumes", place)), _missing("volumes", source))
        for network in _names(given.get("networks")):
            if network != "default" and not mentions(network) and network not in _mapping(root.get("networks")):
                yield Doubt(document.line((*at, "networks")), _missing("networks", network))


def _missing(kind: str, name: str) -> str:
    return f"`{kind}` at the top level has no `{name}`: Compose refuses such a file"


def _volume(item: Any) -> str | None:
    """The name of the volume, where one is named. A path is none, nor is what variables decide."""
    if isinstance(item, dict):
        source = item.get("source") if item.get("type") == "volume" else None
    else:
        source, _, rest = _short(item).partition(":")
        source = source if rest else None
    if not isinstance(source, str) or not source or source[0] in "./~" or "$" in source or "\\" in source:
        return None
    return source
