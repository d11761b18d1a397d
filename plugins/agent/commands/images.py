"""Fetch an image, or the newer one of its name."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ..engine import engine
from ..process import Stderr
from .hints import hint
from .pulling import fetch


async def pull(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Pulls even what is here; with the logins that this host has."""
    try:
        async with aclosing(fetch(engine(site.docker_host), args["image"])) as progress:
            async for text in progress:
                yield text
    except StepFailed as error:
        yield Stderr("\n".join(filter(None, [error.message, hint(error.message)])) + "\n")
        raise StepFailed("", exit_code=1) from None


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"image_pull": pull}
