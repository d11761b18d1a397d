"""The pages of policies: their order, the forms that matchers declare, dry runs, and what one may not do."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from quart.typing import TestClientProtocol as Client

from roci import Matcher, NotFound, Roci, Settings, Verdict, hookimpl
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.domain import access, credentials, policies, principals
from roci_plugins.domain.policies import Policy
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.work import enrol

from .reading import EVIL, send, text, topics

LAN = {"type": "cidr", "network": "192.168.0.0/16"}


class Colour(msgspec.Struct, tag="colour"):
    """The colour of its case."""

    name: str
    least: int = 1


class Both(msgspec.Struct, tag="both"):
    of: list[Colour | Both]


class Cased(msgspec.Struct, kw_only=True):
    """How the machine looks."""

    of: list[Colour | Both]
    note: str = ""


class Look:
    name = "look"
    clause: type[msgspec.Struct] = Cased

    def matches(self, clause: Cased, facts: Mapping[str, Any]) -> Verdict:
        return Verdict(len(clause.of) > 1, f"{len(clause.of)} looks fit")


class Stranger:
    """A plugin that somebody else made."""

    @hookimpl
    def register_matchers(self) -> Iterable[Matcher]:
        return [Look()]


@pytest.fixture
async def roci(tmp_path: Path) -> AsyncIterator[Roci]:
    instance = Roci(Settings(data_dir=str(tmp_path / "data"), local_agent=False), [Stranger()])
    async with instance.running():
        yield instance


async def add(roci: Roci, name: str, match: Mapping[str, Any], action: str = "approve", priority: int = 10) -> Policy:
    return await roci.write(policies.add, name, priority, match, action)


async def names(roci: Roci) -> list[str]:
    return [policy.name for policy in await roci.read(policies.all_)]


async def answered(client: Client, path: str, status: int = 422, **form: str) -> str:
    """The page that a draft leads to, when it is not the end."""
    answer = await send(client, "/policies/new", path, **form)
    page = str(await answer.get_data(as_text=True))
    assert answer.status_code == status, page
    return html.unescape(page)


def draft(**more: str) -> dict[str, str]:
    form = {"name": "lan", "priority": "5", "action": "approve", "enabled": "yes", "kind": "cidr", "was": "cidr"}
    return {**form, "clause.network": "10.0.0.0/8", "then": "save", **more}


def look(**more: str) -> dict[str, str]:
    form = draft(kind="look", was="look")
    del form["clause.network"]
    return {**form, **more}


@pytest.fixture
async def bob(roci: Roci, anonymous: Client) -> Client:
    """Somebody who may see policies and change nothing."""
    person = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("policies.read")]))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, person))
    return anonymous


# --- the list ---


async def test_policies_stand_in_the_order_in_which_they_are_asked_in_words(client: Client, roci: Roci) -> None:
    await add(roci, "rest", {"type": "any"}, "reject", 90)
    await add(roci, EVIL, LAN)
    page = await text(client, "/policies")
    assert EVIL not in page and page.index("Whose address is in 192.168.0.0/16") < page.index("Everyone")
    part = await text(client, "/policies?part=list")
    assert "<h1>" not in part and "rest" in part and "Let hosts in" not in part


async def test_a_window_says_when_it_closes_and_can_be_opened_again(client: Client, roci: Roci) -> None:
    policy = await add(roci, "now", {"type": "time_window", "seconds": 600})
    page = await text(client, "/policies")
    assert "The window closes at" in page and topics(page, "list") == {"policies", "beats"}
    before = (await roci.read(policies.get, policy.id)).enabled_at
    await send(client, "/policies", f"/policies/{policy.id}/switch", to="on")
    assert (await roci.read(policies.get, policy.id)).enabled_at > before


async def test_a_policy_whose_matcher_is_gone_says_that_it_is_never_asked(client: Client, roci: Roci) -> None:
    policy = await add(roci, "moon", {"type": "phase", "of": "moon"})
    page = await text(client, "/policies")
    assert "It is never asked" in page and "phase" in page
    page = await text(client, f"/policies/{policy.id}")
    assert "Clause, as JSON" in page and "moon" in page


async def test_what_stands_behind_a_policy_for_everyone_says_so_and_a_new_one_is_put_before_it(
    client: Client, roci: Roci
) -> None:
    await add(roci, "all", {"type": "any"}, priority=30)
    assert 'name="priority" value="29"' in await text(client, "/policies/new")
    await add(roci, "late", LAN, priority=40)
    assert "It is never asked: all, before it, is for everyone" in await text(client, "/policies")
    assert 'name="priority" value="50"' in await text(client, "/policies/new")


async def test_a_policy_moves_up_and_down_without_scripts(client: Client, roci: Roci) -> None:
    first, last = await add(roci, "a", LAN), await add(roci, "b", {"type": "any"})
    answer = await send(client, "/policies", f"/policies/{last.id}/move", by="up")
    assert answer.status_code == 303 and await names(roci) == ["b", "a"]
    await send(client, "/policies", f"/policies/{last.id}/move", by="up")  # further up there is nothing
    assert await names(roci) == ["b", "a"]
    await send(client, "/policies", f"/policies/{last.id}/move", by="down")
    assert await names(roci) == ["a", "b"]
    assert (await roci.read(policies.get, first.id)).priority < (await roci.read(policies.get, last.id)).priority


async def test_an_order_is_for_all_policies_there_are_or_it_is_none(client: Client, roci: Roci) -> None:
    ids = [(await add(roci, name, LAN, priority=each)).id for each, name in enumerate("abc")]
    answer = await send(client, "/policies", "/policies/order", ids=",".join(reversed(ids)))
    assert answer.status_code == 303 and await names(roci) == ["c", "b", "a"]
    assert [policy.priority for policy in await roci.read(policies.all_)] == [0, 1, 2]
    answer = await send(client, "/policies", "/policies/order", ids=",".join(ids[:2]))
    assert answer.status_code == 409 and await names(roci) == ["c", "b", "a"]


async def test_a_policy_is_turned_off_and_on(client: Client, roci: Roci) -> None:
    policy = await add(roci, "lan", LAN)
    await send(client, "/policies", f"/policies/{policy.id}/switch", to="off")
    assert not (await roci.read(policies.get, policy.id)).enabled
    assert "Turn on" in await text(client, "/policies")
    await send(client, "/policies", f"/policies/{policy.id}/switch", to="on")
    assert (await roci.read(policies.get, policy.id)).enabled


async def test_removing_a_policy_says_first_whom_it_would_shut_out(client: Client, roci: Roci) -> None:
    policy = await add(roci, "all", {"type": "any"})
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        page = await text(client, f"/policies/{policy.id}/remove")
        assert "would be decided otherwise" in page and ">nas</a>" in page and "waiting" in page
        answer = await send(client, f"/policies/{policy.id}/remove", f"/policies/{policy.id}/remove")
        assert answer.status_code == 303
        assert "would now be: nas (waiting)" in await text(client, "/policies")
    with pytest.raises(NotFound):
        await roci.read(policies.get, policy.id)


# --- the form ---


@pytest.mark.parametrize(
    ("kind", "fields", "match_type"),
    [
        ("cidr", {"clause.network": "fd00::/8"}, {"type": "cidr", "network": "fd00::/8"}),
        ("reverse_dns", {"clause.pattern": "*.lab.lan"}, {"type": "reverse_dns", "pattern": "*.lab.lan"}),
        ("time_window", {"clause.seconds": "600"}, {"type": "time_window", "seconds": 600}),
        ("totp", {}, {"type": "totp"}),
        ("any", {}, {"type": "any"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_matcher_has_a_form(
    client: Client, roci: Roci, kind: str, fields: dict[str, str], match_type: dict[str, Any]
) -> None:
    page = await text(client, f"/policies/new?kind={kind}")
    assert all(f'name="{name}"' in page for name in fields)
    answer = await send(client, "/policies/new", "/policies/new", **{**draft(kind=kind, was=kind), **fields})
    assert answer.status_code == 303
    assert (await roci.read(policies.all_))[0].match_type == match_type
    id = (await roci.read(policies.all_))[0].id
    page = await text(client, f"/policies/{id}")
    assert all(f'value="{value}"' in page for value in fields.values())


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "must not be empty"),
        ("priority", "soon", "a whole number is needed"),
        ("priority", "²", "a whole number is needed"),
        ("action", "maybe", "must be one of approve, reject, pending"),
        ("clause.network", "my house", "'my house' is not a network"),
        ("clause.network", "", "is required"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    client: Client, roci: Roci, field: str, value: str, words: str
) -> None:
    page = await answered(client, "/policies/new", **draft(**{field: value}))
    assert re.search(rf'id="{re.escape(field)}-wrong">[^<]*{re.escape(words)}', page)
    assert 'value="10.0.0.0/8"' in page or field == "clause.network"
    assert await names(roci) == []


async def test_choosing_another_matcher_shows_its_fields_and_saves_nothing(client: Client, roci: Roci) -> None:
    page = await answered(client, "/policies/new", 200, **draft(kind="time_window"))
    assert 'name="clause.seconds"' in page and 'value="lan"' in page and await names(roci) == []


async def test_the_form_of_a_matcher_that_nobody_here_knows_is_a_tree_of_clauses(client: Client, roci: Roci) -> None:
    page = await text(client, "/policies/new?kind=look")
    assert "How the machine looks." in page and 'value="add clause.of"' in page and 'name="clause.note"' in page
    grown = look(**{"clause.of.0.is": "both", "clause.of.0.of.kind": "colour", "then": "add clause.of.0.of"})
    page = await answered(client, "/policies/new", 200, **grown)
    assert 'name="clause.of.0.of.0.name"' in page and "The colour of its case." in page
    filled = {"clause.of.0.is": "both", "clause.of.0.of.0.is": "colour", "clause.of.0.of.0.name": "red"}
    page = await answered(
        client, "/policies/new", 200, **look(**filled, **{"clause.of.kind": "colour", "then": "add clause.of"})
    )
    assert 'value="red"' in page and 'name="clause.of.1.name"' in page
    page = await answered(client, "/policies/new", 200, **look(**filled, then="remove clause.of.0"))
    assert 'value="red"' not in page
    await send(client, "/policies/new", "/policies/new", **look(**filled))
    inner = {"type": "colour", "name": "red"}
    assert (await roci.read(policies.all_))[0].match_type == {"type": "look", "of": [{"type": "both", "of": [inner]}]}


async def test_what_is_wrong_deep_in_a_tree_stands_there(client: Client) -> None:
    filled = {"clause.of.0.is": "colour", "clause.of.0.name": "red", "clause.of.0.least": "few"}
    page = await answered(client, "/policies/new", **look(**filled))
    assert 'id="clause.of.0.least-wrong">a whole number is needed' in page and 'value="few"' in page
    del filled["clause.of.0.least"], filled["clause.of.0.name"]
    assert 'id="clause.of.0.name-wrong">is required' in await answered(client, "/policies/new", **look(**filled))


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "moon", "was": "moon"},
        {"then": "add clause.network"},
        {"kind": "look", "was": "look", "then": "add clause.of", "clause.of.kind": "smell"},
        {"kind": "look", "was": "look", "then": "add clause.of.7.of", "clause.of.7.of.kind": "colour"},
        {"kind": "look", "was": "look", "clause.of.0.is": "smell"},
        {"kind": "look", "was": "look", **{f"clause.of{'.0.of' * each}.0.is": "both" for each in range(12)}},
    ],
    ids=["kind", "leaf", "smell", "nowhere", "member", "deep"],
)
async def test_what_no_form_of_ours_sends_is_refused_in_words(client: Client, roci: Roci, more: dict[str, str]) -> None:
    assert 'class="wrong" role="alert"' in await answered(client, "/policies/new", **draft(**more))
    assert await names(roci) == []


async def test_a_clause_is_written_as_json_and_back(client: Client, roci: Roci) -> None:
    page = await answered(client, "/policies/new", 200, **draft(then="json"))
    assert '"network": "10.0.0.0/8"' in page
    typed = {"name": "x", "priority": "1", "action": "reject", "clause": '{"type": "cidr", "network": "10.1.0.0/16"}'}
    page = await answered(client, "/policies/new", 200, **typed, then="form")
    assert 'value="10.1.0.0/16"' in page
    await send(client, "/policies/new", "/policies/new", **typed, then="save")
    assert (await roci.read(policies.all_))[0].match_type == {"type": "cidr", "network": "10.1.0.0/16"}
    for clause, words in (("{", "this is no JSON"), ("[]", "an object is needed"), ('{"type": "x"}', "must be one of")):
        assert words in await answered(client, "/policies/new", **{**typed, "clause": clause, "then": "save"})


async def test_changing_a_policy_leaves_its_window_as_it_is(client: Client, roci: Roci) -> None:
    policy = await add(roci, "now", {"type": "time_window", "seconds": 600})
    seen = policy.updated_at.isoformat()
    form = draft(kind="time_window", was="time_window", name="soon", seen=seen, **{"clause.seconds": "900"})
    answer = await send(client, "/policies/new", f"/policies/{policy.id}", **form)
    changed = await roci.read(policies.get, policy.id)
    assert answer.status_code == 303 and changed.name == "soon" and changed.match_type["seconds"] == 900
    assert changed.enabled_at == policy.enabled_at


async def test_who_comes_second_is_told_what_the_first_one_did_and_loses_nothing(client: Client, roci: Roci) -> None:
    policy = await add(roci, "lan", LAN)
    seen = policy.updated_at.isoformat()
    await roci.write(policies.change, policy.id, name="theirs")
    page = await answered(client, f"/policies/{policy.id}", **draft(name="mine", seen=seen))
    assert "It is now: theirs" in page and 'value="mine"' in page
    assert await names(roci) == ["theirs"]
    again = re.search(r'name="seen" value="([^"]+)"', page)
    assert again
    answer = await send(client, "/policies/new", f"/policies/{policy.id}", **draft(name="mine", seen=again[1]))
    assert answer.status_code == 303 and await names(roci) == ["mine"]


@pytest.mark.parametrize("preset", ["network", "window", "code", "name"])
async def test_a_ready_policy_only_needs_to_be_saved(client: Client, preset: str) -> None:
    page = await text(client, f"/policies/new?preset={preset}")
    assert 'name="name" value=""' not in page


# --- dry runs ---


async def test_a_dry_run_tells_each_step_and_who_decides(client: Client, roci: Roci) -> None:
    await add(roci, "lan", LAN, priority=1)
    await add(roci, "door", {"type": "cidr", "network": "10.0.0.0/8"}, "reject", 2)
    await add(roci, "rest", {"type": "any"}, priority=3)
    off = await add(roci, "sleepy", {"type": "any"}, priority=0)
    await roci.write(policies.change, off.id, enabled=False)
    page = await text(client, "/policies/try?address=10.1.1.1&hostname=pi")
    said = [
        page.index(words)
        for words in ("rejected", "is off", "10.1.1.1 is outside", "10.1.1.1 is inside", "is not asked")
    ]
    assert said == sorted(said)
    assert "no IP address" in await text(client, "/policies/try?address=home", 422)
    answer = await send(client, "/policies/try", "/policies/try", address="192.168.1.9", totp="123456")
    assert "approved" in await answer.get_data(as_text=True)


async def test_a_host_that_waits_has_its_reason_one_click_away(client: Client, roci: Roci) -> None:
    await add(roci, "lan", LAN)
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        assert f'href="/policies/try?host={agent.agent_id}"' in await text(client, "/policies")
        page = await text(client, f"/policies/try?host={agent.agent_id}")
        assert "Why nas is waiting" in page and "outside 192.168.0.0/16" in page and "Approve" in page
        assert topics(page, "decision") == {"hosts"} and 'value="approve"' in page
        await enrol.approve(roci, agent.agent_id)
        part = await text(client, f"/policies/try?host={agent.agent_id}&part=decision")
        assert "approved</span>" in part and "<button" not in part and "outside" not in part
    await text(client, "/policies/try?host=nobody", 404)


async def test_a_draft_is_tried_before_it_is_saved(client: Client, roci: Roci) -> None:
    await add(roci, "rest", {"type": "any"}, priority=50)
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        form = draft(action="reject", then="try", address="10.0.0.9", **{"clause.network": "0.0.0.0/0"})
        page = await answered(client, "/policies/new", 200, **form)
        assert "is inside 0.0.0.0/0" in page and "would be decided otherwise" in page and ">nas</a>" in page
        page = await answered(client, "/policies/new", **{**form, "address": "home"})
        assert "is no IP address" in page
    assert await names(roci) == ["rest"]


# --- who may not ---


async def test_who_may_only_look_sees_policies_and_no_way_to_change_them(bob: Client, roci: Roci) -> None:
    policy = await add(roci, "lan", LAN)
    page = await text(bob, "/policies")
    assert "lan" in page and "Turn off" not in page and "New policy" not in page and "Let in whoever" not in page
    page = await text(bob, f"/policies/{policy.id}")
    assert '<fieldset class="bare" disabled>' in page and ">Save<" not in page
    assert "What would happen" in await text(bob, "/policies/try?address=192.168.1.1")
    await text(bob, "/policies/new", 403)
    await text(bob, f"/policies/{policy.id}/remove", 403)
    for path in ("order", f"{policy.id}", f"{policy.id}/move", f"{policy.id}/switch", f"{policy.id}/remove"):
        assert (await send(bob, "/policies/try", f"/policies/{path}", to="off")).status_code == 403
    assert await names(roci) == ["lan"]


async def test_a_form_without_its_token_changes_nothing(client: Client, roci: Roci) -> None:
    policy = await add(roci, "lan", LAN)
    answer = await client.post(f"/policies/{policy.id}/remove", form={})
    assert answer.status_code == 403 and await names(roci) == ["lan"]
