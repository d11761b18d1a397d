"""The frame of the pages for who is signed in: the navigation, and what plugins put into it and into other pages.

A page calls the same domain and work functions as the surfaces do. It is a whole document, or, where `?part=` names a
part of it, that part alone: so it renews itself without being loaded again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from quart import Blueprint, render_template, request

from roci import Actor, Malformed, Roci, __version__, hookimpl, hookspec

from ..surfaces.http import actor
from . import assets
from .forms import form_token, server

GROUPS = ("", "Watch", "Administer")  # of the navigation, in this order; the first has no heading


@dataclass(frozen=True)
class Page:
    """A page with its entry in the navigation. Who lacks `permission` does not see it; its views ask for it again."""

    name: str
    label: str
    path: str
    routes: Blueprint
    permission: str = ""
    group: str = ""


@dataclass(frozen=True)
class Panel:
    """A part that a plugin adds to the page of each host, or of each application.

    `render(roci, id)` answers HTML, or None where there is nothing to show. Values in it must be escaped.
    """

    name: str
    label: str
    on: Literal["host", "application"]
    render: Callable[[Roci, str], Awaitable[str | None]]
    permission: str = ""


class Hooks(Protocol):
    @hookspec
    def register_pages(self, roci: Roci) -> Iterable[Page]:
        """Return pages, in the order of their entries in the navigation."""

    @hookspec
    def register_panels(self, roci: Roci) -> Iterable[Panel]:
        """Return panels of hosts' and applications' pages."""


def pages_of(roci: Roci) -> list[Page]:
    """All pages that plugins bring, in plugin order."""
    return [page for pages in reversed(roci.hook.register_pages(roci=roci)) for page in pages]


class Shell:
    """All pages and panels there are. Reached as `roci.part(Shell)`."""

    def __init__(self, roci: Roci) -> None:
        self.pages = pages_of(roci)
        self.panels: list[Panel] = [each for some in reversed(roci.hook.register_panels(roci=roci)) for each in some]

    def entries(self, roci: Roci, who: Actor) -> list[tuple[str, list[Page]]]:
        """What somebody sees of the navigation: groups with their pages."""
        seen = [page for page in self.pages if not page.permission or roci.may(who, page.permission)]
        groups = [(group, [page for page in seen if page.group == group]) for group in GROUPS]
        return [(group, pages) for group, pages in groups if pages]

    async def panels_of(self, roci: Roci, on: str, id: str, who: Actor) -> list[tuple[Panel, str]]:
        """Those that have something to show there, with what they show."""
        wanted = [panel for panel in self.panels if panel.on == on]
        allowed = [each for each in wanted if not each.permission or roci.may(who, each.permission, f"{on}/{id}")]
        shown = [(panel, await panel.render(roci, id)) for panel in allowed]
        return [(panel, html) for panel, html in shown if html is not None]


async def render(template: str, title: str, topics: Sequence[str] = (), **values: Any) -> str:
    """A page in its frame; the part of it that `?part=` names comes alone. `topics` are what makes it renew itself."""
    part = request.args.get("part")
    if part is not None and not (part.isascii() and part.isalpha()):
        raise Malformed("part: the name of a part of this page")
    who = await actor()
    here = server()
    return await render_template(
        "ui/bare.html" if part else "ui/frame.html",
        page=f"ui/{template}",
        part=part,
        title=title,
        topics=",".join(topics),
        groups=here.part(Shell).entries(here, who),
        who=who,
        may=lambda action, resource="": here.may(who, action, resource),
        token=form_token(),
        asset=assets.url if assets.version() else None,
        version=__version__,
        **values,
    )


@hookimpl
def register_hookspecs() -> type:
    return Hooks


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Shell(roci))
    yield
