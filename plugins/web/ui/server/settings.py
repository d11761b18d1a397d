"""/settings: every setting with its value, where that comes from and what it is for. Secrets are not shown.

ROCI reads its settings when it starts, so they are changed where they are given, never here.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from quart import Blueprint, request

from ....core import configured
from ....core.configured import Section
from ....surfaces.http import needs, server
from ... import shell
from ...language import _

routes = Blueprint("settings", __name__, url_prefix="/settings")


@routes.get("")
@needs("server.read")
async def index() -> Any:
    """All of them; `?text=` narrows them to those that say it, `?given=yes` to those that are not the default."""
    here = server()
    text, given = request.args.get("text", "").strip(), request.args.get("given") == "yes"
    sections = await asyncio.to_thread(configured.all_, here)
    found = [_narrowed(section, text.lower(), given) for section in sections]
    return await shell.render(
        "server/settings.html",
        _("Settings"),
        scripts=("settings.js",),
        styles=("admin.css",),
        sections=[section for section in found if section.settings],
        text=text,
        given=given,
        file=configured.file(here.settings),
    )


def _narrowed(section: Section, text: str, given: bool) -> Section:
    """A section whose own words fit stays whole."""
    is_whole = text in f"{section.name} {section.meaning}".lower()
    kept = [
        each
        for each in section.settings
        if (not given or each.origin is not None)
        and (is_whole or text in f"{each.path} {each.variable} {each.value} {each.meaning}".lower())
    ]
    return dataclasses.replace(section, settings=kept)
