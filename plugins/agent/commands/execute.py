"""A shell line on the host itself, with an environment of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ..process import Stderr

DOCKER = ("DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def environment(site: Site, given: Mapping[str, str], host: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What was given, beside where programs and the home are, and which engine this agent serves."""
    ours = {name: host[name] for name in DOCKER if name in host}
    ours |= {
        "PATH": host.get("PATH", os.defpath),
        "HOME": str(Path.home()),
        "LANG": host.get("LANG", "C.UTF-8"),
    }
    if site.docker_host:
        ours["DOCKER_HOST"] = site.docker_host
    return {**ours, **given}


async def execute(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """`sh -c`, in the home of the agent's user unless a folder is given."""
    home = Path.home()
    folder = args["working_directory"] or (home if home.is_dir() else "/")
    async for text in run(site, ["/bin/sh", "-c", args["command"]], folder, environment(site, args["env"])):
        yield text


async def run(
    site: Site, argv: list[str], folder: str | Path, env: Mapping[str, str], stdin: bytes | None = None
) -> AsyncGenerator[str, None]:
    """A program, its two outputs apart. How it ends is its exit code; only what cannot be run is put in words."""
    program: Any = site.spawn(argv, cwd=folder, env=env, apart=True, stdin=stdin)
    try:
        async with aclosing(program) as output:
            async for text in output:
                yield text
    except StepFailed as error:
        said = {}
        if error.details.get("unstarted"):
            yield Stderr(f"{error.message}\n")
            said = {"reason": error.message}  # tells it from a program that ended with such a code itself
        raise StepFailed("", exit_code=error.details["exit_code"], **said) from None


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"exec": execute}
