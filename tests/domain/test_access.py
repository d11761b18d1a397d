"""Roles and bindings: nobody grants what they lack, somebody stays who may do everything, and why is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from roci import Actor, Conflict, Forbidden, Invalid, NotFound, current_actor, outbox
from roci_plugins.core.store import Store
from roci_plugins.domain import access, principals, roles, rules
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "roci.db", lambda events: None)
    store.prepare([*roles.register_models(), *principals.register_models()], [])
    with store.transaction():
        access.seed()
        access.add_administrator(NewPrincipal("root"))
        yield store
    store.close()


@contextlib.contextmanager
def acting(name: str, scopes: list[str] | None = None) -> Iterator[Actor]:
    actor = access.actor(principals.by_name(name), scopes)
    token = current_actor.set(actor)
    try:
        yield actor
    finally:
        current_actor.reset(token)


def person(name: str, *held: str, space: str | None = None) -> Principal:
    """Somebody with a role of these actions, everywhere or in a space."""
    row = principals.add(NewPrincipal(name))
    if held:
        access.add_role(NewRole(f"{name}s", [Rule(action) for action in held]))
        access.bind(name, f"{name}s", space)
    return row


def allowed(name: str, action: str, resource: str = "") -> bool:
    """By the tables and by the book, which must agree."""
    principal = principals.by_name(name)
    why = access.explain(principal, action, resource).allowed
    grants = access.book().grants(access.actor(principal))
    assert why is any(rules.allows(grant, action, resource) for grant in grants)
    return why


def test_nobody_may_anything_before_a_role_is_bound_and_all_that_it_says_after() -> None:
    person("ann")
    assert not allowed("ann", "hosts.read")
    access.add_role(NewRole("viewer", [Rule("*.read"), Rule("secrets.list", "space/a")]))
    binding = access.bind("ann", "viewer")
    assert allowed("ann", "hosts.read") and allowed("ann", "secrets.list", "space/a")
    assert not allowed("ann", "hosts.remove") and not allowed("ann", "secrets.list", "space/b")
    access.unbind(binding.id)
    assert not allowed("ann", "hosts.read")


def test_a_role_holds_what_it_inherits_however_far() -> None:
    person("ann")
    access.add_role(NewRole("c", [Rule("hosts.read")]))
    access.add_role(NewRole("b", [], inherits=["c"]))
    access.add_role(NewRole("a", [], inherits=["b"]))
    access.bind("ann", "a")
    assert allowed("ann", "hosts.read")
    assert access.effective_rules(["a"]) == [Rule("hosts.read")]
    with pytest.raises(Invalid, match="inherit from itself"):
        access.change_role("c", inherits=["a"])
    with pytest.raises(Invalid, match="inherit from itself"):
        access.change_role("c", inherits=["c"])
    with pytest.raises(Invalid, match="no role named 'nope'"):
        access.change_role("c", inherits=["nope"])
    access.remove_role("b")
    assert not allowed("ann", "hosts.read"), "a parent that vanished grants nothing"


def test_inherited_twice_by_two_ways_is_inherited_once() -> None:
    access.add_role(NewRole("d", [Rule("x")]))
    access.add_role(NewRole("b", [], inherits=["d"]))
    access.add_role(NewRole("c", [], inherits=["d"]))
    access.add_role(NewRole("a", [], inherits=["b", "c"]))
    assert access.effective_rules(["a"]) == [Rule("x")]


def test_a_binding_may_come_before_its_subject_and_goes_with_it() -> None:
    access.add_role(NewRole("viewer", [Rule("hosts.read")]))
    access.bind("Ann", "viewer")
    ann = person("ann")
    assert allowed("ann", "hosts.read")
    principals.remove(ann.id)
    person("ann")
    assert not allowed("ann", "hosts.read"), "a name that is made again inherits nothing"


def test_a_binding_needs_its_role_and_is_there_once() -> None:
    with pytest.raises(NotFound):
        access.bind("ann", "nope")
    access.bind("ann", "base", "a")
    access.bind("ann", "base")
    for space in ("a", None):
        with pytest.raises(Conflict):
            access.bind("ann", "base", space)


def test_roles_go_with_their_bindings_and_the_built_in_ones_stay() -> None:
    person("ann", "hosts.read")
    access.remove_role("anns")
    assert roles.bindings("ann") == []
    for name in ("admin", "base"):
        with pytest.raises(Conflict):
            access.remove_role(name)
    with pytest.raises(Conflict):
        access.change_role("admin", rules=[])


@pytest.mark.parametrize(
    ("held", "granted", "may"),
    [
        (["roles.*", "hosts.read"], "hosts.read", True),
        (["roles.*", "hosts.*"], "hosts.read", True),
        (["roles.*", "hosts.read"], "hosts.*", False),
        (["roles.*", "hosts.read"], "*", False),
        (["roles.*"], "roles.create", True),
    ],
)
def test_nobody_writes_a_role_of_what_they_lack(held: list[str], granted: str, may: bool) -> None:
    person("ann", *held)
    with acting("ann"), contextlib.nullcontext() if may else pytest.raises(Forbidden, match="lack"):
        access.add_role(NewRole("new", [Rule(granted)]))


def test_nobody_grants_what_they_lack_by_any_way() -> None:
    person("ann", "bindings.*", "roles.*", "principals.*")
    access.add_role(NewRole("full", [Rule("*")]))
    access.add_role(NewRole("empty", []))
    ways = (
        lambda: access.bind("ann", "admin"),
        lambda: access.bind("ann", "full", "a"),
        lambda: access.change_role("anns", rules=[Rule("*")]),
        lambda: access.change_role("empty", inherits=["full"]),
        lambda: access.add_role(NewRole("heir", [], inherits=["admin"])),
        lambda: access.require_covers(principals.by_name("root")),
    )
    for way in ways:
        with acting("ann"), pytest.raises(Forbidden, match="nobody grants what they lack"):
            way()


def test_a_binding_in_a_space_grants_in_that_space_only() -> None:
    person("ann", "*", space="a")
    access.add_role(NewRole("full", [Rule("*")]))
    with acting("ann"):
        access.bind("bob", "full", "a")
        for space in ("b", None):
            with pytest.raises(Forbidden):
                access.bind("bob", "full", space)


def test_a_credential_grants_no_more_than_it_is_for() -> None:
    access.add_role(NewRole("viewer", [Rule("hosts.read")]))
    access.add_role(NewRole("full", [Rule("*")]))
    with acting("root", ["hosts.*", "bindings.create"]):
        access.bind("bob", "viewer")
        with pytest.raises(Forbidden):
            access.bind("bob", "full")


def test_the_last_administrator_stays_by_whatever_way_it_would_go() -> None:
    root = principals.by_name("root")
    binding = roles.bindings("root")[0]
    assert (binding.id, binding.role, binding.space) == ("admin-binding", "admin", None)
    ways = (
        lambda: principals.remove(root.id),
        lambda: principals.disable(root.id),
        lambda: access.unbind(binding.id),
        lambda: access.confine(root.id, "a"),
    )
    for way in ways:
        with (
            pytest.raises(Conflict, match="root is the last enabled administrator"),
            roles.Role._meta.database.atomic(),
        ):
            way()
    assert principals.by_name("root").administrator
    access.add_administrator(NewPrincipal("ann"))
    access.unbind(binding.id)
    assert not principals.by_name("root").administrator


def test_a_role_that_holds_everything_makes_an_administrator_as_well() -> None:
    access.add_role(NewRole("boss", [Rule("*")]))
    access.add_role(NewRole("heir", [], inherits=["boss"]))
    ann = principals.add(NewPrincipal("ann"))
    access.bind("ann", "heir")
    assert principals.get(ann.id).administrator
    access.unbind("admin-binding")
    with pytest.raises(Conflict, match="ann is the last"), roles.Role._meta.database.atomic():
        access.change_role("boss", rules=[Rule("hosts.*")])
    with pytest.raises(Conflict, match="ann is the last"), roles.Role._meta.database.atomic():
        access.remove_role("boss")


def test_who_is_confined_is_no_administrator_and_reaches_only_the_space() -> None:
    ann = access.add_administrator(NewPrincipal("ann"))
    access.confine(ann.id, "a")
    assert not principals.get(ann.id).administrator
    assert allowed("ann", "secrets.get", "space/a") and allowed("ann", "spaces.list")
    assert not allowed("ann", "secrets.get", "space/b") and not allowed("ann", "hosts.read")
    access.confine(ann.id, None)
    assert principals.get(ann.id).administrator


def test_nobody_lets_another_out_of_a_space_to_more_than_they_hold() -> None:
    ann = access.add_administrator(NewPrincipal("ann"))
    access.confine(ann.id, "a")
    person("bob", "principals.update")
    with acting("bob"), pytest.raises(Forbidden):
        access.confine(ann.id, None)


def test_why_is_told() -> None:
    person("ann", "secrets.*", space="a")
    bob = person("bob")
    ann = principals.by_name("ann")
    yes = access.explain(ann, "secrets.get", "space/a")
    assert yes.allowed and "the role anns allows it in the space a" in yes.why
    assert [source.role for source in yes.because] == ["anns"]
    no = access.explain(ann, "secrets.get", "space/b")
    assert not no.allowed and "only on space/a" in no.why and len(no.nearly) == 1
    assert "no role of theirs grants hosts.read" in access.explain(ann, "hosts.read").why
    assert "no role is bound to bob" in access.explain(bob, "hosts.read").why
    principals.disable(ann.id)
    assert access.explain(principals.by_name("ann"), "secrets.get", "space/a").why == "ann is disabled"


def test_the_edition_tells_every_change() -> None:
    last = [access.edition()]

    def another() -> bool:
        last.append(access.edition())
        return last[-1] != last[-2]

    access.add_role(NewRole("viewer", [Rule("hosts.read")]))
    assert another()
    binding = access.bind("ann", "viewer")
    assert another()
    access.change_role("viewer", rules=[])
    assert another()
    access.unbind(binding.id)
    assert another()
    access.remove_role("viewer")
    assert another() and not another()


def test_changes_tell_what_was_and_what_is() -> None:
    events = outbox.get()
    access.add_role(NewRole("viewer", [Rule("hosts.read")]))
    access.change_role("viewer", description="who looks")
    access.bind("ann", "viewer", "a")
    changed, bound = events[-2], events[-1]
    assert changed.before["description"] is None and changed.after["description"] == "who looks"  # type: ignore[attr-defined]
    assert (bound.subject, bound.role, bound.space) == ("ann", "viewer", "a")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 256, "é"])
def test_a_role_has_a_plain_name(name: str) -> None:
    with pytest.raises(Invalid, match="name"):
        access.add_role(NewRole(name, []))


def test_a_rule_is_made_of_patterns() -> None:
    with pytest.raises(Invalid, match="rules"):
        access.add_role(NewRole("viewer", [Rule("hosts read")]))
