"""What a rule says, and whether it holds: patterns of actions on patterns of resources. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

ANY = "*"
EVERYTHING = ("*", "*")
SEEN_FROM_INSIDE = ("spaces.list", "spaces.get")  # who is limited to a space may still learn that there are others


class Rule(NamedTuple):
    """`secrets.*` on `space/default`. In both, `*` stands for any text; `[*]` is a star itself."""

    action: str
    resource: str = ANY


class Grant(NamedTuple):
    """A rule as a binding gives it: everywhere, or inside one space only."""

    action: str
    resource: str
    space: str | None


STAR, WILD = "\0", "\1"  # a star itself, and a wildcard, where a text or another pattern is looked at


def matches(pattern: str, text: str) -> bool:
    """Whether each `*` in the pattern can stand for what the text has there."""
    return pattern == ANY or _fits(_parts(pattern), text.replace("*", STAR))


def includes(pattern: str, other: str) -> bool:
    """Whether whatever the other pattern matches, this one does."""
    return pattern == ANY or _fits(_parts(pattern), other.replace("[*]", STAR).replace("*", WILD))


@functools.lru_cache(10_000)
def _parts(pattern: str) -> tuple[str, ...]:
    """What stands before, between and after the wildcards."""
    return tuple(pattern.replace("[*]", STAR).split("*"))


def _fits(parts: tuple[str, ...], text: str) -> bool:
    """The first part first, the last last, the others in their order between. No pattern makes this take long."""
    first, *middle, last = parts if len(parts) > 1 else (parts[0], None)
    if last is None:
        return text == first
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def covers(patterns: Iterable[str], action: str) -> bool:
    """Whether an action fits one of the patterns: `hosts.*` covers `hosts.read`."""
    return any(matches(pattern, action) for pattern in patterns)


def is_inside(resource: str, space: str) -> bool:
    """Whether a resource is the space, or in it."""
    return resource == f"space/{space}" or resource.startswith(f"space/{space}/")


def allows(grant: Grant, action: str, resource: str) -> bool:
    """Whether this grant alone permits it. A grant inside a space never reaches out of it."""
    if not matches(grant.action, action):
        return False
    if grant.space is not None and not is_inside(resource, grant.space):
        return grant.resource == ANY and action in SEEN_FROM_INSIDE
    return matches(grant.resource, resource)


def confined(grants: Iterable[Grant], space: str | None) -> Iterator[Grant]:
    """What is left of grants for a principal that belongs to one space."""
    for grant in grants:
        if space is None or grant.space == space:
            yield grant
        elif grant.space is None:
            yield grant._replace(space=space)


def contains(held: Grant, wanted: Grant) -> bool:
    """Whether whoever holds one grant holds the other too: by pattern, so it may say no where the sum says yes."""
    return held == wanted or (
        includes(held.action, wanted.action)
        and all(
            (held.space is None or is_inside(resource, held.space)) and includes(held.resource, resource)
            for resource in _reach(wanted)
        )
    )


def _reach(grant: Grant) -> list[str]:
    """The resources a grant speaks of, as patterns: in a space, the space and what is in it."""
    if grant.space is not None and grant.resource in (ANY, "space/*"):
        return [f"space/{grant.space}", f"space/{grant.space}/*"]
    return [grant.resource]
