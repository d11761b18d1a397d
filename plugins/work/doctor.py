"""What is wrong with this installation, and the command that mends it. Each check answers with findings.

A check looks and never changes anything. What it looks at is given to it, so that it can be tried on anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import errno
import http.client
import json
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

from roci import Roci, Settings, StartupError, StepFailed, core, now

from ..agent import engine as docker
from ..agent.commands import compose_cli
from ..agent.process import spawn
from ..agent.worker import AgentSettings
from ..domain import keyring
from . import backup, restore

OLDEST_PYTHON = (3, 11)
LITTLE_SPACE = 500 << 20
# Filesystems whose locks cannot be trusted with a database.
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "fuse.rclone"}
RELEASED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # no right clock is earlier


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the report. `mend` is what to do about it, a command where there is one."""

    level: Literal["ok", "warn", "FAIL"]
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.what}" + (f"  -> {self.mend}" if self.mend else "")


def ok(what: str) -> Finding:
    return Finding("ok", what)


def warn(what: str, mend: str) -> Finding:
    return Finding("warn", what, mend)


def fail(what: str, mend: str) -> Finding:
    return Finding("FAIL", what, mend)


def inspect(config: str | None) -> Iterator[Finding]:
    """Every finding, the quick ones first."""
    yield python()
    try:
        settings = core("settings").load(config)
    except StartupError as error:
        yield fail(f"the settings: {error.message}", f"edit {config or 'the environment'}; roci init - shows all")
        return
    roci, finding = load(settings)
    yield finding
    yield from look_at_data(settings, roci)
    yield from privacy([*([Path(config)] if config else []), *secret_files(settings.data)])
    for address in settings.bind:
        yield port(address)
    yield clock(settings.data)
    yield from asyncio.run(look_at_docker(settings))


def load(settings: Settings) -> tuple[Roci | None, Finding]:
    """All plugins, as the server would load them."""
    try:
        roci = Roci(settings)
    except StartupError as error:
        return None, fail(f"the server would not start: {error.message}", "mend it, or leave it out: disable")
    return roci, ok(f"{len(roci.pm.list_name_plugin())} plugins load")


def look_at_data(settings: Settings, roci: Roci | None) -> Iterator[Finding]:
    data, flatten = settings.data, core("loading").flatten
    yield from folder(data)
    yield space(data)
    yield filesystem(data, mounts())
    known = {migration.name for migration in flatten(roci.hook.register_migrations())} if roci else None
    yield database(data, known)
    yield from stored_secrets(data)


async def look_at_docker(settings: Settings) -> list[Finding]:
    """This machine's own engine; those of other hosts are their agents' business."""
    try:
        mine = core("settings").read_section(AgentSettings, settings)
    except StartupError:  # said already, where the plugins were loaded
        mine = AgentSettings()
    found = engine(await docker.engine(mine.engine).ping(), settings.local_agent)
    try:
        await compose_cli.find(spawn)
    except StepFailed as error:
        return [found, compose(error.message)]
    return [found, compose(None)]


def python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return fail(f"Python {text} is too old", "install Python 3.11 or newer, and ROCI into a venv made with it")
    return ok(f"Python {text}")


