"""What a rule says, and whether it holds: patterns of actions on patterns of resources. Pure."""

from __future__ import annotations

import functools
import re
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


def matches(pattern: str, text: str) -> bool:
    """Whether `*` in the pattern can stand for what the text has there."""
    return pattern in (text, ANY) or ("*" in pattern and _compiled(pattern).fullmatch(text) is not None)


@functools.lru_cache(10_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (re.escape(part).replace(r"\*", ".*") for part in pattern.split("[*]"))
    return re.compile(re.escape("*").join(parts), re.DOTALL)


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
    if not matches(held.action, wanted.action):
        return False
    if wanted.space is not None and wanted.resource in (ANY, "space/*"):
        wanted = wanted._replace(resource=f"space/{wanted.space}")  # as far as it reaches
    if held.space is not None and not is_inside(wanted.resource, held.space):
        return False
    return matches(held.resource, wanted.resource)
