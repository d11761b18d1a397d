"""What every Compose file must fulfil before it goes to a host, whatever deploys it there.

Compose itself has the last word (`config -q` on the host). Here is what can be said at once and with a line
number, and what Compose would allow but ROCI does not: reading files outside the application's folder, and
running programs on the host itself.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator
from typing import Any

from . import yamltext
from .yamltext import Document, Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RUNNABLE = ("image", "build", "extends")


def parse(text: str) -> Document:
    """Raises Invalid("compose_yaml line 7: …")."""
    return check(yamltext.parse(text))


def check(document: Document) -> Document:
    """As `parse`, of what is read already."""
    if not isinstance(document.value, dict):
        raise document.refuse((), "a Compose file is a mapping that holds `services`")
    _check_services(document)
    for at, path in referenced_files(document):
        _check_path(document, at, path)
    start_order(document)
    return document


def _check_services(document: Document) -> None:
    services = document.value.get("services")
    if not isinstance(services, dict) or not services:
        raise document.refuse(("services",), "`services` must name at least one service")
    for name, service in services.items():
        at = ("services", name)
        if not _NAME.fullmatch(name):
            raise document.refuse(at, f"{name!r} cannot name a service: letters, digits, '.', '_' and '-' can")
        if not isinstance(service, dict):
            raise document.refuse(at, f"the service {name!r} must be a mapping")
        if "provider" in service:
            reason = "`provider` runs a program on the host itself, outside of any container: ROCI refuses it"
            raise document.refuse((*at, "provider"), reason)
        if not any(service.get(key) for key in _RUNNABLE):
            raise document.refuse(at, f"the service {name!r} has no `image`")
        for key in ("image", "container_name"):
            if key in service and not isinstance(service[key], str):
                raise document.refuse((*at, key), f"`{key}` must be text")


# --- order -------------------------------------------------------------------


def needs(document: Document, name: str) -> dict[str, str]:
    """What a service depends on: the other's name and the condition to wait for."""
    wanted = document.value["services"][name].get("depends_on") or {}
    at = ("services", name, "depends_on")
    if isinstance(wanted, list):
        wanted = {other: {} for other in wanted if isinstance(other, str)}
    if not isinstance(wanted, dict):
        raise document.refuse(at, "`depends_on` must be a list or a mapping of services")
    found = {}
    for other, how in wanted.items():
        if how is not None and not isinstance(how, dict):
            raise document.refuse((*at, other), "a dependency is a mapping with a `condition`")
        how = how or {}
        if other in document.value["services"] or how.get("required") is not False:
            found[other] = str(how.get("condition", "service_started"))
    return found


def start_order(document: Document) -> list[str]:
    """Every service after those it depends on; otherwise as the file has them."""
    services, included = document.value["services"], document.value.get("include")
    graph: dict[str, list[str]] = {}
    for name in services:
        graph[name] = list(needs(document, name))
        unknown = [other for other in graph[name] if other not in services]
        if unknown and not included:
            raise document.refuse(
                ("services", name, "depends_on"), f"{name!r} depends on {unknown[0]!r}, which is no service here"
            )
    try:
        ordered = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        circle = [str(name) for name in error.args[1]]
        raise document.refuse(
            ("services", circle[0], "depends_on"), f"services depend on each other in a circle: {' -> '.join(circle)}"
        ) from None
    return [name for name in ordered if name in services]


# --- files it refers to --------------------------------------------------------


def referenced_files(document: Document) -> Iterator[tuple[Path, Any]]:
    """Every file that Compose would read for this one, and where it is named."""
    root = document.value
    yield from _include(root.get("include"), ("include",))
    for name, service in root["services"].items():
        at = ("services", name)
        for key in ("extends", "credential_spec"):
            if isinstance(service.get(key), dict) and "file" in service[key]:
                yield (*at, key, "file"), service[key]["file"]
        for key in ("env_file", "label_file"):
            yield from _listed(service.get(key), (*at, key))
    for kind in ("configs", "secrets"):
        entries = root.get(kind)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "file" in entry:
                yield (kind, name, "file"), entry["file"]


def _include(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    for place, entry in _each(value, at):
        if isinstance(entry, dict):
            for key in ("path", "project_directory", "env_file"):
                yield from _listed(entry.get(key), (*place, key))
        else:
            yield place, entry


def _listed(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    """A path, a list of them, or of mappings with `path`."""
    for place, entry in _each(value, at):
        if isinstance(entry, dict):
            yield (*place, "path"), entry.get("path")
        else:
            yield place, entry


def _each(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, list):
        yield from (((*at, index), entry) for index, entry in enumerate(value))
    elif value is not None:
        yield at, value


def _check_path(document: Document, at: Path, path: Any) -> None:
    key = next(part for part in reversed(at) if isinstance(part, str))
    if not isinstance(path, str) or not path:
        raise document.refuse(at, f"`{key}` must be the path of a file")
    if "$" in path:
        raise document.refuse(at, f"`{key}` may not hold a variable: {path}")
    if ":" in path or "\\" in path or path.lower().startswith("github.com/"):
        raise document.refuse(at, f"`{key}` must be a file in the application's folder, not {path}")
    if path[0] in "/~" or _leaves(path):
        raise document.refuse(at, f"`{key}` must stay inside the application's folder: {path}")


def _leaves(path: str) -> bool:
    depth = 0
    for part in path.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False
