from __future__ import annotations

import pytest

from roci import Conflict, Event, Invalid, NotFound
from roci_plugins.domain import access, applications, hosts, principals, roles, secrets, spaces
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.domain.spaces import SpaceAdded, SpaceChanged, SpaceRemoved

OWNERS = (hosts, applications, principals, roles, secrets, spaces)
pytestmark = pytest.mark.usefixtures("events")


def test_the_default_space_is_made_once() -> None:
    assert spaces.begin() and not spaces.begin()
    assert [row.name for row in spaces.all_()] == ["default"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "*", "x" * 256])
def test_what_is_no_name_of_a_space(name: str) -> None:
    with pytest.raises(Invalid, match=r"^name: "):
        spaces.add(name)


def test_a_name_is_taken_once() -> None:
    spaces.add("staging")
    with pytest.raises(Conflict, match="'staging'"):
        spaces.add("staging")


def test_changes_are_recorded_before_and_after(events: list[Event]) -> None:
    spaces.add("staging", "old", {"a": 1})
    spaces.change("staging", description="new", active=False)
    added, changed = events
    assert isinstance(added, SpaceAdded) and added.after == {"description": "old", "settings": {"a": 1}, "active": True}
    assert isinstance(changed, SpaceChanged) and changed.before == added.after
    assert changed.after == {"description": "new", "settings": {"a": 1}, "active": False}


def test_the_newest_come_first_and_may_be_narrowed() -> None:
    for name in ("a", "b", "c"):
        spaces.add(name)
    spaces.change("b", active=False)
    assert [row.name for row in spaces.all_()] == ["c", "b", "a"]
    assert [row.name for row in spaces.all_(active=True)] == ["c", "a"]
    assert [row.name for row in spaces.all_(active=False)] == ["b"]


def test_a_space_takes_its_secrets_and_bindings_along(ring: Keyring, events: list[Event]) -> None:
    for name in ("staging", "other"):
        spaces.add(name)
        secrets.put(ring, spaces.resource(name), "KEY", "x")
    access.add_role(NewRole("reader", [Rule("secrets.get", "space/*")]))
    for space in ("staging", "other", None):
        access.bind("u", "reader", space)
    spaces.remove("staging")
    assert isinstance(events[-1], SpaceRemoved)
    assert secrets.list_("space/staging") == [] and len(secrets.list_("space/other")) == 1
    assert {row.space for row in roles.bindings()} == {"other", None}
    with pytest.raises(NotFound):
        spaces.get("staging")


def test_the_default_space_stays() -> None:
    spaces.begin()
    with pytest.raises(Invalid, match="default"):
        spaces.remove("default")
