"""Log this host in at a registry, and out: by the docker program, whose store deploys and pulls read too.

The password is only ever written to that program's standard input.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ..process import Stderr
from .compose import environment
from .execute import run

MISSING = (
    "the docker program is not installed on this host, and only it keeps logins: install it with "
    "`apt-get install docker.io`, or `docker-ce-cli` from Docker's own repository\n"
)


def login_words(args: Mapping[str, Any]) -> list[str]:
    return ["login", f"--username={args['username']}", "--password-stdin", "--", args["registry_url"]]


def logout_words(args: Mapping[str, Any]) -> list[str]:
    return ["logout", "--", args["registry_url"]]


async def log_in(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    async for text in _docker(site, login_words(args), args["password"].encode()):
        yield text


async def log_out(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    async for text in _docker(site, logout_words(args)):
        yield text


async def _docker(site: Site, words: Sequence[str], stdin: bytes | None = None) -> AsyncGenerator[str, None]:
    program = shutil.which("docker", path=os.environ.get("PATH", os.defpath))
    if program is None:
        yield Stderr(MISSING)
        raise StepFailed("", exit_code=127)
    async for text in run(site, [program, *words], "/", environment(site), stdin):
        yield text


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"registry_login": log_in, "registry_logout": log_out}
