"""The commands behind the compose backend: write the file, then let Docker Compose v2 do the rest.

Stop, start and down go by the project's name alone. So they need neither the file nor the variables it was
deployed with, and work for an application whose folder is gone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from .compose_cli import find
from .folders import folder, inside, put
from .hints import advised

FILE = "docker-compose.yml"
QUIET = ("--ansi", "never", "--progress", "plain")
INHERITED = ("DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def argv(cli: str, project: str, words: Sequence[str], at: Path | None = None) -> list[str]:
    """The program and its arguments; `at` is the application's folder, where the file is needed."""
    file = ["-f", str(at / FILE), "--project-directory", str(at)] if at else []
    return [cli, *QUIET, "-p", project, *file, *words]


def environment(site: Site, host: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What Compose may see: the variables declared for this run, and of the host what Docker needs to work."""
    ours = {name: host[name] for name in INHERITED if name in host}
    ours |= {"PATH": host.get("PATH", os.defpath), "HOME": str(Path.home()), "VOLUME_BASE": str(site.volume_base)}
    if site.docker_host:
        ours["DOCKER_HOST"] = site.docker_host
    return {**site.variables, **ours}


def write(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Put the Compose file into the application's folder; what else lies there stays."""
    return advised(_write(site, args))


async def _write(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    at = folder(site.volume_base, args["app"], make=True)
    for path in args.get("files", ()):
        inside(at, path)
    put(at / FILE, args["text"])
    yield f"wrote {at / FILE}\n"


async def up(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Compose reads the whole file before it touches anything, so a bad one changes nothing."""
    newer = ("--pull", "always") if args.get("pull") else ()
    async for text in _run(site, args, "up", "-d", "--remove-orphans", *newer, file=True):
        yield text


async def stop(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    async for text in _run(site, args, "stop"):
        yield text


async def start(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Start the containers there are; make those that are missing, but never replace one.

    A start has no secrets: a container made anew would lack them, so what exists is kept as it is.
    """
    try:
        async for text in _run(site, args, "start"):
            yield text
    except StepFailed:
        if not (folder(site.volume_base, args["app"]) / FILE).exists():
            raise
        yield "not every container could be started: looking for missing ones\n"
        async for text in _run(site, args, "up", "-d", "--no-recreate", file=True):
            yield text


async def down(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Remove the containers and networks; volumes and folders stay."""
    async for text in _run(site, args, "down", "--remove-orphans"):
        yield text


async def forget(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Remove the file that was written, and nothing else."""
    file = folder(site.volume_base, args["app"]) / FILE
    if file.is_file() or file.is_symlink():
        file.unlink()
        yield f"removed {file}; everything else in its folder stays\n"


async def _run(site: Site, args: Mapping[str, Any], *words: str, file: bool = False) -> AsyncGenerator[str, None]:
    cli = await find(site.spawn)
    at = folder(site.volume_base, args["app"]) if file else None
    if at and not at.is_dir():
        raise StepFailed(f"{at} is gone: deploy the application again")
    program: Any = site.spawn(argv(cli, args["project"], words, at), cwd=at or "/", env=environment(site))
    async with aclosing(advised(program)) as output:
        async for text in output:
            yield text


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {
        "compose.write": write,
        "compose.up": up,
        "compose.stop": stop,
        "compose.start": start,
        "compose.down": down,
        "compose.forget": forget,
    }
