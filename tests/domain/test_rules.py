"""What patterns match, what a grant reaches, and what one grant holds of another."""

from __future__ import annotations

import pytest

from roci_plugins.domain import rules
from roci_plugins.domain.rules import Grant


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "", True),
        ("*", "hosts.read", True),
        ("hosts.*", "hosts.read", True),
        ("hosts.*", "hostsxread", False),
        ("hosts", "hosts.read", False),
        ("Hosts.*", "hosts.read", False),
        ("*.list", "spaces.list", True),
        ("space/*", "space/a/secrets", True),
        ("space/*", "space", False),
        ("app:crm:*", "app:crm:contacts.read", True),
        ("app:crm[*]", "app:crm*", True),
        ("app:crm[*]", "app:crm:contacts", False),
        ("a.b", "a+b", False),
        ("", "", True),
        ("", "hosts.read", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_is_special(pattern: str, text: str, matches: bool) -> None:
    assert rules.matches(pattern, text) is matches


@pytest.mark.parametrize(
    ("grant", "action", "resource", "allowed"),
    [
        (("*", "*", None), "principals.create", "", True),
        (("*", "*", "a"), "secrets.create", "space/a", True),
        (("*", "*", "a"), "sessions.create", "space/a/x", True),
        (("*", "*", "a"), "secrets.create", "space/ab", False),
        (("*", "*", "a"), "spaces.delete", "space/a", True),
        (("*", "*", "a"), "spaces.create", "", False),
        (("*", "*", "a"), "spaces.list", "", True),
        (("*", "*", "a"), "spaces.get", "space/b", True),
        (("*", "*", "a"), "principals.list", "", False),
        (("*", "*", "a"), "bindings.create", "space/a", True),
        (("secrets.*", "space/*", None), "secrets.get", "space/b", True),
        (("secrets.*", "space/*", None), "secrets.get", "platform", False),
        (("secrets.*", "space/*", "a"), "spaces.list", "", False),
        (("spaces.*", "space/*", "a"), "spaces.list", "", False),
        (("hosts.read", "*", "a"), "hosts.read", "", False),
        (("hosts.read", "host/1", None), "hosts.read", "host/1", True),
        (("hosts.read", "host/1", None), "hosts.read", "", False),
    ],
)
def test_a_grant_reaches_no_further_than_its_space_and_resource(
    grant: tuple[str, str, str | None], action: str, resource: str, allowed: bool
) -> None:
    assert rules.allows(Grant(*grant), action, resource) is allowed


@pytest.mark.parametrize(
    ("held", "wanted", "contained"),
    [
        (("*", "*", None), ("*", "*", None), True),
        (("secrets.list", "platform", "x"), ("secrets.list", "platform", "x"), True),
        (("*", "*", None), ("secrets.*", "space/a", "a"), True),
        (("*", "*", "a"), ("*", "*", "a"), True),
        (("*", "*", "a"), ("*", "*", None), False),
        (("*", "*", "a"), ("*", "*", "b"), False),
        (("*", "*", "a"), ("secrets.get", "space/a", None), True),
        (("*", "*", "a"), ("secrets.get", "space/*", None), False),
        (("secrets.*", "*", None), ("secrets.get", "*", "a"), True),
        (("secrets.get", "*", None), ("secrets.*", "*", None), False),
        (("secrets.*", "space/*", None), ("secrets.get", "*", "a"), True),
        (("secrets.*", "space/*", None), ("secrets.get", "*", None), False),
        (("x", "space/a", None), ("x", "*", "a"), False),
        (("x", "space/a/*", None), ("x", "*", "a"), False),
        (("secrets.[*]", "*", None), ("secrets.*", "*", None), False),
        (("secrets.[*]", "*", None), ("secrets.[*]", "*", None), True),
        (("secrets.*", "*", None), ("secrets.[*]", "*", None), True),
        (("*.get", "*", None), ("*", "*", None), False),
        (("a*c", "*", None), ("a*b*c", "*", None), True),
    ],
)
def test_whoever_holds_one_grant_holds_what_it_contains(
    held: tuple[str, str, str | None], wanted: tuple[str, str, str | None], contained: bool
) -> None:
    assert rules.contains(Grant(*held), Grant(*wanted)) is contained


def test_no_pattern_takes_long() -> None:
    """A regular expression would take for ever."""
    for pattern in ("*" * 300 + "X", "*a" * 150 + "b", "a*" * 150 + "b"):
        assert not rules.matches(pattern, "a" * 10_000)
    assert rules.matches("*a" * 150, "a" * 10_000)


def test_who_is_confined_keeps_what_lies_in_the_space() -> None:
    held = [Grant("a", "*", None), Grant("b", "*", "x"), Grant("c", "*", "y")]
    assert list(rules.confined(held, None)) == held
    assert list(rules.confined(held, "x")) == [Grant("a", "*", "x"), Grant("b", "*", "x")]
