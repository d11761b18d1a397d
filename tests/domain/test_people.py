"""What is done to others: nobody gets more by way of somebody else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from roci import Event, Forbidden, NotFound, Sensitive, current_actor
from roci_plugins.domain import access, credentials, people, principals, roles
from roci_plugins.domain import events as trail
from roci_plugins.domain.credentials import Login
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

OWNERS = (roles, principals, credentials, trail)
HASH = Sensitive("$argon2id$x")


@pytest.fixture(autouse=True)
def admin(events: list[Event]) -> Principal:
    access.seed()
    return access.add_administrator(NewPrincipal("admin", password_hash=HASH))


@contextlib.contextmanager
def helper() -> Iterator[Principal]:
    """Somebody acts who may manage people, and no hosts."""
    row = principals.add(NewPrincipal("helper"))
    access.add_role(NewRole("helpers", [Rule("principals.*"), Rule("bindings.*"), Rule("tokens.*")]))
    access.bind("helper", "helpers")
    token = current_actor.set(access.actor(row))
    try:
        yield row
    finally:
        current_actor.reset(token)


def test_somebody_new_gets_a_role_in_the_same_step_or_is_not_added() -> None:
    assert people.add(NewPrincipal("ann"), "admin").administrator
    with pytest.raises(NotFound):
        people.add(NewPrincipal("bob"), "no such role")


def test_nobody_adds_takes_over_or_enables_who_may_more(admin: Principal) -> None:
    access.bind("waiting", "admin")
    with helper():
        for act in (
            lambda: people.add(NewPrincipal("ann"), "admin"),
            lambda: people.add(NewPrincipal("waiting")),
            lambda: people.change(admin.id, email="x@example.org"),
            lambda: people.set_password(admin.id, HASH),
            lambda: people.enable(admin.id),
            lambda: people.issue_token(admin.id, "mine", None, None),
        ):
            with pytest.raises(Forbidden, match="nobody grants what they lack"):
                act()
        assert people.change(admin.id, display_name="Boss").display_name == "Boss"


def test_only_their_own_tokens_and_stays_are_ended(admin: Principal) -> None:
    ann = people.add(NewPrincipal("ann"))
    token, _ = people.issue_token(ann.id, "laptop", ["hosts.*"], None)
    credentials.log_in(ann)
    (login,) = credentials.logins(ann.id)
    for act in (lambda: people.revoke_token(admin.id, token.id), lambda: people.end_login(admin.id, login.id)):
        with pytest.raises(NotFound):
            act()
    people.revoke_token(ann.id, token.id)
    people.end_login(ann.id, login.id)
    assert credentials.logins(ann.id) == [] and credentials.tokens(ann.id)[0].revoked_at


def test_last_seen_is_the_latest_of_stays_and_tokens(admin: Principal) -> None:
    ann, bob = people.add(NewPrincipal("ann")), people.add(NewPrincipal("bob"))
    credentials.log_in(ann)
    token, _ = people.issue_token(bob.id, "laptop", None, None)
    assert people.last_seen().keys() == {ann.id}
    credentials.touch_token(token.id)
    seen = people.last_seen()
    assert seen.keys() == {ann.id, bob.id} and seen[ann.id] >= Login.get(Login.principal == ann.id).last_seen_at


def test_the_roles_that_would_let_somebody_are_named() -> None:
    access.add_role(NewRole("watcher", [Rule("hosts.read", "host/nas")]))
    access.add_role(NewRole("night", [], inherits=["watcher"]))
    assert access.givers("hosts.read", "host/nas") == ["admin", "night", "watcher"]
    assert access.givers("hosts.read", "host/pi") == ["admin"]
