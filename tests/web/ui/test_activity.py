"""The page of activity: both kinds in words, what one asked for, pages, and who sees what."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Event, Outcome, Roci
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import access, activity, applications, credentials, hosts, operations, policies, principals
from roci_plugins.domain.events import Recorded, filing
from roci_plugins.domain.operations import Operation
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui.activity import acts

from .reading import EVIL, text

COMPOSE = "services:\n  web:\n    image: nginx\n"


def began(host_id: str, kind: str, **args: Any) -> Operation:
    return operations.begin(kind, hosts.get(host_id), 60, args=args)


async def failed(roci: Roci, host_id: str) -> Operation:
    """A command that ended badly."""
    row = await roci.write(began, host_id, "image_pull", image="nginx")
    await roci.write(operations.finish, row.id, Outcome("failed", reason="no such image"))
    return row


async def test_operations_and_the_audit_are_told_in_words_the_newest_first(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    policy = await roci.write(policies.add, EVIL, 1, {"type": "any"}, "approve")
    await roci.write(policies.change, policy.id, priority=7)
    row = await failed(roci, nas.agent_id)
    app = await roci.write(applications.add, "wiki", COMPOSE)
    page = await text(client, "/activity")
    told = [f"/operations/{row.id}", f'href="/policies/{policy.id}"', "Host nas asked to join"]
    assert [page.index(each) for each in told] == sorted(page.index(each) for each in told)
    assert "no such image" in page and 'class="entry operation bad"' in page and EVIL not in page
    assert f'<a href="/applications/{app.id}">Application wiki was created</a>' in page
    assert "1 value changed" in page and "<del>1</del> <ins>7</ins>" in page
    assert "Operation began" not in page  # the operation speaks for itself


async def test_the_audit_alone_has_the_begin_and_the_end_of_operations(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    await failed(roci, nas.agent_id)
    page = await text(client, "/activity?kind=audit")
    assert "Operation began: image_pull" in page and "Operation ended: image_pull, failed" in page
    page = await text(client, "/activity?kind=operations")
    assert "Pull an image" in page and "asked to join" not in page


@pytest.mark.parametrize(
    ("query", "is_there", "is_not"),
    [
        ("outcome=failed", "Pull an image", "asked to join"),
        ("action=HostAdded", "asked to join", "Pull an image"),
        ("action=image_pull", "Pull an image", "asked to join"),
        ("q=WIKI", "Application wiki", "Pull an image"),
        ("who=nobody-here", "There is nothing like this", "Pull an image"),
        ("host=HOST", "Pull an image", "Application wiki"),
        ("application=APP", "Application wiki", "Pull an image"),
        ("last=1h", "Pull an image", "There is nothing"),
        ("until=2020-01-01T00:00", "There is nothing like this", "Pull an image"),
        ("since=2020-01-01T00:00", "Pull an image", "There is nothing like this"),
    ],
)
async def test_only_what_was_asked_for_is_there(
    client: Client, roci: Roci, nas: ScriptedAgent, query: str, is_there: str, is_not: str
) -> None:
    await failed(roci, nas.agent_id)
    app = await roci.write(applications.add, "wiki", COMPOSE)
    query = query.replace("HOST", nas.agent_id) if "host=" in query else query.replace("APP", app.id)
    part = await text(client, f"/activity?part=list&{query}")
    assert is_there in part and is_not not in part and "<form" not in part


@pytest.mark.parametrize("query", ["kind=x", "outcome=x", "last=x", "since=soon", "before=x", "before=2026-01-01~x~y"])
async def test_what_cannot_be_asked_is_refused_by_name(client: Client, query: str) -> None:
    assert query.partition("=")[0] in await text(client, f"/activity?{query}", 400)


async def test_pages_follow_one_another_and_only_the_first_is_live(client: Client, roci: Roci) -> None:
    for number in range(60):
        await roci.write(policies.add, f"policy{number}", number, {"type": "any"}, "approve")
    page = await text(client, "/activity?kind=audit&action=PolicyAdded")
    assert "policy59 " in page and "policy10 " in page and "policy9 " not in page and "live-any" in page
    older = re.search(r'class="button" href="(/activity\?[^"]+)">Older', page)
    assert older
    page = await text(client, html.unescape(older[1]))
    assert "policy9 " in page and "policy10 " not in page and "live-any" not in page and "Back to the newest" in page


async def test_a_search_that_stops_says_how_far_it_looked(
    client: Client, roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "SCAN", 5)
    for number in range(9):
        await roci.write(policies.add, f"policy{number}", number, {"type": "any"}, "approve")
    page = await text(client, "/activity?q=policy0")
    assert "Nothing like this so far." in page
    further = re.search(r'<a href="([^"]+)">Look further back', page)
    assert further and "policy0" in await text(client, html.unescape(further[1]))


async def test_the_export_is_of_what_is_shown(client: Client, roci: Roci) -> None:
    await roci.write(policies.add, "lan", 1, {"type": "any"}, "approve")
    page = await text(client, "/activity?q=lan&since=2020-01-01T00:00")
    link = re.search(r'href="(/api/v1/audit\?[^"]+)"', page)
    assert link
    told = await text(client, html.unescape(link[1]))
    assert told.startswith("seq,") and "PolicyAdded" in told and "PrincipalAdded" not in told


async def test_without_the_audit_there_are_operations_alone(anonymous: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await failed(roci, nas.agent_id)
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("operations.read")]))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    for query in ("", "?kind=audit"):
        page = await text(anonymous, f"/activity{query}")
        assert "asked to join" not in page and "Export" not in page and "audit.read" in page
    assert "Pull an image" in await text(anonymous, "/activity")


async def test_without_operations_there_is_no_activity(anonymous: Client, roci: Roci) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    await text(anonymous, "/activity", 403)


@pytest.mark.parametrize(
    ("name", "noun", "data", "words", "path"),
    [
        ("AttemptRefused", "attempt", {"action": "hosts.remove"}, "Refused: hosts.remove", ""),
        ("AttemptRefused", "attempt", {"path": "/login", "tried": "eve"}, "Refused: /login, as eve", ""),
        ("AttemptRefused", "attempt", {"path": "/login", "count": 7}, "Refused 7 times: /login", ""),
        (
            "AttemptRefused",
            "attempt",
            {"action": "x", "tried": "eve", "count": 7},
            "Refused 7 times: x, as eve",
            "",
        ),
        ("DeploymentMoved", "deployment", {"status": "failed"}, "Deployment of – on –: failed", ""),
        ("DeploymentMoved", "deployment", {"host_id": "h", "status": "x"}, "Deployment of – on nas: x", ""),
        ("AlertResolved", "alert", {}, "Alert resolved: s", "/alerts/s"),
        ("JarFilled", "jar", {"name": "sugar"}, "Jar filled: sugar", ""),
        ("HostRemoved", "host", {"hostname": "gone", "host_id": "x"}, "Host gone was removed", ""),
        ("HostCardSet", "host_card", {"host_id": "h"}, "The labels or notes of nas were changed", "/hosts/h"),
        ("OperationStarted", "operation", {"kind": "exec"}, "Operation began: exec", "/operations/s"),
    ],
)
def test_an_event_is_said_as_far_as_it_tells(name: str, noun: str, data: dict[str, Any], words: str, path: str) -> None:
    event = Recorded(name=name, noun=noun, subject_id="s", operation="NONE", data=data)
    assert acts.said(event, {"h": "nas"}) == words and acts.path(event, {"h": "nas"}) == path


def kinds(kind: type[Event] = Event) -> set[type[Event]]:
    return {kind}.union(*map(kinds, kind.__subclasses__()))


def test_each_event_of_ours_has_a_sentence_with_words_that_it_has(roci: Roci) -> None:
    ours = [each for each in kinds() if each.__module__.startswith("roci_plugins.")]
    for kind in ours:
        if kind.__name__.endswith("Event") or filing(kind).noun == "attempt":
            continue
        assert kind.__name__ in acts.SENTENCES, f"say in SENTENCES what {kind.__name__} means"
        wanted = set(re.findall(r"%\((\w+)\)s", acts.SENTENCES[kind.__name__]))
        assert wanted <= {*filing(kind).fields, "host", "application"}, kind
