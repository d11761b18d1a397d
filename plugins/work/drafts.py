"""A Compose file that is being written: what is wrong with it, what it holds, what its host says to it; keeping it.

Judging runs nothing and keeps nothing. What decides is the deploy backend's own `validate`, as at a deploy.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from roci import Conflict, Invalid, Roci, Spec

from ..agent.hub import Hub
from ..agent.live import Live
from ..backends import composefile, outline, yamltext
from ..backends.outline import Outline, Plain, Published, Variable
from ..domain import applications
from ..domain.applications import Application
from ..domain.secrets import RESERVED
from . import deploy

_PUBLISHED = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>\d+)->\d+/(?P<protocol>\w+)")
_ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104  compared, not listened on
MOST = 100  # problems told of one file
UNNAMED = "app"  # stands for the name until one is given


class Outdated(Conflict):
    """Somebody else kept a revision since this one was begun."""


@dataclass(frozen=True)
class Draft:
    """What somebody writes; `host_id`: where it is to go."""

    name: str
    text: str
    backend: str = "compose"
    host_id: str | None = None


@dataclass(frozen=True)
class Problem:
    """An error refuses the file; else it is a warning. Without a line it is about the whole."""

    line: int | None
    reason: str
    is_error: bool = True


@dataclass(frozen=True)
class Judgement:
    """`outline` None: the text cannot be read at all."""

    problems: tuple[Problem, ...]
    outline: Outline | None = None
    variables: tuple[Variable, ...] = ()

    @property
    def is_good(self) -> bool:
        return not any(problem.is_error for problem in self.problems)


async def judge(roci: Roci, draft: Draft) -> Judgement:
    """Everything that can be said of it here. Raises Invalid for a backend that does not exist."""
    backend = deploy.backend_of(roci, draft.backend)
    live = roci.part(Hub).roster.get(draft.host_id or "")

    def judged() -> Judgement:
        try:
            document = yamltext.parse(draft.text)
        except Invalid as error:
            return Judgement((_problem(error, draft.text),))
        problems = []
        try:
            composefile.check(document)
            backend.validate(Spec(draft.name or UNNAMED, draft.text))
        except Invalid as error:
            problems.append(_problem(error, draft.text))
        refused = {problem.line for problem in problems}
        doubts = (doubt for doubt in outline.doubts(document) if doubt.line not in refused)
        problems += [Problem(doubt.line, doubt.reason, False) for doubt in doubts]
        problems += _clashes(live, draft, list(outline.published(document)))
        return Judgement(tuple(problems[:MOST]), outline.of(document), tuple(outline.variables(document)))

    return await asyncio.to_thread(judged)


async def environment(text: str) -> tuple[tuple[Variable, ...], tuple[Plain, ...]]:
    """What a file asks for, and what it says by itself. Raises Invalid where it cannot be read."""
    return await asyncio.to_thread(_environment, text)


@functools.lru_cache(16)  # the parts of a page ask for the same
def _environment(text: str) -> tuple[tuple[Variable, ...], tuple[Plain, ...]]:
    document = yamltext.parse(text)
    return tuple(outline.variables(document)), tuple(outline.plain(document))


def keep(application_id: str, seen: str, text: str, changes: Mapping[str, Any]) -> Application:
    """Make it the newest revision of an application, in a write; what runs goes on as it is until the next deploy.

    Raises Outdated where `seen` is not the newest now.
    """
    application = applications.get(application_id)
    if seen != str(application.revision) and text != applications.text(application):
        raise Outdated(f"somebody saved revision {application.revision} meanwhile")
    return applications.change(application_id, for_next_deploy=True, compose=text, **changes)


def is_given(variable: Variable) -> bool:
    """Whether each run brings it by itself, so that no secret can."""
    return variable.name in RESERVED


def _problem(error: Invalid, text: str) -> Problem:
    """With a line that the text has: YAML tells of an end that comes too early as of the line behind it."""
    line, reason = yamltext.located(error.message)
    return Problem(line and min(line, text.count("\n") + 1), reason)


# --- ports ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    container: str
    address: str
    port: str
    protocol: str


def _clashes(live: Live | None, draft: Draft, wanted: Iterable[Published]) -> list[Problem]:
    """Ports that another running container of the host has, as far as the host is known."""
    taken = _taken(live, Spec(draft.name or UNNAMED, "").project)
    found = []
    for each in wanted:
        port = each.port
        for other in taken:
            if (other.port, other.protocol) == (port.host, port.protocol) and _meet(other.address, port.ip):
                reason = f"port {port.host}/{port.protocol} is taken on {live.host.hostname if live else ''}"
                found.append(Problem(each.line, f"{reason} by the container {other.container}", False))
                break
    return found


def _taken(live: Live | None, project: str) -> list[_Taken]:
    if live is None or not live.is_connected:
        return []
    found = []
    for container in live.containers or ():
        if not container.is_running or live.is_of(project, container.app, container.name):
            continue
        for port in container.ports:
            if told := _PUBLISHED.fullmatch(port):
                found.append(_Taken(container.name, told["v6"] or told["v4"], told["port"], told["protocol"]))
    return found


def _meet(one: str, other: str) -> bool:
    return one == other or one in _ANYWHERE or other in _ANYWHERE
