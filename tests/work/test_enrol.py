"""Who may join, seen from the wire: spec/roci.md sections 5 and 6, checks 13 to 17 and 20."""

from __future__ import annotations

import asyncio
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roci import SYSTEM, Conflict, Invalid, Roci, Settings, TooMany, Verdict, current_actor, hookimpl, now
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import scripted_agent, until
from roci_plugins.domain import applications, hostcards, hostkeys, hosts, policies
from roci_plugins.work import deploy, enrol
from roci_plugins.work.enrol import KNOCKS, Doorkeeper, Pace


async def allow(roci: Roci, match: dict[str, Any], action: str = "approve", priority: int = 10) -> policies.Policy:
    return await roci.write(policies.add, f"{match['type']} {action}", priority, match, action)


async def status_of(roci: Roci, hostname: str, **fields: Any) -> str:
    async with scripted_agent(roci) as agent:
        return str((await agent.register(hostname, **fields))["status"])


def id_of(roci: Roci, hostname: str) -> str:
    return next(live.host.id for live in roci.part(Hub).roster.values() if live.host.hostname == hostname)


async def test_without_policies_a_host_waits_and_hears_of_its_approval(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        answer = await agent.register("h1")
        assert answer["status"] == "pending" and "agent_token" not in answer
        await enrol.approve(roci, agent.agent_id)
        answer = await agent.hear()
        assert answer["status"] == "approved" and len(answer["agent_token"]) == 64
        with pytest.raises(Conflict):
            await enrol.approve(roci, agent.agent_id)


async def test_a_rejected_host_hears_why_and_its_socket_is_closed(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await enrol.reject(roci, agent.agent_id, "not ours")
        answer = await agent.hear()
        assert (answer["status"], answer["reason"]) == ("rejected", "not ours")
        assert await agent.closed() == wire.REJECTED
    async with scripted_agent(roci) as agent:
        assert (await agent.register("h1"))["status"] == "rejected"
        assert await agent.closed() == wire.REJECTED


async def test_a_rejected_host_is_not_connected(roci: Roci) -> None:
    await allow(roci, {"type": "any"}, "reject")
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        assert await agent.closed() == wire.REJECTED
        await until(lambda: roci.part(Hub).connected == 0)


async def test_an_agent_that_hangs_up_before_it_is_answered_is_not_connected(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.say("register", hostname="h1")
        await agent.hang_up()
    assert [live.host.hostname for live in roci.part(Hub).roster.values()] == ["h1"]
    assert roci.part(Hub).connected == 0


class Picky(msgspec.Struct, kw_only=True):
    pattern: str

    def __post_init__(self) -> None:
        re.compile(self.pattern)


class PickyMatcher:
    name = "picky"
    clause = Picky

    def matches(self, clause: Picky, facts: Mapping[str, Any]) -> Verdict:
        return Verdict(True, "always")


async def test_whatever_a_matcher_raises_for_a_clause_refuses_it(tmp_path: Path) -> None:
    plugin = types.SimpleNamespace(register_matchers=hookimpl(lambda: [PickyMatcher()]))
    settings = Settings(data_dir=str(tmp_path), local_agent=False)
    async with Roci(settings, [plugin]).running() as roci:
        with pytest.raises(Invalid, match="match_type: unterminated character set"):
            roci.part(Doorkeeper).read_clause({"type": "picky", "pattern": "["})
        await roci.write(policies.add, "broken", 1, {"type": "picky", "pattern": "["}, "reject")
        await allow(roci, {"type": "any"}, "approve", 2)
        assert await status_of(roci, "h1") == "approved"


async def test_the_lowest_priority_decides_and_changes_count_at_once(roci: Roci) -> None:
    await allow(roci, {"type": "any"}, "reject", 10)
    second = await allow(roci, {"type": "any"}, "approve", 20)
    assert await status_of(roci, "h2") == "rejected"
    await roci.write(policies.change, second.id, priority=5)
    assert await status_of(roci, "h3") == "approved"


async def test_a_network_is_told_from_another_by_the_declared_address_on_loopback_only(roci: Roci) -> None:
    await allow(roci, {"type": "cidr", "network": "10.9.0.0/16"})
    assert await status_of(roci, "h4", ip_address="10.9.1.1") == "approved"
    assert await status_of(roci, "h5", ip_address="10.8.1.1") == "pending"
    async with scripted_agent(roci, peer="203.0.113.7") as liar:
        answer = await liar.register("h6", ip_address="10.9.1.1")
        assert (answer["status"], answer["reason"]) == ("pending", "waiting for a decision")  # the rules are not told
        kept = await roci.read(hosts.get, liar.agent_id)
        assert "203.0.113.7 is outside" in kept.decision_reason


async def test_the_decision_is_kept_with_the_policy_and_the_reason(roci: Roci) -> None:
    policy = await allow(roci, {"type": "cidr", "network": "10.9.0.0/16"})
    async with scripted_agent(roci) as agent:
        await agent.register("h4", ip_address="10.9.1.1")
        host = await roci.read(hosts.get, agent.agent_id)
        assert host.policy_id == policy.id and "10.9.1.1 is in" in host.decision_reason


async def test_a_dry_run_explains_and_leaves_nothing_behind(roci: Roci) -> None:
    await allow(roci, {"type": "cidr", "network": "10.9.0.0/16"})
    decision = await roci.part(Doorkeeper).rehearse("newcomer", "10.8.0.1")
    assert decision.status == "pending" and "10.8.0.1 is outside 10.9.0.0/16" in decision.reason
    assert (await roci.part(Doorkeeper).rehearse("newcomer", "10.9.0.1")).status == "approved"
    assert await roci.read(hosts.all_) == []


async def test_a_pending_host_is_asked_about_again_when_it_comes_back(roci: Roci) -> None:
    assert await status_of(roci, "h1") == "pending"
    await allow(roci, {"type": "any"})
    assert await status_of(roci, "h1") == "approved"
    assert len(await roci.read(hosts.all_)) == 1


async def test_an_approved_host_stays_so_whatever_the_policies_say_now(roci: Roci) -> None:
    policy = await allow(roci, {"type": "any"})
    assert await status_of(roci, "h1") == "approved"
    await roci.write(policies.change, policy.id, action="reject")
    assert await status_of(roci, "h1") == "approved"


async def test_the_token_is_the_identity_from_its_first_use_on(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        first, token = agent.agent_id, agent.agent_token
    async with scripted_agent(roci, peer="198.51.100.4") as agent:  # it moved, and was renamed
        answer = await agent.register("renamed", agent_id=first, agent_token=token)
        assert answer["agent_id"] == first and "agent_token" not in answer
    async with scripted_agent(roci) as impostor:
        answer = await impostor.register("renamed", agent_id=first, agent_token="0" * 64)
        assert answer["agent_id"] != first
    async with scripted_agent(roci, peer="198.51.100.4") as impostor:
        assert (await impostor.register("renamed"))["agent_id"] != first


async def test_an_agent_that_never_presented_a_token_keeps_its_record(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    ids = []
    for _ in range(3):
        async with scripted_agent(roci) as agent:
            ids.append((await agent.register("old"))["agent_id"])
    assert len(set(ids)) == 1


async def test_two_at_once_with_one_name_are_two_hosts(roci: Roci) -> None:
    async with scripted_agent(roci) as one, scripted_agent(roci) as two:
        await asyncio.gather(one.register("twin"), two.register("twin"))
        assert one.agent_id != two.agent_id


async def test_the_newest_connection_wins_and_the_old_ones_end_does_not_matter(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    hub = roci.part(Hub)
    async with scripted_agent(roci) as old, scripted_agent(roci) as new:
        await old.register("h1")
        await new.register("h1", agent_id=old.agent_id, agent_token=old.agent_token)
        assert await old.closed() == wire.REPLACED
        assert hub.roster[old.agent_id].is_connected
        assert hub.connected == 1


async def test_a_removed_host_is_closed_forgotten_and_new_when_it_comes_back(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await deploy.remove_host(roci, agent.agent_id)
        assert await agent.closed() == wire.DELETED
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
        assert back.agent_id != agent.agent_id


async def test_a_heartbeat_of_a_removed_host_changes_nothing(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await agent.say("heartbeat", containers=[])
        await deploy.remove_host(roci, agent.agent_id)
        await roci.part(Hub).flush()
    assert await roci.read(hosts.all_) == []


@pytest.mark.parametrize(
    "frames, code",
    [
        (["nonsense"], wire.MALFORMED),
        (["[1, 2]"], wire.MALFORMED),
        (['{"type": "register"}'], wire.MALFORMED),
        (['{"type": "register", "hostname": ""}'], wire.MALFORMED),
        (['{"type": "register", "hostname": "a\\u0007b"}'], wire.MALFORMED),
        (['{"type": "register", "hostname": "h", "q": NaN, "y": "\\ud800"}'], wire.MALFORMED),
        (['{"type": "register", "hostname": "h", "q": NaN, "y": 1%s}' % ("0" * 5000)], wire.MALFORMED),
        (['{"type": "heartbeat", "containers": []}'], wire.NO_REGISTER),
        (['{"type": "of the future"}'], wire.NO_REGISTER),
    ],
)
async def test_a_wrong_first_frame_ends_the_connection_with_the_code(roci: Roci, frames: list[str], code: int) -> None:
    async with scripted_agent(roci) as agent:
        for frame in frames:
            await agent.say_raw(frame)
        assert await agent.closed() == code
    assert await roci.read(hosts.all_) == []


async def test_after_registration_a_malformed_frame_closes_and_an_unknown_type_does_not(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await agent.say("of the future", anything=1)
        await agent.say("ping")
        assert await agent.hear() == {"type": "pong"}
        await agent.say("heartbeat", containers=3)
        assert await agent.closed() == wire.MALFORMED


async def test_a_thousand_malformed_connections_leave_the_hub_as_it_was(roci: Roci) -> None:
    for _ in range(1000):
        async with scripted_agent(roci) as agent:
            await agent.say_raw("{")
            assert await agent.closed() == wire.MALFORMED
    assert roci.part(Hub).roster == {}


async def test_who_says_nothing_is_closed_in_time(roci: Roci) -> None:
    roci.part(Hub).times.register_within = 0.05
    async with scripted_agent(roci) as agent:
        assert await agent.closed() == wire.NO_REGISTER


async def test_a_silent_host_is_closed_and_no_longer_connected(roci: Roci) -> None:
    hub = roci.part(Hub)
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await hub.sweep()
        assert hub.connected == 1
        hub.times.stale_after = -1
        await hub.sweep()
        assert await agent.closed() == wire.STALE
        await until(lambda: hub.connected == 0)


async def test_containers_are_kept_when_the_engine_does_not_say(roci: Roci) -> None:
    container = {"id": "abc", "name": "a1_web_1", "image": "nginx", "status": "running"}
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await agent.say("heartbeat", containers=[container])
        await agent.say("heartbeat", engine_error="the engine does not answer")
        await agent.say("ping")
        await agent.hear()
        live = roci.part(Hub).roster[agent.agent_id]
        assert live.containers is not None and live.containers[0].name == "a1_web_1"
        assert live.engine_error == "the engine does not answer"
        await roci.part(Hub).flush()
    host = await roci.read(hosts.get, agent.agent_id)
    assert host.containers[0]["name"] == "a1_web_1" and host.last_seen is not None


async def test_what_a_host_runs_that_waits_for_a_decision_is_not_kept(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await agent.say("heartbeat", containers=[{"id": "c", "name": "x" * 1000}])
        await agent.say("ping")
        await agent.hear()
        live = roci.part(Hub).roster[agent.agent_id]
        assert live.containers is None and live.last_seen is not None


async def test_drift_is_counted_from_what_runs_also_after_a_reconnect(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    for _ in range(2):
        async with scripted_agent(roci) as agent:
            await agent.register("h1")
            for _ in range(3):
                await agent.say(
                    "heartbeat", containers=[{"id": "c", "name": "a1-w-1", "status": "running", "app": "a1"}]
                )
            await agent.say("ping")
            await agent.hear()
            assert list(roci.part(Hub).roster[agent.agent_id].running_apps) == [frozenset({("a1", "a1-w-1")})] * 3
        await until(lambda: roci.part(Hub).connected == 0)


async def test_a_host_that_is_removed_leaves_its_applications_to_nobody(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        row = await roci.write(applications.add, "a1", "services:\n  w:\n    image: nginx\n")
        await deploy.deploy(roci, row.id, agent.agent_id, {})
        await agent.answer()
        await agent.say("ping")
        await agent.hear()
        await deploy.remove_host(roci, agent.agent_id)
    row = await roci.read(applications.get, row.id)
    assert (row.status, row.host_id, row.last_error) == ("failed", None, "agent removed")


async def test_whoever_decides_is_recorded_as_the_actor(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        assert current_actor.get() is SYSTEM
        await enrol.approve(roci, agent.agent_id)
    assert (await roci.read(hosts.get, agent.agent_id)).decision_reason == "approved by ROCI"


async def test_strangers_send_small_frames_only(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        await agent.say("heartbeat", containers=[{"id": "c", "name": "x" * 70_000}])
        assert await agent.closed() == wire.MALFORMED


async def test_blanks_at_the_ends_of_a_name_are_none_of_it(roci: Roci) -> None:
    async with scripted_agent(roci) as agent, scripted_agent(roci) as nameless:
        await agent.register("  my nas ")
        assert roci.part(Hub).roster[agent.agent_id].host.hostname == "my nas"
        await nameless.say("register", hostname="   ")
        assert await nameless.closed() == wire.MALFORMED


@pytest.mark.parametrize("field", ['"protocol": 9223372036854775808', '"protocol": 0', '"x": ' + "[" * 20_000])
async def test_a_registration_that_cannot_be_kept_is_malformed(roci: Roci, field: str) -> None:
    async with scripted_agent(roci) as agent:
        await agent.say_raw('{"type": "register", "hostname": "h", ' + field + "}")
        assert await agent.closed() == wire.MALFORMED


async def test_a_peer_that_does_not_read_is_cut_off_and_holds_nobody_up(roci: Roci) -> None:
    hub = roci.part(Hub)
    async with scripted_agent(roci) as deaf, scripted_agent(roci) as other:
        await deaf.register("deaf")
        await other.register("other")
        for _ in range(2000):
            try:
                await deaf.say("ping")
            except wire.Closed:
                break
        await until(lambda: not hub.roster[deaf.agent_id].is_connected)
        await other.say("ping")
        assert await other.hear() == {"type": "pong"}


async def test_refused_strangers_make_room_for_new_ones(roci: Roci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roci_plugins.domain.enrolment.MOST_STRANGERS", 3)
    await allow(roci, {"type": "any"}, "reject")
    for number in range(6):
        assert await status_of(roci, f"s{number}") == "rejected"
    assert [host.hostname for host in await roci.read(hosts.all_)] == ["s3", "s4", "s5"]


async def test_those_who_wait_and_are_gone_make_room_but_nobody_who_is_here(
    roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roci_plugins.domain.enrolment.MOST_STRANGERS", 3)
    async with scripted_agent(roci) as here:
        await here.register("here")
        for number in range(4):
            assert await status_of(roci, f"s{number}") == "pending"
        assert [host.hostname for host in await roci.read(hosts.all_)] == ["here", "s2", "s3"]
        await roci.write(hosts.reject, id_of(roci, "s2"), "admin")
        async with scripted_agent(roci) as second, scripted_agent(roci) as third, scripted_agent(roci) as fourth:
            await second.register("second")
            await third.register("third")  # in the place of what a person refused
            await fourth.say("register", hostname="fourth", ip_address="10.0.0.1")
            assert await fourth.closed() == wire.TRY_LATER
            assert [host.hostname for host in await roci.read(hosts.all_)] == ["here", "second", "third"]
            await allow(roci, {"type": "any"})
            assert await status_of(roci, "wanted") == "approved"


async def test_one_address_does_not_take_the_places_of_all(roci: Roci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roci_plugins.domain.enrolment.MOST_OF_ONE_ADDRESS", 2)
    async with scripted_agent(roci) as one, scripted_agent(roci) as two, scripted_agent(roci) as three:
        await one.register("one")
        await two.register("two")
        await three.say("register", hostname="three", ip_address="10.0.0.1")
        assert await three.closed() == wire.TRY_LATER
        assert await status_of(roci, "four", ip_address="10.0.0.2") == "pending"


async def test_a_host_removed_while_it_registers_is_no_ghost(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    hub = roci.part(Hub)
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
    for _ in range(20):
        async with scripted_agent(roci) as agent:
            registering = asyncio.create_task(agent.register("h1"))
            known = list(hub.roster)
            await asyncio.gather(*(deploy.remove_host(roci, host_id) for host_id in known), return_exceptions=True)
            await asyncio.gather(registering, return_exceptions=True)
        rows = {host.id for host in await roci.read(hosts.all_)}
        assert set(hub.roster) <= rows


async def test_rules_in_force_are_those_in_the_table_after_many_changes_at_once(roci: Roci) -> None:
    policy = await allow(roci, {"type": "any"})
    for _ in range(20):
        changes = (roci.write(policies.change, policy.id, enabled=bool(turn % 2)) for turn in range(10))
        await asyncio.gather(*changes)
        kept = await roci.read(policies.get, policy.id)
        decided = await roci.part(Doorkeeper).rehearse("h", "10.0.0.1")
        assert (decided.status == "approved") == kept.enabled


def test_an_address_knocks_so_often_with_strangers_and_then_waits() -> None:
    moment = 0.0
    pace = Pace(clock=lambda: moment)
    for _ in range(KNOCKS):
        pace.check("198.51.100.7")
    with pytest.raises(TooMany):
        pace.check("198.51.100.7")
    pace.check("198.51.100.8")
    for _ in range(1000):
        pace.check("127.0.0.1")
    moment = 61.0
    pace.check("198.51.100.7")


async def test_who_knocks_too_often_is_told_to_come_later_and_known_hosts_are_not(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci, peer="198.51.100.7") as agent:
        await agent.register("known")
    for number in range(KNOCKS - 1):
        async with scripted_agent(roci, peer="198.51.100.7") as stranger:
            await stranger.register(f"s{number}")
    async with scripted_agent(roci, peer="198.51.100.7") as stranger:
        await stranger.say("register", hostname="one too many")
        assert await stranger.closed() == wire.TRY_LATER
    async with scripted_agent(roci, peer="198.51.100.7") as back:
        answer = await back.register("known", agent_id=agent.agent_id, agent_token=agent.agent_token)
        assert answer["agent_id"] == agent.agent_id


# --- by a key of a host ---


async def key_of(roci: Roci, host_id: str, expires_at: Any = None) -> tuple[str, str]:
    """Its id, and the key itself."""
    row, secret = await roci.write(hostkeys.issue, host_id, "agent", expires_at)
    return row.id, str(secret)


async def expected(roci: Roci) -> str:
    return (await roci.write(hostcards.add, "n1", "10.0.0.9", 22, {"rack": 3})).host.id


async def test_a_host_that_is_expected_is_its_agent_that_brings_a_key(roci: Roci) -> None:
    host_id = await expected(roci)
    assert host_id not in roci.part(Hub).roster
    _, key = await key_of(roci, host_id)
    async with scripted_agent(roci) as agent:
        answer = await agent.register("nas", agent_token=key)
        assert (answer["status"], answer["agent_id"]) == ("approved", host_id)
        assert "agent_token" not in answer, "the key is all it has"
        found = await roci.read(hostcards.get, host_id)
        assert (found.name, found.host.hostname, found.host.last_seen is not None) == ("n1", "nas", True)
    async with scripted_agent(roci) as again:
        assert (await again.register("nas", agent_token=key))["agent_id"] == host_id


async def test_an_expected_host_is_nobodys_without_its_key(roci: Roci) -> None:
    await allow(roci, {"type": "any"})
    host_id = await expected(roci)
    for fields in ({}, {"ip_address": ""}, {"agent_id": host_id}, {"agent_id": host_id, "agent_token": ""}):
        async with scripted_agent(roci, peer="") as agent:
            assert (await agent.register("n1", **fields))["agent_id"] != host_id


async def test_a_key_makes_its_agent_a_host_that_there_is(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        host_id = (await agent.register("nas"))["agent_id"]
    _, key = await key_of(roci, host_id)
    async with scripted_agent(roci) as agent:
        answer = await agent.register("nas", ip_address="10.0.0.7", agent_token=key)
        assert (answer["status"], answer["agent_id"]) == ("approved", host_id)
    async with scripted_agent(roci) as other:
        assert (await other.register("nas", ip_address="10.0.0.7"))["agent_id"] != host_id


@pytest.mark.parametrize("how", ["deactivated", "removed", "expired"])
async def test_the_connection_that_came_by_a_key_ends_with_it_and_the_key_opens_nothing_any_more(
    roci: Roci, how: str
) -> None:
    await allow(roci, {"type": "any"})
    host_id = await expected(roci)
    (id, key), (_, spare) = await key_of(roci, host_id), await key_of(roci, host_id)
    async with scripted_agent(roci) as agent:
        await agent.register("nas", agent_token=key)
        if how == "expired":
            over = hostkeys.HostKey.update(expires_at=now()).where(hostkeys.HostKey.id == id)
            await roci.write(over.execute)
            await enrol.close_ended(roci)
        else:
            await roci.write(hostkeys.deactivate if how == "deactivated" else hostkeys.remove, id)
        assert await agent.closed() == wire.REJECTED
    await until(lambda: not roci.part(Hub).connected)
    async with scripted_agent(roci) as again:
        await again.say("register", hostname="nas", ip_address="10.0.0.1", agent_token=key)
        assert await again.closed() == wire.REJECTED
    assert len(roci.part(Hub).roster) == 1, "it does not come in as another host either"
    async with scripted_agent(roci) as again:
        assert (await again.register("nas", agent_token=spare))["agent_id"] == host_id


async def test_another_key_of_the_host_ends_without_the_connection(roci: Roci) -> None:
    host_id = await expected(roci)
    (_, key), (other, _) = await key_of(roci, host_id), await key_of(roci, host_id)
    async with scripted_agent(roci) as agent:
        await agent.register("nas", agent_token=key)
        await roci.write(hostkeys.remove, other)
        await enrol.close_ended(roci)
        assert roci.part(Hub).connected == 1


async def test_wrong_keys_are_counted_as_other_strangers_are(roci: Roci) -> None:
    for _ in range(KNOCKS):
        async with scripted_agent(roci, peer="10.1.1.1") as agent:
            await agent.say("register", hostname="h", agent_token="chatops_wrong")
            assert await agent.closed() == wire.REJECTED
    async with scripted_agent(roci, peer="10.1.1.1") as agent:
        await agent.say("register", hostname="h", agent_token="chatops_wrong")
        assert await agent.closed() == wire.TRY_LATER


async def test_an_agent_does_not_take_the_name_of_a_host_that_is_here(
    roci: Roci, caplog: pytest.LogCaptureFixture
) -> None:
    await allow(roci, {"type": "any"})
    async with scripted_agent(roci) as nas, scripted_agent(roci) as first:
        await nas.register("nas")
        answer = await first.register("pi", ip_address="10.0.0.2")
        async with scripted_agent(roci) as again:
            await again.register("nas", agent_id=answer["agent_id"], agent_token=answer["agent_token"])
            assert roci.part(Hub).roster[again.agent_id].host.hostname == "pi"
            assert "pi says its name is nas, which is another host's: it keeps its own" in caplog.text
            _, key = await key_of(roci, again.agent_id)
        async with scripted_agent(roci) as again:
            await again.register("nas", agent_token=key)
            assert roci.part(Hub).roster[again.agent_id].host.hostname == "pi"
    await until(lambda: not roci.part(Hub).connected)
    async with scripted_agent(roci) as again:
        await again.register("nas", agent_token=key)
        assert roci.part(Hub).roster[again.agent_id].host.hostname == "nas", "nobody here has that name"
