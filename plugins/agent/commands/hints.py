"""What to do next, for the failures that everybody meets sooner or later."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from roci import StepFailed

# The first pattern found in the end of the output gives the advice.
_HINTS = (
    (
        r"pull access denied|manifest (for .* )?(unknown|not found)|repository does not exist"
        r"|failed to resolve reference|no such image|image .* not found|name unknown|unauthorized: ",
        "hint: the image cannot be pulled. Check its name and tag; for a private registry, sign this host in.",
    ),
    (
        r"port is already allocated|address already in use|ports are not available",
        "hint: a port is taken. See by what with `docker ps` or `ss -ltnp`, then stop that or publish another port.",
    ),
    (
        r"no space left on device",
        "hint: the disk is full. See `docker system df`; `docker system prune` removes what nothing uses.",
    ),
    (
        r"permission denied while trying to connect|docker\.sock: connect: permission denied",
        "hint: the agent may not use Docker. Run `sudo usermod -aG docker USER` for its user, then restart it.",
    ),
    (
        r"cannot connect to the docker daemon|is the docker daemon running|error during connect",
        "hint: the Docker engine does not answer. Start it with `sudo systemctl start docker`.",
    ),
    (
        r"no such host|temporary failure in name resolution|i/o timeout|tls handshake timeout|dial tcp .*: connect:",
        "hint: the registry cannot be reached. Check this host's network and name server.",
    ),
)


def hint(output: str) -> str | None:
    """What to do next, for endings that are well known."""
    for pattern, advice in _HINTS:
        if re.search(pattern, output, re.IGNORECASE):
            return advice
    return None


async def advised(output: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """The same output; when it ends in a well-known failure, one more line says what to do next."""
    async with aclosing(output):
        try:
            async for text in output:
                yield text
        except StepFailed as error:
            if advice := hint(error.details.get("tail") or error.message):
                yield f"{advice}\n"
            raise
