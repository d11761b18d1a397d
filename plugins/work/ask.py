"""Questions to a host that change nothing and are answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from roci import Invalid, Roci, StepFailed, Unavailable

from ..agent import wire
from ..domain.model import new_id
from .execute import check_prunable, owned
from .operate import Operator

T = TypeVar("T")
INVENTORY = ("images", "volumes", "networks")


class Found(msgspec.Struct):
    """One image, volume or network; what a host does not say of it is not known."""

    id: str = ""
    name: str = ""
    tags: list[str] = []
    digests: list[str] = []
    driver: str = ""
    scope: str = ""
    project: str | None = None
    size: int | None = None
    created: int | str | None = None  # of images seconds since 1970, of volumes ISO 8601
    internal: bool = False
    subnets: list[str] = []
    users: int = 0
    used_by: list[str] = []  # some of them


class Stock(msgspec.Struct):
    """What a host has of one kind; `things` may be fewer than there are."""

    count: int
    things: list[Found]


async def preview(roci: Roci, host_id: str, what: Sequence[str], unused_images: bool = False) -> dict[str, Any]:
    """What a prune would remove, by kind.

    Raises Invalid, NotReady, TooMany for a host that has enough to answer, TimedOut, Unavailable with the host's words.
    """
    check_prunable(what)
    keep = await owned(roci, host_id)
    question = wire.PrunePreview(command_id=new_id(), what=list(what), unused_images=unused_images, keep=keep)
    return await _answer(roci, host_id, question, dict[str, Any])


async def inventory(roci: Roci, host_id: str, what: str, sizes: bool = False) -> Stock:
    """The images, volumes or networks on a host. Raises as `preview` does."""
    if what not in INVENTORY:
        raise Invalid(f"what: one of {', '.join(INVENTORY)}")
    return await _answer(roci, host_id, wire.Inventory(command_id=new_id(), what=what, sizes=sizes), Stock)


async def _answer(roci: Roci, host_id: str, question: wire.Hand, kind: type[T]) -> T:
    try:
        async with aclosing(roci.part(Operator).calls.ask(host_id, question)) as pieces:
            text = "".join([piece async for piece in pieces])
        return msgspec.json.decode(text, type=kind)
    except StepFailed as error:
        raise Unavailable(error.message) from None
    except msgspec.DecodeError:
        raise Unavailable("the host's answer cannot be read: update its agent") from None
