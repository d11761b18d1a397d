"""The server's end of every link: who is connected now, what they last said, and the socket they say it on.

Live state is in memory, one `Live` a host. A heartbeat touches nothing else; what it said is written in batches,
four times a second. Nothing here decides anything: enrolment and operations are set by the layer above.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, ClassVar, Protocol, cast

import msgspec

from roci import Event, Malformed, NotReady, Roci, RociError, Task, Unauthenticated, hookimpl, now

from ..domain import enrolment, hosts
from . import wire
from .complaints import Complaints
from .link import PARTING, Channel, Farewell, Link
from .live import Live as Live
from .pace import Pace

log = logging.getLogger("roci.hub")
TURN = 0.001  # seconds that the frames of one link may take until others have their turn


class Links(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Times of the link, in seconds; and whether hosts that say too much are slowed down."""

    section: ClassVar[str] = "links"
    heartbeat_interval: float = 15
    stale_after: float = 45  # silence after which a host counts as disconnected
    register_within: float = 10  # what a new connection has to say who it is
    grace: float = 60  # what a lost agent has to come back with the result of its command
    paced: bool = True


class Listener(Protocol):
    """What the layer above wants to hear of links."""

    async def received(self, live: Live, message: wire.FromAgent) -> None: ...

    def joined(self, live: Live) -> None: ...

    def left(self, live: Live) -> None: ...


class Watcher(Protocol):
    """Whoever wants to know how hosts are. Called on the loop: answer at once. What it raises is logged, no more."""

    def joined(self, live: Live) -> None:
        """An approved host registered, or one that is connected was approved."""

    def beat(self, live: Live, beat: wire.Heartbeat, containers: list[wire.Container] | None) -> None:
        """A heartbeat of an approved host; `live` has taken it in. `containers`: where they are others than before."""

    def left(self, live: Live) -> None:
        """Its connection is gone."""


class Door(Protocol):
    """Decides who may join."""

    async def prepare(self, register: wire.Register, channel: Channel, local: bool) -> Any:
        """Look a registration over. May take seconds."""

    async def settle(self, knock: Any, connected: Collection[str]) -> enrolment.Admission:
        """Find or make its record. One at a time."""

    async def token_kept(self, host_id: str) -> None:
        """Its agent keeps the token that it was given."""


