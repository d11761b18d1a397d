from __future__ import annotations

from typing import Any

import pytest

from roci_plugins.domain.rules import Rule, includes
from roci_plugins.surfaces.raworc import grammar

SPACE = "space/*"


def rule(resources: list[str], verbs: list[str], scope: str | None = None, **more: Any) -> dict[str, Any]:
    return {"resources": resources, "verbs": verbs, **({"scope": scope} if scope else {}), **more}


GRANTS = [
    (rule(["*"], ["*"], "global"), [Rule("*")]),
    (rule(["*"], ["get"], "global"), [Rule("*.get")]),
    (rule(["*"], ["read"], "global"), [Rule("*.get"), Rule("messages.list")]),
    (rule(["secrets"], ["*"], "space"), [Rule("secrets.*", SPACE)]),
    (rule(["secrets"], ["*"], "GLOBAL"), [Rule("secrets.*")]),
    (
        rule(["secrets"], ["read", "read_values"], "space"),
        [Rule("secrets.get", SPACE), Rule("secrets.read-values", SPACE)],
    ),
    (rule(["messages"], ["read"]), [Rule("messages.get", SPACE), Rule("messages.list", SPACE)]),
    (rule(["session_messages", "session-messages"], ["get"]), [Rule("messages.get", SPACE)]),
    (rule(["agents"], ["create"], "space"), [Rule("handlers.create", SPACE)]),
    (rule(["space.agent", "space-secrets"], ["get"]), [Rule("handlers.get", SPACE), Rule("secrets.get", SPACE)]),
    (rule(["service-accounts", "role-bindings"], ["list"]), [Rule("principals.list"), Rule("bindings.list")]),
    (rule(["roles"], ["delete"], "global"), [Rule("roles.delete")]),
    (rule(["spaces"], ["read", "list"], "global"), [Rule("spaces.get"), Rule("spaces.list")]),
    (rule(["spaces", "roles"], ["*"], "space"), []),
    (rule(["*"], ["get"], "space"), [Rule(f"{noun}.get", SPACE) for noun in grammar.IN_SPACE.values()]),
    (rule(["*"], ["*"], "space"), [Rule(f"{noun}.*", SPACE) for noun in grammar.IN_SPACE.values()]),
    (rule(["secrets"], ["get"], apiGroups=[""]), [Rule("secrets.get", SPACE)]),
    (rule(["secrets"], ["get"], apiGroups=["apps", "*"]), [Rule("secrets.get", SPACE)]),
    (rule(["secrets"], ["get"], apiGroups=["apps"]), []),
    (rule(["secrets"], ["get"], apiGroups=[]), []),
    (rule(["pods", "sec*", "secrets.*", "principals"], ["get"], "global"), []),
    (rule(["secrets"], ["watch", "g*", "g.t"], "global"), []),
    (rule(["Secrets"], ["LIST"]), [Rule("secrets.list", SPACE)]),
]


@pytest.mark.parametrize("written, granted", GRANTS)
def test_what_a_rule_grants(written: dict[str, Any], granted: list[Rule]) -> None:
    assert grammar.rules([written]) == granted


@pytest.mark.parametrize(
    "resources, scope",
    [(["secrets"], "space"), (["secrets", "roles"], "global"), (["*"], "global"), (["pods"], "space")],
)
def test_a_rule_without_a_scope_gets_the_one_of_what_it_is_about(resources: list[str], scope: str) -> None:
    assert grammar.scope(rule(resources, ["get"])) == scope


@pytest.mark.parametrize(
    "granted, read",
    [
        (Rule("*"), rule(["*"], ["*"], "global")),
        (Rule("secrets.*", SPACE), rule(["secrets"], ["*"], "space")),
        (Rule("principals.list"), rule(["service-accounts"], ["list"], "global")),
        (Rule("handlers.get", SPACE), rule(["agents"], ["get"], "space")),
        (Rule("hosts.read"), rule(["hosts"], ["read"], "global")),
        (Rule("hosts.read", "host/1"), rule(["host/1/hosts"], ["read"], "space")),
        (Rule("secrets.list", "platform"), rule(["platform/secrets"], ["list"], "space")),
        (Rule("secrets.list", ""), rule(["/secrets"], ["list"], "space")),
        (Rule("*.read"), rule(["*/*"], ["read"], "global")),  # here `read` would be `get`
        (Rule("app:crm:leads.read"), rule(["app:crm:leads"], ["read"], "global")),
    ],
)
def test_how_a_rule_of_another_dialect_reads_here(granted: Rule, read: dict[str, Any]) -> None:
    assert grammar.written(granted) == read


@pytest.mark.parametrize("resource", ["*", SPACE, "space/default", "space/*/x", "platform", "", "host/1"])
@pytest.mark.parametrize(
    "action", ["*", "*.read", "*.get", "secrets.list", "Secrets.list", "agents.get", "hosts.*", "x"]
)
def test_what_is_read_here_and_sent_back_grants_no_more(action: str, resource: str) -> None:
    again = grammar.rules([grammar.written(Rule(action, resource))])
    assert all(includes(action, each.action) and includes(resource, each.resource) for each in again)


def test_what_two_rules_grant_is_there_once() -> None:
    twice = rule(["secrets"], ["get", "read"], "space")
    assert grammar.rules([twice, twice]) == [Rule("secrets.get", SPACE)]
