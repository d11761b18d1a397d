"""The frame of the pages for who is signed in: the navigation, and what plugins put into it and into other pages.

A page calls the same domain and work functions as the surfaces do. It is a whole document, or, where `?part=` names a
part of it, that part alone: so it renews itself without being loaded again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from markupsafe import Markup
from quart import Blueprint, g, render_template, request

from roci import Actor, Malformed, Roci, __version__, hookimpl, hookspec

from ..surfaces.http import actor, server
from . import assets, live, statics
from .forms import form_token, said

GROUPS = ("", "Watch", "Administer")  # of the navigation, in this order; the first has no heading
TOOLS = ("alerts", "operations")  # topics of what the head of every page shows
On = Literal["host", "application"]


@dataclass(frozen=True)
class Page:
    """A page with its entry in the navigation; without a label it has none.

    Who lacks `permission` does not see the entry; the page's views ask for it again.
    """

    name: str
    label: str
    path: str
    routes: Blueprint
    permission: str = ""
    group: str = ""
    also: str = ""  # another path whose pages belong to this entry


@dataclass(frozen=True)
class Tab:
    """A page of each host, or of each application, at its path and `/name`; without a name it is the first.

    Its views render with the Subject they are about. `shows(roci, id)` says whether this one has it at all.
    """

    name: str
    label: str
    on: On
    routes: Blueprint
    permission: str = ""
    shows: Callable[[Roci, str], bool] | None = None


@dataclass(frozen=True)
class Panel:
    """A part that a plugin adds to the page of each host, or of each application.

    `render(roci, id)` answers HTML, or None where there is nothing to show. Values in it must be escaped.
    """

    name: str
    label: str
    on: On
    render: Callable[[Roci, str], Awaitable[str | None]]
    permission: str = ""


@dataclass(frozen=True)
class Subject:
    """The host or application that a page is one of the tabs of."""

    on: On
    id: str
    name: str

    @property
    def path(self) -> str:
        return f"/{self.on}s/{self.id}"


class Hooks(Protocol):
    @hookspec
    def register_pages(self, roci: Roci) -> Iterable[Page]:
        """Return pages, in the order of their entries in the navigation."""

    @hookspec
    def register_tabs(self, roci: Roci) -> Iterable[Tab]:
        """Return tabs of hosts' and applications' pages, in their order."""

    @hookspec
    def register_panels(self, roci: Roci) -> Iterable[Panel]:
        """Return panels of hosts' and applications' pages."""


class Shell:
    """All pages, tabs and panels there are. Reached as `roci.part(Shell)`."""

    def __init__(self, roci: Roci) -> None:
        self.pages: list[Page] = [each for some in reversed(roci.hook.register_pages(roci=roci)) for each in some]
        self.tabs: list[Tab] = [each for some in reversed(roci.hook.register_tabs(roci=roci)) for each in some]
        self.panels: list[Panel] = [each for some in reversed(roci.hook.register_panels(roci=roci)) for each in some]

    @property
    def routes(self) -> list[Blueprint]:
        """Those of all pages and tabs, each once."""
        return list(dict.fromkeys([*(each.routes for each in self.pages), *(each.routes for each in self.tabs)]))

    def entries(self, roci: Roci, who: Actor) -> list[tuple[str, list[Page]]]:
        """What somebody sees of the navigation: groups with their pages."""
        labelled = [page for page in self.pages if page.label]
        seen = [page for page in labelled if not page.permission or roci.may(who, page.permission)]
        groups = [(group, [page for page in seen if page.group == group]) for group in GROUPS]
        return [(group, pages) for group, pages in groups if pages]

    def tabs_of(self, roci: Roci, subject: Subject, who: Actor) -> list[Tab]:
        """What somebody sees of a subject's tabs."""
        mine = [tab for tab in self.tabs if tab.on == subject.on]
        resource = f"{subject.on}/{subject.id}"
        return [
            tab
            for tab in mine
            if (not tab.permission or roci.may(who, tab.permission, resource))
            and (tab.shows is None or tab.shows(roci, subject.id))
        ]

    async def panels_of(self, roci: Roci, on: str, id: str, who: Actor) -> list[tuple[Panel, str]]:
        """Those that have something to show there, with what they show."""
        wanted = [panel for panel in self.panels if panel.on == on]
        allowed = [each for each in wanted if not each.permission or roci.may(who, each.permission, f"{on}/{id}")]
        shown = [(panel, await panel.render(roci, id)) for panel in allowed]
        return [(panel, html) for panel, html in shown if html is not None]


async def render(
    content: str | Markup,
    title: str,
    topics: Sequence[str] = (),
    subject: Subject | None = None,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    libraries: Sequence[str] = (),
    tab: str = "",
    path: str = "",
    **values: Any,
) -> str:
    """A page in its frame; the part of it that `?part=` names comes alone.

    `content`: the name of a template below a templates/ui/, or the HTML itself, with all values in it escaped.
    `topics`: what makes it renew itself, see live.py. `scripts` and `styles`: files of static/ that only this page
    needs; `libraries`: browser libraries, loaded before them. `tab`: the name of the subject's tab that the page is a
    part of, where its address does not say so. `path`: where the page itself lies, if it answers a form that was sent
    to another address; its parts are asked for there.
    """
    part = request.args.get("part")
    if part is not None and not (part.isascii() and part.isalpha()):
        raise Malformed("part: the name of a part of this page")
    who = await actor()
    here = server()
    shell = here.part(Shell)
    g.said = None if part else said()
    return await render_template(
        "ui/bare.html" if part else "ui/frame.html",
        page="ui/content.html" if isinstance(content, Markup) else f"ui/{content}",
        content=content,
        part=part,
        title=title,
        topics=",".join(dict.fromkeys([*topics, *(name for name in TOOLS if here.may(who, f"{name}.read"))])),
        moment=live.moment(),
        groups=shell.entries(here, who),
        subject=subject,
        tabs=shell.tabs_of(here, subject, who) if subject and not part else (),
        who=who,
        may=lambda action, resource="": here.may(who, action, resource),
        token=form_token(),
        asset=assets.url if assets.version() else None,
        static=statics.url,
        scripts=scripts,
        styles=styles,
        libraries=libraries,
        open_tab=tab,
        page_path=path or request.path,
        reload=request.full_path.rstrip("?") if request.method == "GET" else path or request.path,
        said=g.said,
        version=__version__,
        **values,
    )


@hookimpl
def register_hookspecs() -> type:
    return Hooks
