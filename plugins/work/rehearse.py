"""What the policies would decide: of somebody made up, of a host that is here, and if they were others than they are.

Nothing is stored or used up. A host that was let in stays so: what is told of it is what it would be if it asked anew.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from roci import Candidate, Invalid, Roci, now

from ..agent.address import normalise
from ..agent.hub import Hub
from ..domain import policies
from ..domain.hosts import Host
from ..domain.policies import Decision, Policy
from .enrol import Doorkeeper

MOST = 500  # hosts that are asked about
PATIENCE = 6.0  # seconds for all of them together


@dataclasses.dataclass(frozen=True)
class Difference:
    """A host that is here, and what it would be, if it asked anew, by the policies as they are and as they would be."""

    host: Host
    before: str
    after: str


def newcomer(hostname: str, address: str, totp: str | None = None) -> Candidate:
    """Somebody who would come from this address. Raises Invalid."""
    ip = normalise(address.strip())
    if ip is None:
        raise Invalid(f"address: {address!r} is no IP address")
    return Candidate(hostname, ip, ip, ip, totp, rehearsal=True)


def returning(host: Host) -> Candidate:
    """A host that would introduce itself again as it did last."""
    return Candidate(host.hostname, host.declared_ip, host.peer_ip, host.effective_ip, rehearsal=True)


async def decide(roci: Roci, candidate: Candidate, asked: Sequence[Policy]) -> Decision:
    """What these policies, in this order, say of a candidate."""
    door = roci.part(Doorkeeper)
    return policies.decide(door.compiled(asked), await door.facts(candidate))


async def compare(roci: Roci, before: Sequence[Policy], after: Sequence[Policy]) -> list[Difference] | None:
    """The hosts that are here and would be decided otherwise. None: it could not be found out in time."""
    door = roci.part(Doorkeeper)
    here = [live.host for live in roci.part(Hub).roster.values() if live.is_connected and not live.host.local][:MOST]
    try:
        async with asyncio.timeout(PATIENCE):
            known = await asyncio.gather(*(door.facts(returning(host)) for host in here))
    except TimeoutError:
        return None
    was, would = door.compiled(before), door.compiled(after)
    judged = [
        Difference(host, policies.decide(was, facts).status, policies.decide(would, facts).status)
        for host, facts in zip(here, known, strict=True)
    ]
    return [each for each in judged if each.before != each.after]


def edited(found: Sequence[Policy], draft: Policy) -> list[Policy]:
    """The policies with one that is new or changed, in the order in which they would be asked."""
    others = [policy for policy in found if policy.id != draft.id]
    return sorted([*others, draft], key=lambda policy: (policy.priority, policy.created_at, policy.id))


def drafted(policy: Policy | None, **values: object) -> Policy:
    """A policy as it would be, without storing it. Its window opens now, where it is new or would be enabled."""
    kept = {"id": policy.id, "created_at": policy.created_at} if policy else {}
    stays = policy is not None and (policy.enabled or not values.get("enabled", True))
    return Policy(**kept, **values, enabled_at=policy.enabled_at if policy and stays else now())
