"""Restart all containers of one application, one after another, in the order in which they were made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ..engine import engine
from .control import control

PROJECT = "com.docker.compose.project"
ONE_OFF = "com.docker.compose.oneoff"


def in_order(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of a project's containers: what others depend on was made first. Not those of `compose run`."""
    lasting = [one for one in listed if (one.get("Labels") or {}).get(ONE_OFF, "False") != "True"]
    return [str(one["Id"]) for one in sorted(lasting, key=lambda one: one["Created"])]


async def restart(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Prints the name of each container when it is done."""
    chosen = {"label": [f"{PROJECT}={args['project']}"]}
    listed = await engine(site.docker_host).call(lambda api: list(api.containers(all=True, filters=chosen)))
    if not (ids := in_order(listed)):
        raise StepFailed(f"there are no containers of {args['project']} on this host: deploy it again", exit_code=1)
    for id in ids:
        one = {"action": "restart", "container": id, "timeout_seconds": args["timeout_seconds"]}
        async with aclosing(control(site, one)) as pieces:
            async for text in pieces:
                yield text


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"restart": restart}
