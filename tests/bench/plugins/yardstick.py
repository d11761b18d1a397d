"""Loaded into the server under test: a token, a hello route behind the same sign-in, how late the event loop was."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from quart import Blueprint, current_app

from roci import Roci, RociError, Surface, hookimpl
from roci_plugins.domain import access, credentials, principals
from roci_plugins.surfaces.http import public, signed_in

EVERY = 0.002  # seconds between two looks at the loop
routes = Blueprint("bench", __name__)


class Lateness:
    """By how much the loop was late, at every look since the last question. Looks from the first question on.

    `own` is how much of that this process worked meanwhile: the rest is what else ran on this machine.
    """

    def __init__(self, roci: Roci) -> None:
        self.samples: list[float] = []
        self.own: list[float] = []
        self._roci = roci
        self._watching = False

    def take(self) -> dict[str, list[float]]:
        if not self._watching:
            self._watching = True
            self._roci.spawn(self.watch(), "watching the loop")
        taken = {"samples": self.samples, "own": self.own}
        self.samples, self.own = [], []
        return taken

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, worked = clock() + EVERY, time.process_time()
            await asyncio.sleep(EVERY)
            late = clock() - due
            self.samples.append(late)
            self.own.append(min(late, time.process_time() - worked))


@routes.get("/hello")
@signed_in
async def hello() -> Any:
    return {"message": "hello"}


@routes.get("/lateness")
@public
async def lateness() -> Any:
    return current_app.extensions["roci"].part(Lateness).take()


@routes.get("/modules")
@public
async def modules() -> Any:
    return {"modules": sorted(sys.modules)}


def issue_token() -> str:
    """For an administrator of the benches' own."""
    bench = principals.find("bench") or access.add_administrator(principals.NewPrincipal("bench"))
    _, secret = credentials.issue(bench.id, uuid.uuid4().hex)
    return str(secret)


def answer(error: RociError) -> tuple[Any, int]:
    return {"error": error.message}, error.status


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [Surface("bench", "/bench", routes, answer)]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Lateness(roci))
    token = await roci.write(issue_token)
    (roci.settings.data / "bench-token").write_text(token)
    yield
