"""All terminals: who may have how many, that they are recorded, and when one is ended.

A terminal belongs to who opened it and to nobody else. It outlives its browser, and its host's connection, by a
minute each. Whoever calls has asked for the permission; who lets somebody look goes on asking, and closes.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging

from roci import Actor, NotFound, NotReady, Permission, Roci, RociError, TooMany, current_actor, hookimpl

from ..agent import terminal_wire as said
from ..agent import wire
from ..agent.hub import Hub, Live
from ..domain import terminals as records
from ..domain.model import new_id
from .terminal import End, Terminal, Viewer, Wish
from .whole import whole

log = logging.getLogger("roci.terminals")
OF_ONE, OF_HOST = 8, 24  # terminals at a time: of a person on one host (and as many that ended), of all on it
SLACK = 5.0  # seconds beyond those that the agent keeps a terminal
NOBODY_LOOKED = "nobody looked at it any more"
CLOSED = "closed"
RIGHT_ENDED = "the right to it has ended"


class Terminals:
    """Reached as `roci.part(Operator).terminals`."""

    def __init__(self, roci: Roci, hub: Hub, keep: float = said.KEEP) -> None:
        self._roci, self._hub, self._keep = roci, hub, keep
        self._terminals: dict[str, Terminal] = {}

    def of(self, who: Actor, host_id: str) -> list[Terminal]:
        """Somebody's own on a host, the oldest first."""
        return [each for each in self._terminals.values() if each.owner.id == who.id and each.host_id == host_id]

    def get(self, id: str, who: Actor, host_id: str) -> Terminal:
        """Raises NotFound, also for what is somebody else's."""
        terminal = self._terminals.get(id)
        if terminal is None or terminal.owner.id != who.id or terminal.host_id != host_id:
            raise NotFound("this terminal is over")
        return terminal

    @whole
    async def open(self, host_id: str, who: Actor, wish: Wish) -> Terminal:
        """Raises NotReady for a host that is not there or does not allow it, and TooMany."""
        self._hub.able(host_id, said.CAPABILITY)
        self._check_room(host_id, who)
        hostname = self._hub.roster[host_id].host.hostname
        name = self._name(wish.name or wish.container or hostname, who, host_id)
        link = functools.partial(self._hub.able, host_id, said.CAPABILITY)
        terminal = Terminal(new_id(), name, host_id, hostname, wish, who, link)
        self._terminals[terminal.id] = terminal
        try:
            await self._roci.write(
                records.note_opened, terminal.id, host_id, terminal.hostname, wish.container, wish.shell
            )
        except RociError:
            del self._terminals[terminal.id]
            raise
        try:
            terminal.open()
        except NotReady as error:
            self._end(terminal, End(wire.NOT_RUN, error.message))
            raise
        self._start_timer(terminal)
        return terminal

    def _name(self, wanted: str, who: Actor, host_id: str) -> str:
        """The name, with a number where somebody has one so called there."""
        taken = {each.name for each in self.of(who, host_id)}
        numbered = (f"{wanted} {number}" for number in itertools.count(2))
        return next(name for name in itertools.chain([wanted], numbered) if name not in taken)

    def _check_room(self, host_id: str, who: Actor) -> None:
        there = [each for each in self._terminals.values() if each.host_id == host_id and each.end is None]
        if sum(each.owner.id == who.id for each in there) >= OF_ONE:
            raise TooMany(f"you have {OF_ONE} terminals open on this host: close one")
        if len(there) >= OF_HOST:
            raise TooMany(f"there are {OF_HOST} terminals open on this host: somebody must close one")

    def close(self, terminal: Terminal, reason: str = CLOSED) -> None:
        """End it, with all that runs in it, and forget it."""
        terminal.close()
        self._end(terminal, End(None, reason))
        self._forget(terminal)

    # --- who looks ---

    def attach(self, terminal: Terminal) -> Viewer:
        if terminal.timer and terminal.is_here:
            terminal.timer.cancel()
        return terminal.attach()

    def detach(self, terminal: Terminal, viewer: Viewer) -> None:
        if viewer.knows_end:
            self._forget(terminal)
        elif terminal.detach(viewer) and terminal.id in self._terminals:
            self._start_timer(terminal)

    def _start_timer(self, terminal: Terminal, slack: float = 0, reason: str = NOBODY_LOOKED) -> None:
        if terminal.timer:
            terminal.timer.cancel()
        terminal.timer = asyncio.get_running_loop().call_later(self._keep + slack, self.close, terminal, reason)

    # --- what links tell ---

    def heard(self, live: Live, message: wire.FromAgent) -> bool:
        """Take in what a host said, if it is about a terminal. What it says of another host's is nothing."""
        if not isinstance(message, said.TerminalOutput | said.TerminalEnded):
            return False
        terminal = self._terminals.get(message.terminal_id)
        if terminal is None or terminal.host_id != live.host.id:
            return True
        if isinstance(message, said.TerminalOutput):
            terminal.heard(message)
        else:
            self._end(terminal, End(message.exit_code, message.reason[:500]))
        return True

    def joined(self, live: Live) -> None:
        for terminal in self._on(live.host.id):
            if terminal.is_here:
                continue
            if terminal.viewer is None:
                self._start_timer(terminal)
            elif terminal.timer:
                terminal.timer.cancel()
            terminal.resume()

    def left(self, live: Live) -> None:
        for terminal in self._on(live.host.id):
            terminal.lose()
            self._start_timer(terminal, SLACK, f"the host was away for more than {self._keep:g} s")

    def host_removed(self, host_id: str) -> None:
        for terminal in self._on(host_id):
            self.close(terminal, "the host was removed")

    def _on(self, host_id: str) -> list[Terminal]:
        return [each for each in self._terminals.values() if each.host_id == host_id and each.end is None]

    async def stop(self) -> None:
        """The process is to stop: none of them could be found again."""
        await self._roci.draining.wait()
        end = End(None, "the server was stopped")
        for terminal in [each for each in self._terminals.values() if each.end is None]:
            terminal.close()
            terminal.finish(end)
            await self._record(terminal, end)

    # --- how it ends ---

    def _end(self, terminal: Terminal, end: End) -> None:
        if terminal.end is None:
            terminal.finish(end)
            self._roci.spawn(self._record(terminal, end), f"record the end of terminal {terminal.id}")
            self._start_timer(terminal)  # whoever looks, or comes back, is still told how it ended
            ended = [each for each in self.of(terminal.owner, terminal.host_id) if each.end]
            for each in ended[:-OF_ONE]:
                self._forget(each)

    def _forget(self, terminal: Terminal) -> None:
        if terminal.timer:
            terminal.timer.cancel()
        self._terminals.pop(terminal.id, None)

    async def _record(self, terminal: Terminal, end: End) -> None:
        seconds = int(asyncio.get_running_loop().time() - terminal.began)
        token = current_actor.set(terminal.owner)
        try:
            where = terminal.host_id, terminal.hostname, terminal.wish.container
            await self._roci.write(records.note_ended, terminal.id, *where, end.exit_code, end.reason, seconds)
        except RociError as error:
            log.error("the end of terminal %s is not recorded: %s", terminal.id, error.message)
        finally:
            current_actor.reset(token)


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return (Permission("hosts.terminal", "open terminals on hosts and in their containers"),)
