"""Which container somebody means, by what they call it: one rule for whoever looks for it, on both ends of a link."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from .wire import Container

T = TypeVar("T")
SHORTEST = 4  # characters of an id that are enough to mean it
WHOLE = 64  # characters of an id; what hosts report is its beginning


def is_like(name: str, project: str) -> bool:
    """Whether a container has a name as this project's have. Anybody may give one such a name: see `Live.is_of`."""
    return name == project or name.startswith((f"{project}-", f"{project}_"))


def reported(container: Container) -> tuple[str, Collection[str]]:
    """The id and the names of a container, as its host reported it."""
    return container.id, (container.name,)


def meant(text: str, known: Iterable[T], told: Callable[[T], tuple[str, Collection[str]]]) -> list[T]:
    """The one of this name, with or without the engine's slash; else all whose id begins so.

    `told`: the id of one, and its names without the slash.
    """
    text = text.removeprefix("/")
    listed = [(one, *told(one)) for one in known]
    if named := [one for one, _, names in listed if text and text in names]:
        return named
    return [one for one, id, _ in listed if len(text) >= SHORTEST and _is_beginning(text, id)]


def _is_beginning(text: str, id: str) -> bool:
    return id.startswith(text) or (SHORTEST <= len(id) < WHOLE and text.startswith(id))
