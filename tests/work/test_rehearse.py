"""What policies would decide if they were others: of newcomers, and of hosts that are here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from roci import Candidate, Invalid, Roci
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.domain import policies
from roci_plugins.domain.policies import Policy
from roci_plugins.work import rehearse


def policy(name: str, match_type: Mapping[str, Any], action: str = "approve", priority: int = 1) -> Policy:
    given = {"name": name, "match_type": match_type, "action": action, "priority": priority, "enabled": True}
    return rehearse.drafted(None, **given)


async def test_a_draft_decides_in_its_place_and_is_stored_nowhere(roci: Roci) -> None:
    stored = await roci.write(policies.add, "all", 10, {"type": "any"}, "approve")
    draft = policy("out", {"type": "cidr", "network": "10.0.0.0/8"}, "reject", 5)
    asked = rehearse.edited([stored], draft)
    decision = await rehearse.decide(roci, rehearse.newcomer("pi", " 10.1.2.3 "), asked)
    assert (decision.status, decision.policy_id) == ("rejected", draft.id)
    assert [each.name for each in await roci.read(policies.all_)] == ["all"]


async def test_a_changed_policy_takes_the_place_of_the_stored_one(roci: Roci) -> None:
    stored = await roci.write(policies.add, "all", 10, {"type": "any"}, "approve")
    values = {"name": "all", "match_type": {"type": "any"}, "action": "reject", "priority": 10, "enabled": True}
    draft = rehearse.drafted(stored, **values)
    assert rehearse.edited([stored], draft) == [draft] and draft.enabled_at == stored.enabled_at
    decision = await rehearse.decide(roci, rehearse.newcomer("pi", "10.1.2.3"), [draft])
    assert (decision.status, decision.policy_id) == ("rejected", stored.id)


async def test_turning_a_policy_on_would_open_its_window_now(roci: Roci) -> None:
    stored = await roci.write(policies.add, "now", 1, {"type": "time_window", "seconds": 9}, "approve", False)
    values = {"name": "now", "match_type": {"type": "time_window", "seconds": 9}, "action": "approve", "priority": 1}
    assert rehearse.drafted(stored, **values, enabled=True).enabled_at > stored.enabled_at
    assert rehearse.drafted(stored, **values, enabled=False).enabled_at == stored.enabled_at


async def test_hosts_that_are_here_and_would_be_decided_otherwise_are_told(roci: Roci) -> None:
    everyone = await roci.write(policies.add, "all", 10, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        found = await rehearse.compare(roci, [everyone], [])
        assert found is not None
        assert [(each.host.hostname, each.before, each.after) for each in found] == [("nas", "approved", "pending")]
        assert await rehearse.compare(roci, [everyone], [everyone]) == []
    assert await rehearse.compare(roci, [everyone], []) == []


async def test_what_cannot_be_found_out_in_time_is_not_known(roci: Roci, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        name = "slow"

        async def gather(self, candidate: Candidate) -> Mapping[str, Any]:
            await asyncio.Event().wait()
            return {}

    monkeypatch.setattr(rehearse, "PATIENCE", 0.01)
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        roci.facts["slow"] = Slow()
        assert await rehearse.compare(roci, [], []) is None


def test_what_is_no_address_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="address: 'home' is no IP address"):
        rehearse.newcomer("pi", "home")
