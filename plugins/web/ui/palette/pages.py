"""The command palette: finds pages, hosts, applications, containers and what can be done to them.

What it finds comes from finders, which plugins may add to. It shows nobody what they may not see or do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from quart import Blueprint, request

from roci import Actor, Roci, hookimpl, hookspec

from ....surfaces.http import actor, server, signed_in
from ... import shell
from ...language import N_, _

routes = Blueprint("palette", __name__)
KINDS = {
    "page": N_("Page"),
    "host": N_("Host"),
    "application": N_("Application"),
    "container": N_("Container"),
    "action": N_("Action"),
}  # in the order in which they are told, where they fit equally well
MOST = 40  # entries of one answer
LONGEST = 200  # characters of a question
SYNONYMS = {
    "stack": "application",
    "project": "application",
    "server": "host",
    "agent": "host",
    "machine": "host",
    "redeploy": "deploy",
    "console": "terminal",
    "shell": "terminal",
    "user": "people",
}


@dataclass(frozen=True)
class Found:
    """One entry: where it leads, or, with `form`, what is sent there by POST. `words` find it too and are not shown.

    `asks`: the question to be answered before that is sent.
    """

    kind: str
    label: str
    path: str
    note: str = ""
    words: str = ""
    form: Mapping[str, str] | None = None
    asks: str = ""


@dataclass(frozen=True)
class Question:
    """What somebody typed, in words. No words: what a palette offers before anything is typed."""

    words: tuple[str, ...] = field(default=())

    def fits(self, *texts: str) -> bool:
        """Whether each word is in some of these texts: for finders that make their entries only then."""
        whole = " ".join(texts).lower()
        return all(word in whole or SYNONYMS.get(word, word) in whole for word in self.words)


@dataclass(frozen=True)
class Finder:
    """A source of entries: those that a reader may see, of which the palette shows what fits best."""

    name: str
    find: Callable[[Roci, Actor, Question], Awaitable[Iterable[Found]]]


class Hooks(Protocol):
    @hookspec
    def register_finders(self, roci: Roci) -> Iterable[Finder]:
        """Return sources of entries of the command palette."""


class Palette:
    """All finders there are. Reached as `roci.part(Palette)`."""

    def __init__(self, roci: Roci) -> None:
        self.finders = [each for some in reversed(roci.hook.register_finders(roci=roci)) for each in some]

    async def find(self, roci: Roci, who: Actor, text: str) -> list[Found]:
        """What fits best comes first."""
        question = Question(tuple(text.lower().split()))
        found = [one for finder in self.finders for one in await finder.find(roci, who, question)]
        fitting = [one for one in found if question.fits(one.label, one.note, one.words, one.kind)]
        return sorted(fitting, key=lambda one: _rank(one, question.words))[:MOST]


def _rank(one: Found, words: Sequence[str]) -> tuple[int, int, str]:
    """How well it fits: the whole label, its beginning, the beginnings of words in it, anything in it, or else."""
    label, text = one.label.lower(), " ".join(words)
    begun = list(label.replace("-", " ").replace("_", " ").replace("/", " ").split())
    if label == text:
        how = 0
    elif label.startswith(text):
        how = 1
    elif all(any(part.startswith(word) for part in begun) for word in words):
        how = 2
    else:
        how = 3 if all(word in label for word in words) else 4
    return how, list(KINDS).index(one.kind), label


@routes.get("/palette")
@signed_in
async def show() -> Any:
    """What `?q=` finds. The part `found` is the list that the dialog shows."""
    here, text = server(), request.args.get("q", "")[:LONGEST]
    return await shell.render(
        "palette/palette.html",
        _("Find"),
        text=text,
        found=await here.part(Palette).find(here, await actor(), text),
        kinds=KINDS,
    )


@hookimpl
def register_hookspecs() -> type:
    return Hooks


@hookimpl
def register_pages(roci: Roci) -> list[shell.Page]:
    roci.provide(Palette(roci))
    return [shell.Page("palette", "", "/palette", routes)]
