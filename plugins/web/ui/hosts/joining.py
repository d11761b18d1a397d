"""/hosts/add: the line that makes another machine a host, and the host as soon as it appears."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlsplit

from quart import Blueprint, redirect, request

from roci import now

from ....agent.hub import Hub
from ....core.serve import Listening
from ....core.settings import is_loopback
from ....surfaces.http import moment, needs, server
from ... import shell
from ...install import line_here
from ...language import _
from .. import shown

routes = Blueprint("joining", __name__)


@routes.get("/hosts/add")
@needs("hosts.read")
async def show() -> Any:
    """The page knows since when it waits by `since`: it may be loaded again, or be sent to somebody else."""
    if not (text := request.args.get("since")):
        return redirect(f"/hosts/add?since={now():%Y-%m-%dT%H:%M:%SZ}", 303)
    return await shell.render(
        "hosts/add_host.html",
        _("Add a host"),
        ("hosts",),
        line=line_here(),
        deaf=deaf(),
        newcomers=_newcomers(moment("since", text)),
        tone=shown.tone,
    )


def _newcomers(since: datetime.datetime) -> list[shown.HostRow]:
    """Hosts that came since then, the newest first."""
    here = server()
    found = [live for live in here.part(Hub).roster.values() if live.host.created_at >= since]
    return [shown.host_row(here, live) for live in sorted(found, key=lambda live: live.host.created_at, reverse=True)]


def deaf() -> str:
    """The `bind` that others need, where no other machine can reach this server. Else empty.

    Then it listens on loopback addresses only, and nobody passes it on.
    """
    listening = server().find(Listening)
    if listening is None or server().settings.public_url:
        return ""
    hosts = [urlsplit(url).hostname or "" for url in listening.urls]
    return listening.for_others if hosts and all(map(is_loopback, hosts)) else ""