def folder(data: Path) -> list[Finding]:
    """The data directory, or the nearest folder above it that exists."""
    if not data.exists():
        above = next(parent for parent in data.absolute().parents if parent.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            return [fail(f"{data} does not exist and cannot be made", f"sudo install -d -m 700 -o $USER {data}")]
        return [ok(f"{data} does not exist yet; the first start makes it")]
    if not data.is_dir():
        return [fail(f"{data} is not a folder", "set data_dir to a folder")]
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        return [fail(f"{data} is not writable", f"sudo chown -R $USER {data}, or run as its owner")]
    if data.stat().st_mode & 0o077:
        return [ok(f"{data} is writable"), warn(f"others may look into {data}", f"chmod 700 {data}")]
    return [ok(f"{data} is writable, and nobody else's")]


def space(data: Path, free: int | None = None) -> Finding:
    """`free` is in bytes; None: ask the disk."""
    free = shutil.disk_usage(_existing(data)).free if free is None else free
    if free < LITTLE_SPACE:
        return warn(f"only {free >> 20} MiB are free for {data}", "free some space: docker system prune, for one")
    return ok(f"{free >> 30} GiB are free for {data}")


def mounts() -> str:
    """What is mounted where, as the kernel has it; nothing where it does not tell."""
    path = Path("/proc/mounts")
    return path.read_text() if path.exists() else ""


def filesystem(data: Path, mounts: str) -> Finding:
    """`mounts` is the text of /proc/mounts."""
    path = _existing(data).resolve()
    best, kind = "", ""
    for line in mounts.splitlines():
        _, point, this, *_ = line.split()
        point = point.encode().decode("unicode_escape")  # a space is \\040 there
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, this
    if kind in REMOTE:
        what = f"{data} lies on a network filesystem ({kind}), whose locks do not keep a database whole"
        return fail(what, "set data_dir to a local disk")
    return ok(f"{data} lies on a local filesystem ({kind or 'unknown'})")


def database(data: Path, known: Collection[str] | None) -> Finding:
    """`known` are the names of the migrations this program has; None: nobody can tell."""
    path = data / backup.DATABASE
    if (data / restore.STAGE / restore.NOTE).exists():
        return fail("a restore was interrupted", "roci restore --finish")
    if not path.exists():
        return ok("there is no database yet; the first start makes it")
    try:
        said, applied = backup.look(path, lambda db: (backup.verdict(db), backup.applied(db)))
    except sqlite3.Error as error:
        said, applied = str(error), []
    if said != "ok":
        return fail(f"the database is damaged: {said}", "stop ROCI, then: roci restore --force BACKUP")
    if known is not None and (unknown := sorted(set(applied) - set(known))):
        what = f"the database was made by a newer ROCI or with a plugin that is missing: {', '.join(unknown)}"
        return fail(what, "pip install --upgrade roci, or install the plugin again")
    return ok("the database is whole")


def stored_secrets(data: Path) -> list[Finding]:
    """Whether the key file is there, nobody else's, and opens every stored secret; no value is shown."""
    path, restored = data / keyring.FILE, "put the key file back from a backup, or: roci secret forget"
    try:
        used = keyring.used_keys(data / backup.DATABASE)
        if not path.exists():
            missing = fail(f"{sum(used.values())} secrets cannot be read: {path} is missing", restored)
            return [missing] if used else [ok("there are no secrets yet")]
        keys = keyring.load(path)
        if lost := sum(count for key, count in used.items() if key not in keys.keys):
            return [fail(f"{lost} secrets cannot be read: {path} lacks their keys", restored)]
        broken = keyring.unopened(keyring.Keyring(path, data / backup.DATABASE))
    except sqlite3.Error:  # said already, where the database was looked at
        return []
    except StartupError as error:
        what, _, mend = error.message.partition(": ")
        return [fail(what, mend)]
    found = [fail(f"the secret {name} is damaged", "set it again: roci secret set") for name in broken[:5]]
    if len(keys.keys) > 1:
        found.append(warn(f"{path} holds old keys: a rotation was interrupted", "roci secret rotate"))
    return found or [ok(f"{sum(used.values())} secrets open")]


def privacy(paths: Iterable[Path]) -> list[Finding]:
    """Files with secrets in them: keys, the database, the settings."""
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            mode = path.stat().st_mode
            if mode & 0o007:
                found.append(fail(f"everybody on this machine may read {path}", f"chmod 600 {path}"))
            elif mode & 0o070:
                found.append(warn(f"a group may read {path}", f"chmod 600 {path}"))
    return found or [ok("keys and settings are readable by their owner only")]


def port(address: str) -> Finding:
    """Whether the server could listen there, or does."""
    try:
        host, number = core("settings").split_address(address)
        family, *_, where = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    except (StartupError, OSError) as error:
        return fail(
            f"bind: {address} is no address of this machine: {error}", "set bind to one, such as 127.0.0.1:8080"
        )
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            return _taken(address, host, number, error)
    return ok(f"{address} is free")


def _taken(address: str, host: str, number: int, error: OSError) -> Finding:
    if error.errno == errno.EACCES:
        return fail(f"only root may listen on {address}", "set bind to a port above 1023")
    if error.errno != errno.EADDRINUSE:
        return fail(f"cannot listen on {address}: {error.strerror}", "set bind to an address of this machine")
    if version := running(host, number):
        return ok(f"ROCI {version} listens on {address}")
    return fail(f"another program listens on {address}", f"stop it (ss -ltnp 'sport = :{number}'), or set another bind")


def running(host: str, number: int) -> str | None:
    """The version of the ROCI that answers on a port, if one does."""
    connection = http.client.HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), number, timeout=2)  # noqa: S104
    try:
        connection.request("GET", "/api/v1/health/lite")
        answer = json.loads(connection.getresponse().read(1000))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    is_roci = isinstance(answer, dict) and set(answer) == {"status", "version"}
    return str(answer["version"]) if is_roci else None


def clock(data: Path, time: datetime.datetime | None = None) -> Finding:
    """A clock that is wrong breaks one-time codes, sign-ins and time windows."""
    time = time or now()
    newest = max((path.stat().st_mtime for path in secret_files(data)), default=0.0)
    if time < RELEASED or newest > time.timestamp() + 3600:
        what = f"the clock says {time:%Y-%m-%d %H:%M} UTC, which was earlier already"
        return fail(what, "sudo timedatectl set-ntp true, and wait a minute")
    return ok(f"the clock says {time:%Y-%m-%d %H:%M} UTC")


def engine(problem: str | None, is_needed: bool = True) -> Finding:
    """`problem` is what the engine's ping said, with the command; it is needed where this machine is a host itself."""
    if problem is None:
        return ok("the Docker engine answers")
    what, _, mend = problem.partition(": ")
    return Finding("FAIL" if is_needed else "warn", what, mend or "see `docker info`")


def compose(problem: str | None) -> Finding:
    """`problem` is what the finder of Compose v2 said, with the command."""
    if problem is None:
        return ok("Docker Compose v2 is there")
    what, _, mend = problem.partition(": ")
    return warn(what, mend)


def secret_files(data: Path) -> Iterator[Path]:
    """The files of the data directory, as far as they may be seen; all of them are ROCI's own business."""
    with contextlib.suppress(OSError):
        yield from backup.files(data)


def _existing(path: Path) -> Path:
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
