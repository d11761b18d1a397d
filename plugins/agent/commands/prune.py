"""Remove what nothing on this host uses, and tell beforehand exactly what that would be.

What belongs to an application is left alone, whether it runs or is stopped. Nothing is forced: what somebody begins
to use in between stays.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from roci import Command, Site, StepFailed, Unavailable, hookimpl

from ..engine import CHANGE, Engine, Refused, engine
from .unused import Inventory, Thing, deployed, inventory, measured, unused

ADDING_UP = 60.0  # seconds that an engine has to say how big things are
NAMED = 100  # of what went; a result has room for so much
KINDS = ("containers", "networks", "volumes", "images", "build_cache")  # what comes first frees what follows


async def preview(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """One JSON object: for each kind the things that would go, under `spared` those that stay, and why."""
    chosen, spared = await _choose(site, args)
    told: dict[str, Any] = {kind: [thing.told() for thing in things] for kind, things in chosen.items()}
    told["spared"] = [{"what": thing.kind, **thing.told(), "why": thing.spared} for thing in spared]
    yield json.dumps(told)


async def prune(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """One JSON object: for each kind how many went, the bytes that they took, the first names, and what stayed."""
    docker = engine(site.docker_host)
    chosen, _ = await _choose(site, args)
    yield json.dumps({kind: await _remove(docker, things) for kind, things in chosen.items()})


async def _choose(site: Site, args: Mapping[str, Any]) -> tuple[dict[str, list[Thing]], list[Thing]]:
    kinds = [kind for kind in KINDS if kind in args["what"]]
    if unknown := set(args["what"]) - set(KINDS):
        raise StepFailed(f"{sorted(unknown)[0]!r} is nothing that can be pruned", exit_code=1)
    docker, base = engine(site.docker_host), site.volume_base.resolve()
    ours = frozenset(args.get("keep", ())) | await docker.call(lambda api: deployed(base))
    found = await docker.call(inventory, limit=CHANGE)
    await _measure(docker, found, needed="build_cache" in kinds)
    return unused(found, kinds, args["unused_images"], base, ours)


async def _measure(docker: Engine, found: Inventory, needed: bool) -> None:
    """Adding up takes an engine long that has much: then sizes stay unknown. Only it knows of the build cache."""
    try:
        measured(await docker.call(lambda api: api.df(), limit=ADDING_UP), found)
    except Unavailable:
        if needed:
            raise


async def _remove(docker: Engine, things: list[Thing]) -> dict[str, Any]:
    removed: list[Thing] = []
    kept = []
    for thing in things:
        try:
            await docker.change(thing.remove)
            removed.append(thing)
        except Refused as error:
            if not error.is_missing:  # somebody else was faster
                kept.append({"name": thing.name, "why": error.message})
    told: dict[str, Any] = {"count": len(removed), "bytes": sum(thing.size or 0 for thing in removed)}
    told["removed"] = [thing.name for thing in removed[:NAMED]]
    return {**told, "kept": kept[:NAMED]} if kept else told


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"prune": prune, "prune_preview": preview}
