"""Newer images: once a day the hosts ask the registries about the images that run on them, a few at a time.

The hosts ask, as they are the ones that may reach a registry and are logged in there. A registry that does not answer,
or an image that came from none, changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from roci import Event, NotReady, Roci, RociError, Task, hookimpl

from ..agent import wire
from ..agent.hub import Hub, Live
from ..domain.hosts import HostRemoved
from ..domain.model import new_id
from ..domain.operations import OperationFinished
from .alerts.live import Judge
from .operate import Operator

log = logging.getLogger("roci.updates")
FIRST = (600.0, 3600.0)  # seconds after a host is first seen that it is asked, so that not all are at once
LOOK = 60.0  # seconds between two looks at whose turn it is
AGAIN = 600.0  # seconds after which a host is asked again that could not answer
BATCH = 10  # images of one question
NAMELESS = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
BRINGING = ("deploy", "image_pull")  # operations that may bring the newer image


class Said(msgspec.Struct):
    """Of one image."""

    local: list[str] = []
    remote: str | None = None
    error: str | None = None

    @property
    def is_outdated(self) -> bool | None:
        """None: nobody knows."""
        return None if self.error else bool(self.local) and self.remote is not None and self.remote not in self.local


_answer = msgspec.json.Decoder(dict[str, Said])


def images_of(containers: Sequence[wire.Container]) -> dict[str, list[str]]:
    """The images that run by a name that may come to mean another one, and the containers of each."""
    found: dict[str, list[str]] = {}
    for each in containers:
        if each.status == "running" and each.image and "@" not in each.image and not NAMELESS.fullmatch(each.image):
            found.setdefault(each.image, []).append(each.name)
    return found


class Updates:
    """Reached as `roci.part(Updates)`."""

    def __init__(self, roci: Roci) -> None:
        self._roci, self._hub, self._judge = roci, roci.part(Hub), roci.part(Judge)
        self._due: dict[str, float] = {}
        self._asked: dict[tuple[str, str], float] = {}  # when an image of a host was last asked for

    async def look(self) -> None:
        """Ask the hosts whose turn it is, one after the other."""
        clock = asyncio.get_running_loop().time
        for host_id, live in list(self._hub.roster.items()):
            due = self._due.setdefault(host_id, clock() + random.uniform(*FIRST))  # noqa: S311  no secret
            if due <= clock() and self._may_ask(live):
                self._due[host_id] = clock() + AGAIN
                if await self.check(host_id) and host_id in self._due:
                    self._due[host_id] = clock() + self._judge.settings.update_hours * 3600

    def _may_ask(self, live: Live) -> bool:
        offers = live.link is not None and wire.kind_of(wire.ImageCheck) in live.link.capabilities
        approved = live.host.status == "approved"
        return offers and approved and self._judge.settings.is_on("image_update", live.host.hostname)

    async def check(self, host_id: str) -> bool:
        """Ask one host about the images that were not asked about for longest. Whether it answered."""
        live = self._hub.roster.get(host_id)
        if live is None or (containers := live.containers) is None:
            return False
        used = images_of(containers)
        for key in self._judge.board.held(host_id, "image_update"):
            if key.subject not in used:
                self._judge.board.well(key)
        self._asked = {key: at for key, at in self._asked.items() if key[0] != host_id or key[1] in used}
        turn = sorted(used, key=lambda image: (self._asked.get((host_id, image), 0.0), image))
        return await self._ask_all(host_id, turn[: self._judge.settings.updates], used)

    async def check_again(self, host_id: str) -> None:
        """Whether what was outdated still is."""
        live = self._hub.roster.get(host_id)
        used = images_of((live and live.containers) or ())
        await self._ask_all(host_id, [key.subject for key in self._judge.board.keys(host_id, "image_update")], used)

    async def _ask_all(self, host_id: str, images: Sequence[str], used: Mapping[str, Sequence[str]]) -> bool:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            try:
                said = await self._ask(host_id, batch)
            except RociError as error:
                log.info("the images on %s could not be looked up: %s", host_id, error.message)
                return False
            for image in batch:
                self._asked[host_id, image] = asyncio.get_running_loop().time()
                answer = said.get(image, Said(error="not answered"))
                if answer.error:
                    log.debug("%s on %s: %s", image, host_id, answer.error)
                self._judge.update(host_id, image, answer.is_outdated, used.get(image, ()))
        return True

    async def _ask(self, host_id: str, images: Sequence[str]) -> dict[str, Said]:
        question = wire.ImageCheck(command_id=new_id(), images=list(images))
        async with aclosing(self._roci.part(Operator).calls.ask(host_id, question)) as pieces:
            text = "".join([piece async for piece in pieces])
        try:
            return _answer.decode(text)
        except msgspec.DecodeError:
            raise NotReady("its answer cannot be read: update its agent") from None

    def forget(self, host_id: str) -> None:
        self._due.pop(host_id, None)
        self._asked = {key: at for key, at in self._asked.items() if key[0] != host_id}


@hookimpl
@asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Updates(roci))
    yield


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [Task("look for newer images", LOOK, lambda: roci.part(Updates).look())]


@hookimpl
def on_event(roci: Roci, event: Event) -> Any:
    if isinstance(event, HostRemoved):
        roci.part(Updates).forget(event.host_id)
    elif isinstance(event, OperationFinished) and _may_mend(roci, event):
        roci.spawn(roci.part(Updates).check_again(event.host_id), "look at outdated images again")


def _may_mend(roci: Roci, event: OperationFinished) -> bool:
    brought = event.kind in BRINGING and event.status == "succeeded"
    return brought and bool(roci.part(Judge).board.keys(event.host_id, "image_update"))
