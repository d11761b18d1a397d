"""Who may join: facts are gathered, the policies asked, the decision stored with its reason. Also without a host."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from roci import (
    Actor,
    Candidate,
    Event,
    FactSource,
    Invalid,
    Malformed,
    Matcher,
    Roci,
    Task,
    TooMany,
    Unauthenticated,
    current_actor,
    hookimpl,
    now,
)

from ..agent import wire
from ..agent.address import effective_ip, normalise
from ..agent.hub import Hub
from ..agent.link import Channel
from ..core.settings import is_loopback
from ..domain import enrolment, hostkeys, hosts, policies
from ..domain.hostkeys import HostKeyRemoved, HostKeyRevoked
from ..domain.policies import Decision, Policy, PolicyAdded, PolicyChanged, PolicyRemoved, Rule
from . import refusals
from .whole import whole

log = logging.getLogger("roci.enrol")
GATHERING = 4.0  # seconds for all facts; a source has its own, shorter limit
KNOCKS, MINUTE = 60, 60.0  # of unknown agents, from one address, in so many seconds
ADDRESSES = 10_000  # that are remembered
KEYS_EVERY = 5.0  # seconds
KEY_ENDED = "the key this agent came with has ended"
AGENT = Actor("agent", "an agent", "agent")


@dataclasses.dataclass(frozen=True)
class Knock:
    """A registration looked over. No decision: its record is settled, so the policies were not asked."""

    introduction: hosts.Introduction
    register: wire.Register
    decision: Decision | None


class Pace:
    """How often an address may knock with agents that nobody knows, or with others that cost lookups and rows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, whom: str = "unknown agents") -> None:
        self._clock = clock
        self._whom = whom
        self._knocks: OrderedDict[str, tuple[float, int]] = OrderedDict()  # when its minute began, how many since

    def check(self, peer: str) -> None:
        """Raises TooMany. Whoever is on this machine may knock as it likes."""
        if is_loopback(peer):
            return
        began, count = self._knocks.pop(peer, (self._clock(), 0))
        if self._clock() - began >= MINUTE:
            began, count = self._clock(), 0
        self._knocks[peer] = began, count + 1
        if len(self._knocks) > ADDRESSES:
            self._knocks.popitem(last=False)
        if count >= KNOCKS:
            raise TooMany(f"too many {self._whom} from this address: wait a minute", retry_after=60)


