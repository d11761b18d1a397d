"""Permission keys and the rules they stand for, as a table, both ways."""

from __future__ import annotations

import pytest

from roci import Invalid, Permission
from roci_plugins.domain.rules import Rule, matches
from roci_plugins.surfaces.rootcx.permissions import (
    KEYS,
    available,
    key_of,
    keys_of,
    narrowed,
    rules_of,
    rules_of_all,
)


def secrets(scope: str) -> list[Rule]:
    return [Rule(f"secrets.{verb}", scope) for verb in ("list", "create", "update", "delete")]


@pytest.mark.parametrize(
    ("key", "rules"),
    [
        ("*", [Rule("*")]),
        ("app:crm:contacts.read", [Rule("app:crm:contacts.read")]),
        ("tool:query_data", [Rule("tool:query_data")]),
        ("integration:slack-2:send", [Rule("integration:slack-2:send")]),
        ("admin:apps.install", [Rule("admin:apps.install")]),
        ("admin:audit.read", [Rule("audit.read")]),
        ("admin:secrets.manage", [*secrets("platform"), *secrets("app/*")]),
        ("admin:*", [Rule("admin:*"), Rule("audit.read"), *secrets("platform"), *secrets("app/*")]),
        ("app:crm:*", [Rule("app:crm:*"), *secrets("app/crm")]),
        ("app:*", [Rule("app:*"), *secrets("app/*")]),
        ("app:crm:contacts:*", [Rule("app:crm:contacts:*")]),
        ("tool:*", [Rule("tool:*")]),
        ("app:*:read", [Rule("app:[*]:read")]),
        ("app:crm:con*", [Rule("app:crm:con[*]")]),
        ("**", [Rule("[*][*]")]),
        ("roci:hosts.read", [Rule("hosts.read")]),
        ("roci:hosts.*", [Rule("hosts.*")]),
        ("roci:secrets.list:space/default", [Rule("secrets.list", "space/default")]),
        ("roci:app:crm:*:space/lab", [Rule("app:crm:*", "space/lab")]),
        ("roci:*", [Rule("*")]),
    ],
)
def test_what_a_key_stands_for(key: str, rules: list[Rule]):
    assert rules_of(key) == rules


@pytest.mark.parametrize(
    "key", ["", "a b", "app:crm:\n", "é", "x" * 301, "roci:", "roci::platform", "roci:hosts.read:"]
)
def test_what_can_be_no_key_is_refused(key: str):
    with pytest.raises(Invalid, match="permissions: "):
        rules_of(key)


@pytest.mark.parametrize(
    ("key", "action", "holds"),
    [
        ("*", "app:crm:contacts.read", True),
        ("app:crm:*", "app:crm:contacts.read", True),
        ("app:crm:*", "app:crm2:contacts.read", False),
        ("app:crm:*", "app:crm", False),
        ("app:*:read", "app:crm:read", False),
        ("app:crm:contacts.*", "app:crm:contacts.read", False),
        ("app:crm:contacts.read", "app:crm:contacts.read", True),
        ("admin:*", "admin:apps.install", True),
        ("admin:*", "audit.read", True),
        ("admin:*", "secrets.read-values", False),
        ("admin:secrets.manage", "secrets.read-values", False),
        ("app:*", "secrets.read-values", False),
    ],
)
def test_only_the_star_at_the_end_is_a_wildcard(key: str, action: str, holds: bool):
    assert any(matches(rule.action, action) for rule in rules_of(key)) is holds


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (Rule("*"), "*"),
        (Rule("app:crm:contacts.read"), "app:crm:contacts.read"),
        (Rule("tool:*"), "tool:*"),
        (Rule("app:[*]:read"), "app:*:read"),
        (Rule("hosts.read"), "roci:hosts.read"),
        (Rule("hosts.*"), "roci:hosts.*"),
        (Rule("audit.read"), "roci:audit.read"),
        (Rule("secrets.list", "space/default"), "roci:secrets.list:space/default"),
        (Rule("*", "space/default"), "roci:*:space/default"),
        (Rule("admin:*"), "roci:admin:*:*"),
        (Rule("app:crm:*"), "roci:app:crm:*:*"),
        (Rule("app:*:read"), "roci:app:*:read:*"),
        (Rule("tool:*", "space/lab"), "roci:tool:*:space/lab"),
    ],
)
def test_a_rule_of_another_dialect_can_be_read_and_written_back(rule: Rule, key: str):
    assert key_of(rule) == key
    assert rules_of(key) == [rule]


def test_a_role_keeps_the_keys_it_was_written_with_until_it_grants_something_else():
    keys = ["app:crm:*", "admin:audit.read"]
    assert keys_of("rootcx", {"permissions": keys}, rules_of_all(keys)) == keys
    assert keys_of("rootcx", {"permissions": keys}, [Rule("hosts.read")]) == ["roci:hosts.read"]
    assert keys_of("raworc", {"rules": []}, [Rule("hosts.read"), Rule("hosts.read")]) == ["roci:hosts.read"]


def test_the_rules_of_several_keys_are_each_there_once():
    assert rules_of_all(["admin:audit.read", "roci:audit.read"]) == [Rule("audit.read")]


@pytest.mark.parametrize(
    ("keys", "scopes", "left"),
    [
        (["b:c", "a:b", "a:b"], None, ["a:b", "b:c"]),
        (["*"], ["*"], ["*"]),
        (["*"], ["hosts.*"], ["roci:hosts.*"]),
        (["admin:audit.read", "tool:*"], ["audit.read"], ["admin:audit.read", "roci:audit.read"]),
        (["tool:*"], ["hosts.read"], []),
        (["roci:hosts.read:host/1"], ["hosts.*"], ["roci:hosts.read:host/1"]),
        (["*"], [], []),
    ],
)
def test_a_credential_shows_no_more_than_it_is_for(keys: list[str], scopes: list[str] | None, left: list[str]):
    assert narrowed(keys, scopes) == left


def test_every_key_is_described_native_ones_too():
    listed = available([Permission("hosts.read", "see hosts")])
    assert {"key": "roci:hosts.read", "description": "see hosts"} in listed
    assert [each["key"] for each in listed] == sorted([*KEYS, "roci:hosts.read"])
    assert all(each["description"] and rules_of(each["key"]) for each in listed)
