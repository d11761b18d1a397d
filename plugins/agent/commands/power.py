"""Restart the machine itself. Asked for by name only, and a moment later, so that the answer is on its way."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ..process import Stderr

DELAY = 2.0  # seconds
PROGRAMS = (("systemctl", "reboot"), ("shutdown", "-r", "+0"))
MISSING = (
    "this host has neither systemctl nor shutdown, as in a container: an agent can restart only the machine that it "
    "runs on\n"
)


def reboot(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    return reboot_after(DELAY, site)


async def reboot_after(delay: float, site: Site) -> AsyncGenerator[str, None]:
    """Raises StepFailed when the machine goes on; else it may be ended at any moment from here on."""
    path = os.environ.get("PATH", os.defpath)
    found = [(program, *words) for name, *words in PROGRAMS if (program := shutil.which(name, path=path))]
    if not found:
        yield Stderr(MISSING)
        raise StepFailed("", exit_code=127)
    yield "this host restarts in a moment\n"
    await asyncio.sleep(delay)
    for argv in found:
        try:
            async for text in site.spawn(argv, cwd="/", env={"PATH": path}, apart=True):
                yield text
            return
        except StepFailed as error:
            yield Stderr(f"{error.message}\n")
    raise StepFailed("", exit_code=126)


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"reboot": reboot}