class Hub:
    """All hosts, live. Reached as `roci.part(Hub)`."""

    door: Door
    listener: Listener

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self.times = roci.section(Links)
        self.roster: dict[str, Live] = {}
        self.watchers: list[Watcher] = []
        self._complaints = Complaints()
        self._dirty: set[str] = set()
        self._settling = asyncio.Lock()
        self._renewing = asyncio.Lock()
        self._removed: deque[str] = deque(maxlen=1000)  # hosts removed lately, while one may be registering

    async def load(self) -> None:
        for host in await self._roci.read(hosts.all_):
            if host.last_seen:  # else its agent is still to come
                self.roster[host.id] = Live(host)

    @property
    def connected(self) -> int:
        return sum(live.is_connected for live in self.roster.values())

    def require(self, host_id: str) -> Link:
        """The link of an approved, connected host, or NotReady with the reason. Safe from any thread."""
        live = self.roster.get(host_id)
        if live is None or live.host.status != "approved":
            raise NotReady(f"the agent is {live.host.status if live else 'unknown'}, not approved")
        if live.link is None:
            raise NotReady(f"the agent on {live.host.hostname} is not connected")
        return live.link

    def able(self, host_id: str, capability: str) -> Link:
        """The same, of a host that allows this too."""
        link = self.require(host_id)
        if capability not in link.capabilities:
            host = self.roster[host_id].host
            hostname, option = host.hostname, "ROCI_AGENT__ALLOW" if host.local else "--allow"
            if not any(wire.kind_of(hand) in link.capabilities for hand in wire.HANDS):
                raise NotReady(
                    f"the agent on {hostname} is older than this server and knows no {capability}: update it"
                )
            raise NotReady(f"the host {hostname} does not allow {capability}: add it to agent.allow ({option}) there")
        return link

    async def serve(self, channel: Channel, local: bool = False) -> None:
        """One agent's connection, from its first frame to its last."""
        live: Live | None = None
        link: Link | None = None
        try:
            register = await self._hello(channel)
            link = Link(channel, register)
            live, before, token = await self._attach(register, channel, link, local)
            self._welcome(live, link, before, token)
            await self._listen(live, link, channel)
        except Malformed as error:
            await self._part(channel, link, wire.MALFORMED, error.message)
        except Unauthenticated as error:
            await self._part(channel, link, wire.REJECTED, error.message)
        except RociError as error:
            await self._part(channel, link, wire.TRY_LATER, error.message)
        except asyncio.CancelledError:
            if not (link and link.closing):
                raise
            cast(asyncio.Task[None], asyncio.current_task()).uncancel()  # it was our own close
        except wire.Closed as closed:
            if link and closed.code:
                link.farewell = link.farewell or Farewell(closed.code, closed.reason)
        finally:
            if live and live.link is link:
                self._detach(live)
            if link:
                await link.end()

    @staticmethod
    async def _part(channel: Channel, link: Link | None, code: int, reason: str) -> None:
        """Close with a reason, within the time."""
        if link:
            return link.close(code, reason)
        with contextlib.suppress(wire.Closed, TimeoutError):
            async with asyncio.timeout(PARTING):
                await channel.close(code, reason[:100])

    async def _hello(self, channel: Channel) -> wire.Register:
        try:
            async with asyncio.timeout(self.times.register_within):
                message = self._read(await channel.receive(), wire.LONGEST_OF_STRANGERS)
        except TimeoutError:
            await self._part(channel, None, wire.NO_REGISTER, "no register within the time")
            raise wire.Closed from None
        if not isinstance(message, wire.Register):
            await self._part(channel, None, wire.NO_REGISTER, "the first message must be register")
            raise wire.Closed
        return message

    @staticmethod
    def _read(frame: str | bytes, longest: int) -> wire.FromAgent | None:
        if len(frame) > longest:
            raise Malformed(f"a frame of more than {longest // 1024} KiB")
        return wire.from_agent(frame)

    async def _attach(
        self, register: wire.Register, channel: Channel, link: Link, local: bool
    ) -> tuple[Live, Link | None, str | None]:
        """Make this the host's link: from now on it must be detached. With the link before it, and a new token."""
        knock = await self.door.prepare(register, channel, local)
        async with self._settling:
            here = {host_id for host_id, live in self.roster.items() if live.is_connected}
            admission = await self.door.settle(knock, here)
            host = admission.host
            live = self.roster.setdefault(host.id, Live(host))
            live.pace = live.pace or (Pace(self.times.heartbeat_interval) if self.times.paced else None)
            before, live.link, live.host = live.link, link, host
            link.key_id = admission.key_id
            live.last_seen, live.heard = host.last_seen, asyncio.get_running_loop().time()
            live.version += 1
            if host.id in self._removed:  # between its registration and now
                self.roster.pop(host.id, None)
                link.close(wire.DELETED, "this host was removed")
        return live, before, admission.token

    def _welcome(self, live: Live, link: Link, before: Link | None, token: str | None) -> None:
        """Answer the registration. Raises Closed for a rejected host."""
        host = live.host
        if before is not None:
            before.close(wire.REPLACED, "replaced by a newer connection")
        self.tell(live, token)
        if host.status == "rejected":
            link.close(wire.REJECTED, _reason(host) or "")
            raise wire.Closed
        log.info("%s is here (%s, %s)", host.hostname, host.status, host.effective_ip)
        self._joined(live)

    def _joined(self, live: Live) -> None:
        if live.is_approved and live.is_connected:
            self.listener.joined(live)
            self._show(live, lambda watcher: watcher.joined(live))

    def _show(self, live: Live, to: Callable[[Watcher], None]) -> None:
        """A watcher that fails costs neither the link nor the other watchers."""
        for watcher in self.watchers:
            try:
                to(watcher)
            except Exception:
                if self._complaints.may(type(watcher).__qualname__):
                    log.exception("%s failed on %s", type(watcher).__qualname__, live.host.hostname)

    def tell(self, live: Live, token: str | None = None) -> None:
        """Answer a registration: at once, and again when the decision changes."""
        if live.link is None:
            return
        host = live.host
        live.link.send(
            wire.RegistrationResponse(
                status=host.status,
                agent_id=host.id,
                protocol=wire.PROTOCOL,
                heartbeat_interval=self.times.heartbeat_interval,
                agent_token=token and str(token),
                reason=_reason(host),
            )
        )

    async def _listen(self, live: Live, link: Link, channel: Channel) -> None:
        clock = asyncio.get_running_loop().time
        live.held, turn = None, clock()
        while True:
            frame = await self._next(live, channel)
            if live.held and live.pace and live.pace.may_beat(clock(), live.held.size):
                await self._beat(live, live.held)
            if frame is None:
                continue
            message = self._read(frame, wire.LONGEST if live.is_approved else wire.LONGEST_OF_STRANGERS)
            live.heard = clock()
            await self._heard(live, link, message)
            # What comes too fast is not read yet, so that its sender waits; and others have their turn in between.
            pause = live.pace.pause(len(frame), clock()) if live.pace else 0.0
            if pause or clock() - turn > TURN:
                await asyncio.sleep(pause)
                turn = clock()

    @staticmethod
    async def _next(live: Live, channel: Channel) -> str | bytes | None:
        """The next frame; None: it is time for the heartbeat that was held back."""
        if not (live.held and live.pace):
            return await channel.receive()
        try:
            async with asyncio.timeout_at(live.pace.next_beat):
                return await channel.receive()
        except TimeoutError:
            return None

    async def _heard(self, live: Live, link: Link, message: wire.FromAgent | None) -> None:
        match message:
            case wire.Heartbeat() if live.pace is None or live.pace.may_beat(live.heard, message.size):
                await self._beat(live, message)
            case wire.Heartbeat():
                live.held = message  # in the place of an older one
                live.touch()
                self._dirty.add(live.host.id)
            case wire.Ping():
                link.send(wire.Pong())
            case wire.Register():
                raise Malformed("already registered")
            case None:
                log.debug("%s sent a message of an unknown type", live.host.hostname)
            case wire.TokenKept():
                await self.door.token_kept(live.host.id)
            case _ if live.is_approved:
                await self.listener.received(live, message)

    async def told(self, host: hosts.Host, beat: wire.Heartbeat) -> None:
        """A host told of itself without a link. It is online for as long as a link may be silent."""
        if host.id in self._removed:
            return
        live = self.roster.setdefault(host.id, Live(host))
        live.told_until = asyncio.get_running_loop().time() + self.times.stale_after
        await self._beat(live, beat)

    async def _beat(self, live: Live, beat: wire.Heartbeat) -> None:
        live.held = None
        error, containers = live.engine_error, live.heard_of(beat)
        self._dirty.add(live.host.id)
        if not live.is_approved:
            return
        if live.is_crowded and live.engine_error != error and self._complaints.may(f"containers of {live.host.id}"):
            log.warning("%s: %s", live.host.hostname, live.engine_error)
        self._show(live, lambda watcher: watcher.beat(live, beat, containers))
        if beat.running_commands is not None:
            await self.listener.received(live, beat)

    def _detach(self, live: Live) -> None:
        live.farewell, live.link = live.link.farewell if live.link else None, None
        live.version += 1
        live.running_apps = ()
        log.info("%s is gone", live.host.hostname)
        self.listener.left(live)
        self._show(live, lambda watcher: watcher.left(live))

    async def sweep(self) -> None:
        """Close what was silent for too long."""
        oldest = asyncio.get_running_loop().time() - self.times.stale_after
        for live in list(self.roster.values()):
            if live.link and live.heard < oldest:
                live.link.close(wire.STALE, f"silent for {self.times.stale_after:g} s")

    async def flush(self) -> None:
        """Write what heartbeats said since the last time."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, set()
        lives = [live for host_id in dirty if (live := self.roster.get(host_id))]
        rows = [self._row(live) for live in lives]
        try:
            await self._roci.store.note(hosts.record_heartbeats, rows)
        except RociError as error:
            if self._complaints.may("heartbeats"):
                log.warning("heartbeats are not saved yet: %s", error.message)
            self._dirty |= dirty
            for live, (_, containers, _) in zip(lives, rows, strict=True):
                live.unsaved = live.unsaved or containers is not None

    @staticmethod
    def _row(live: Live) -> tuple[datetime.datetime, str | None, str]:
        changed, live.unsaved = live.unsaved, False
        containers = live.reported.decode() if changed and live.reported else None
        return live.last_seen or now(), containers, live.host.id

    async def renew(self, host_id: str) -> None:
        """The host's record changed: keep the new one. One at a time, so that the newest is kept."""
        async with self._renewing:
            if live := self.roster.get(host_id):
                before, live.host = live.host.status, await self._roci.read(hosts.get, host_id)
                live.version += 1
                if before != "approved":
                    self._joined(live)

    def forget(self, host_id: str) -> None:
        self._removed.append(host_id)
        if (live := self.roster.pop(host_id, None)) and live.link:
            live.link.close(wire.DELETED, "this host was removed")

    async def close_all(self) -> None:
        """The process is to stop: every agent is told, so that it comes back soon."""
        await self._roci.draining.wait()
        for live in list(self.roster.values()):
            if live.link:
                live.link.close(wire.GOING_AWAY, "the server restarts")


def _reason(host: hosts.Host) -> str | None:
    """What an agent is told of the decision. The rules themselves are not for strangers."""
    if host.status == "rejected":
        return host.reject_reason or "refused by the policies of this server"
    return "waiting for a decision" if host.status == "pending" else None


@hookimpl
def register_settings() -> type[Links]:
    return Links


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [
        Task("write heartbeats", 0.25, lambda: roci.part(Hub).flush()),
        Task("close silent links", 5, lambda: roci.part(Hub).sweep()),
    ]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    hub = Hub(roci)
    await hub.load()
    roci.provide(hub)
    roci.spawn(hub.close_all(), "close links when draining")
    yield
    await hub.flush()


@hookimpl
async def on_event(roci: Roci, event: Event) -> Any:
    if isinstance(event, hosts.HostDecided):
        await roci.part(Hub).renew(event.host_id)
    elif isinstance(event, hosts.HostRemoved):
        roci.part(Hub).forget(event.host_id)
