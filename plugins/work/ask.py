"""Questions to a host that change nothing and are answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from roci import Roci, StepFailed, Unavailable

from ..agent import wire
from ..domain.model import new_id
from .execute import check_prunable, owned
from .operate import Operator


async def preview(roci: Roci, host_id: str, what: Sequence[str], unused_images: bool = False) -> dict[str, Any]:
    """What a prune would remove, by kind. Raises Invalid, NotReady, TimedOut, and Unavailable with the host's words."""
    check_prunable(what)
    keep = await owned(roci, host_id)
    question = wire.PrunePreview(command_id=new_id(), what=list(what), unused_images=unused_images, keep=keep)
    try:
        async with aclosing(roci.part(Operator).calls.ask(host_id, question)) as pieces:
            text = "".join([piece async for piece in pieces])
        return msgspec.json.decode(text, type=dict[str, Any])
    except StepFailed as error:
        raise Unavailable(error.message) from None
    except msgspec.DecodeError:
        raise Unavailable("the host's answer cannot be read: update its agent") from None
