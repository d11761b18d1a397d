"""Ask registries whether they have other images under the names that run here. Nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from roci import Command, Site, hookimpl

from ..engine import engine


async def check(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """One JSON object: for each image its digests here, and the registry's or why it is not known."""
    told = {}
    # A stream has a client of its own, which reads this host's logins anew.
    async with aclosing(engine(site.docker_host).stream(lambda api: compared(api, args["images"]))) as pieces:
        async for image, said in pieces:
            told[image] = said
    yield json.dumps(told)


def compared(api: Any, images: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """By docker's low-level client. What was built here came from no registry, so none hears of its name."""
    import docker.errors
    import requests

    for image in images:
        try:
            here = [digest.partition("@")[2] for digest in api.inspect_image(image)["RepoDigests"] or ()]
            there = api.inspect_distribution(image)["Descriptor"]["digest"] if here else None
            yield image, {"local": here, "remote": there}
        except docker.errors.APIError as error:
            yield image, {"error": str(error.explanation or error)[:300]}
        except requests.RequestException as error:
            yield image, {"error": f"the engine did not answer: {type(error).__name__}"}


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"image_check": check}
