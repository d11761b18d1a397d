"""Fetch an image that is not here yet, and tell of it in few lines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from roci import StepFailed

from ..engine import Engine, Refused

_NOISE = {"Downloading", "Extracting", "Waiting", "Verifying Checksum", "Download complete"}


async def pull(docker: Engine, image: str) -> AsyncGenerator[str, None]:
    """Yield progress; nothing for an image that is here."""
    try:
        await docker.call(lambda api: api.inspect_image(image))
        return
    except Refused as error:
        if not error.is_missing:
            raise
    async with aclosing(fetch(docker, image)) as progress:
        async for text in progress:
            yield text


async def fetch(docker: Engine, image: str) -> AsyncGenerator[str, None]:
    """Pull it even when it is here. Logins are read anew each time."""
    yield f"pulling {image}\n"
    async with aclosing(docker.stream(lambda api: condensed(api.pull(image, stream=True, decode=True)))) as pieces:
        async for text in pieces:
            yield text


def condensed(progress: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each change of a layer's state, none for its percentages."""
    states: dict[str, str] = {}
    for piece in progress:
        if error := piece.get("error"):
            raise StepFailed(str(error))
        layer, state = piece.get("id", ""), str(piece.get("status", ""))
        if state in _NOISE or not state or states.get(layer) == state:
            continue
        states[layer] = state
        yield f"{layer}: {state}\n" if layer else f"{state}\n"