class Doorkeeper:
    """The policies, compiled, and what they decide. Reached as `roci.part(Doorkeeper)`."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._rules: list[Rule] = []
        self._reloading = asyncio.Lock()
        self._pace = Pace()

    async def reload(self) -> None:
        """Read the policies from the database again."""
        async with self._reloading:  # or an older reading could come last
            self._rules = self.compiled(await self._roci.read(policies.all_))

    def compiled(self, found: Iterable[Policy]) -> list[Rule]:
        """Those of them that are enabled and can be asked, in the same order."""
        return [rule for policy in found if policy.enabled and (rule := self._compile(policy))]

    def _compile(self, policy: Policy) -> Rule | None:
        try:
            matcher, clause = self.read_clause(policy.match_type)
        except Invalid as error:
            log.error("the policy %s is left out: %s", policy.name, error.message)
            return None
        return Rule(policy.id, policy.name, policy.action, matcher, clause, policy.enabled_at)

    def read_clause(self, match_type: Mapping[str, Any]) -> tuple[Matcher, Any]:
        """The matcher that a clause names and the clause as it wants it. Raises Invalid."""
        kind = match_type.get("type")
        matcher = self._roci.matchers.get(kind) if isinstance(kind, str) else None
        if matcher is None:
            raise Invalid(f"match_type.type: must be one of {', '.join(self._roci.matchers)}, not {kind!r}")
        try:
            return matcher, msgspec.convert(match_type, matcher.clause)
        except Exception as error:  # a matcher's own check may raise what it likes
            raise Invalid(f"match_type: {error}") from None

    async def facts(self, candidate: Candidate) -> dict[str, Any]:
        """All that is known of a candidate. A source that fails or dawdles contributes nothing."""
        known: dict[str, Any] = {name: getattr(candidate, name) for name in Candidate.__dataclass_fields__}
        del known["totp"], known["rehearsal"]
        known["now"] = now()  # when it knocked; gathering may take seconds
        sources = list(self._roci.facts.values())
        results = await asyncio.gather(*(self._gather(source, candidate) for source in sources))
        for result in results:
            known |= result
        return known

    async def _gather(self, source: FactSource, candidate: Candidate) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(GATHERING):
                return await source.gather(candidate)
        except Exception:
            log.exception("the facts of %s are missing for %s", source.name, candidate.hostname)
            return {}

    async def decide(self, candidate: Candidate) -> Decision:
        """What the policies say of a candidate now, and why."""
        return policies.decide(self._rules, await self.facts(candidate))

    async def prepare(self, register: wire.Register, channel: Channel, local: bool) -> Knock:
        """Look a registration over: who it says it is, and what the policies say. May take seconds."""
        peer = normalise(channel.peer) or channel.peer
        introduction = self._introduce(register, channel, peer, local)
        knock = Knock(introduction, register, None)
        credentials = register.agent_id, register.agent_token
        try:
            settled = local or await self._roci.read(enrolment.is_settled, introduction, *credentials)
        except Unauthenticated as error:
            await refusals.note_agent(self._roci, error, peer, introduction.hostname)
            self._pace.check(peer)
            raise
        if settled:
            return knock
        self._pace.check(peer)
        return await self._judged(knock)

    async def settle(self, knock: Knock, connected: Collection[str]) -> enrolment.Admission:
        """Find or make the record, and store the decision."""
        introduction, register = knock.introduction, knock.register
        token = current_actor.set(AGENT)
        try:
            if introduction.local:
                return await self._roci.write(enrolment.register_local, introduction)
            credentials = register.agent_id, register.agent_token
            try:
                decision = knock.decision
                return await self._roci.write(enrolment.register, introduction, *credentials, connected, decision)
            except enrolment.Undecided:  # the record it had was removed or taken meanwhile
                decision = (await self._judged(knock)).decision
                return await self._roci.write(enrolment.register, introduction, *credentials, connected, decision)
        finally:
            current_actor.reset(token)

    async def token_kept(self, host_id: str) -> None:
        """Its agent keeps the token that it was given: nobody is this host without it any more."""
        await self._roci.write(hosts.token_kept, host_id)

    async def _judged(self, knock: Knock) -> Knock:
        candidate = _candidate(knock.introduction, knock.register)
        return dataclasses.replace(knock, decision=await self.decide(candidate))

    def _introduce(self, register: wire.Register, channel: Channel, peer: str, local: bool) -> hosts.Introduction:
        proxies = self._roci.settings.trusted_proxies
        return hosts.Introduction(
            hostname=check_hostname(register.hostname),
            declared_ip=normalise(register.ip_address or "") or peer,
            peer_ip=peer,
            effective_ip=effective_ip(peer, register.ip_address, channel.forwarded_for, proxies),
            volume_base=(register.volume_base or "/data")[:1024],
            protocol=register.protocol,
            agent_version=register.agent_version and register.agent_version[:64],
            capabilities=tuple(name[:64] for name in register.capabilities[:64]),
            os=register.os and register.os[:64],
            arch=register.arch and register.arch[:64],
            local=local,
        )

    async def rehearse(self, hostname: str, address: str, totp: str | None = None) -> Decision:
        """Would a host of this name and address be admitted, and why? Nothing is used up or stored."""
        ip = normalise(address)
        if ip is None:
            raise Invalid(f"ip_address: {address!r} is no IP address")
        return await self.decide(Candidate(hostname, ip, ip, ip, totp, rehearsal=True))


def _candidate(introduction: hosts.Introduction, register: wire.Register) -> Candidate:
    totp = None if register.totp is None else str(register.totp)
    addresses = introduction.declared_ip, introduction.peer_ip, introduction.effective_ip
    return Candidate(introduction.hostname, *addresses, totp)


def check_hostname(hostname: str) -> str:
    """A name fit for lists and logs, without blanks at its ends, where nobody sees them; or Malformed."""
    name = hostname.strip(" ")
    if not 0 < len(name) <= 253 or not name.isprintable():
        raise Malformed("hostname: 1 to 253 printable characters")
    return name


@whole
async def approve(roci: Roci, host_id: str) -> None:
    """Admit a pending host; its agent hears of it at once."""
    admission = await roci.write(enrolment.approve, host_id, current_actor.get().name)
    hub = roci.part(Hub)
    if live := hub.roster.get(host_id):
        hub.tell(live, admission.token)


@whole
async def reject(roci: Roci, host_id: str, reason: str | None) -> None:
    """Refuse a pending host; its agent hears why, and its socket is closed."""
    await roci.write(hosts.reject, host_id, current_actor.get().name, reason)
    hub = roci.part(Hub)
    if (live := hub.roster.get(host_id)) and live.link:
        hub.tell(live)
        live.link.close(wire.REJECTED, reason or "rejected")


async def close_ended(roci: Roci) -> None:
    """Close the links that came in by a key which has ended: by its own date, or where no event told of it here."""
    links = [live.link for live in roci.part(Hub).roster.values() if live.link and live.link.key_id]
    if links:
        ended = await roci.read(hostkeys.ended, {str(link.key_id) for link in links})
        for link in links:
            if link.key_id in ended:
                link.close(wire.REJECTED, KEY_ENDED)


def _key_ended(roci: Roci, event: HostKeyRevoked | HostKeyRemoved) -> None:
    live = roci.part(Hub).roster.get(event.host_id)
    if live and live.link and live.link.key_id == event.host_key_id:
        live.link.close(wire.REJECTED, KEY_ENDED)


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [Task("close links whose key has ended", KEYS_EVERY, lambda: close_ended(roci))]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    doorkeeper = Doorkeeper(roci)
    await doorkeeper.reload()
    roci.provide(doorkeeper)
    roci.part(Hub).door = doorkeeper
    yield


@hookimpl
async def on_event(roci: Roci, event: Event) -> None:
    if isinstance(event, PolicyAdded | PolicyChanged | PolicyRemoved):
        await roci.part(Doorkeeper).reload()
    elif isinstance(event, HostKeyRevoked | HostKeyRemoved):
        _key_ended(roci, event)
