"""/system: how this ROCI is, what it is made of, and a backup to take away."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import os
import platform
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from quart import Blueprint, Response, request

from roci import Actor, Permission, Roci, RociError, __version__, hookimpl, now

from ....agent.hub import Hub
from ....core import listing
from ....core.app import refused
from ....core.listing import Listed
from ....domain import backups
from ....domain.events import Recorded
from ....surfaces.http import actor, needs, server
from ....work import backup as archives
from ....work import usage
from ....work.health import Health
from ....work.lag import Lag
from ....work.usage import Usage
from ... import shell
from ...forms import sent
from ...language import _
from .. import shown

routes = Blueprint("system", __name__, url_prefix="/system")
CHUNK = 1 << 20  # bytes of a download read at a time
BESIDE = ("roci.db", "roci.db-wal", "metrics.db", "metrics.db-wal")


@dataclasses.dataclass(frozen=True)
class State:
    """What changes from moment to moment."""

    problems: dict[str, str]
    checks: Sequence[str]
    uptime: datetime.timedelta
    used: Usage
    sizes: dict[str, int]
    lag: Lag
    waiting: int  # writes that the database has not begun with
    connected: int
    hosts: int


@dataclasses.dataclass(frozen=True)
class Agent:
    """A host's agent, with its version; `engine` is what is wrong with its Docker engine, as far as is known."""

    host_id: str
    name: str
    version: str | None
    machine: str
    is_connected: bool
    engine: str | None


async def _state(here: Roci) -> State:
    health, hub = here.part(Health), here.part(Hub)
    used, sizes = await asyncio.to_thread(lambda: (usage.measure(here.settings.data), _sizes(here.settings.data)))
    return State(
        await health.problems(),
        sorted(here.health_checks),
        datetime.timedelta(seconds=health.uptime),
        used,
        sizes,
        here.part(Lag),
        here.store.waiting,
        sum(live.is_connected and live.is_approved for live in hub.roster.values()),
        sum(live.is_approved for live in hub.roster.values()),
    )


def _sizes(data: Path) -> dict[str, int]:
    """Bytes of the database and of the history of metrics, with what lies beside each."""
    found = {"roci.db": 0, "metrics.db": 0}
    for name in BESIDE:
        path = data / name
        found[name.removesuffix("-wal")] += path.stat().st_size if path.exists() else 0
    return found


def _agents(here: Roci, who: Actor) -> list[Agent]:
    rows = [
        Agent(
            live.host.id,
            live.host.hostname,
            live.host.agent_version,
            " ".join(filter(None, [live.host.os, live.host.arch])),
            live.is_connected,
            live.engine_error,
        )
        for live in here.part(Hub).roster.values()
        if live.is_approved and shown.sees(here, who, live.host.id)
    ]
    return sorted(rows, key=lambda row: row.name.lower())


def _plugins(here: Roci) -> list[Listed]:
    """Those of others first."""
    found = [*listing.of(here.pm), *map(listing.left_out, here.settings.disable)]
    return sorted(found, key=lambda each: (each.is_built_in, not each.is_disabled))


@routes.get("")
@needs("server.read")
async def index() -> Any:
    """How it is now, what it is made of."""
    return await _page()


async def _page(error: RociError | None = None, recipients: str = "") -> Any:
    here = server()
    if error is not None:
        await refused(here, error)
    part = request.args.get("part")
    made: list[Recorded] = await here.read(backups.latest) if part in (None, "backups") else []
    page = await shell.render(
        "server/system.html",
        _("System"),
        ("hosts", "beats", "backup"),
        styles=("admin.css",),
        path="/system",
        state=await _state(here) if part in (None, "state") else None,
        agents=_agents(here, await actor()) if part in (None, "agents") else [],
        plugins=[] if part else await asyncio.to_thread(_plugins, here),
        versions={"ROCI": __version__, "Python": platform.python_version(), "SQLite": sqlite3.sqlite_version},
        machine=f"{platform.system()} {platform.machine()}",
        data=here.settings.data,
        backups=made,
        recipients=recipients,
        message=error.message if error else None,
    )
    return page, error.status if error else 200


# --- a backup --------------------------------------------------------------------


@routes.post("/backup")
@needs("server.backup")
async def backup() -> Any:
    """All that ROCI must not lose, as of this moment; encrypted for the keys that are given. It is in the audit."""
    form, here = await sent(), server()
    typed = form.get("recipients", "").strip()
    try:
        keys = await asyncio.to_thread(archives.recipients_of, [typed]) if typed else []
        file, size = await asyncio.to_thread(_made, here.settings.data, keys)
    except RociError as error:
        return await _page(error, typed)
    name = f"roci-{now():%Y%m%d-%H%M%S}.tar{'.age' if keys else ''}"
    try:
        await here.write(backups.note, name, size, bool(keys))
    except BaseException:
        file.close()
        raise
    response = Response(_chunks(file), content_type="application/octet-stream")
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None  # a large one takes as long as it takes
    return response


def _made(data: Path, keys: Sequence[Any]) -> tuple[BinaryIO, int]:
    """The archive in a file that has no name, so that nothing of it stays, whatever happens to the reader."""
    file = cast(BinaryIO, tempfile.TemporaryFile(dir=data, suffix=".tmp"))  # noqa: SIM115  closed by who reads it
    try:
        archives.create(data, file, keys)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, size


async def _chunks(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("server.read", "see how ROCI itself is, its settings without secrets, its plugins"),
        Permission("server.backup", "take a backup away: everything ROCI knows, the keys of all secrets included"),
    ]
