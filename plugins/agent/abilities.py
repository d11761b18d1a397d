"""What a host offers of what it could do: by its own configuration, and as things are just now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from roci import RociError, StartupError

log = logging.getLogger("roci.agent")
NOT_BY_DEFAULT = ("exec", "terminal", "reboot")
LOOK = 60.0  # seconds between looks at how things are

Check = Callable[[], Awaitable[bool]]  # whether something can be offered now; raises a RociError for not knowing


def allowed(known: Sequence[str], changes: Sequence[str]) -> list[str]:
    """What a host does of what it could: all but a few, those added by name, less those with a minus."""
    names = {change.removeprefix("-") for change in changes}
    if unknown := names - set(known) - set(NOT_BY_DEFAULT):
        raise StartupError(f"agent.allow: {', '.join(sorted(unknown))} is unknown; there are {', '.join(known)}")
    if missing := [name for name in NOT_BY_DEFAULT if name in changes and name not in known]:
        log.warning("agent.allow: this version has no %s yet", ", ".join(missing))
    on = [name for name in known if name not in NOT_BY_DEFAULT or name in changes]
    return [name for name in on if f"-{name}" not in changes]


class Abilities:
    """`checks`, by capability, say whether the host can do it just now; the rest it always can."""

    def __init__(
        self, known: Sequence[str], changes: Sequence[str], checks: Mapping[str, Check], look: float = LOOK
    ) -> None:
        self.allowed = allowed(known, changes)
        self._checks = {name: check for name, check in checks.items() if name in self.allowed}
        self._lacking = frozenset(self._checks)
        self._look = look

    @property
    def offered(self) -> list[str]:
        """As of the last look."""
        return [name for name in self.allowed if name not in self._lacking]

    async def look(self) -> bool:
        """See how things are, and whether they are others than before. What nobody can tell is as it was."""
        before, self._lacking = self._lacking, frozenset([name for name in self._checks if not await self._can(name)])
        return self._lacking != before

    async def _can(self, name: str) -> bool:
        try:
            return await self._checks[name]()
        except RociError:
            return name not in self._lacking

    async def changed(self) -> None:
        """Look now and then; ends when something is another."""
        while True:
            await asyncio.sleep(self._look)
            if self._checks and await self.look():
                return
