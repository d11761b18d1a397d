from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roci import Conflict, Event, Invalid, NotFound, Sensitive, Unavailable
from roci_plugins.domain import registries, secrets
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.registries import NewCredential, RegistryCredential, RegistryCredentialChanged

Add = Callable[..., RegistryCredential]
OWNERS = (registries, secrets)
pytestmark = pytest.mark.usefixtures("events")


@pytest.fixture
def add(ring: Keyring) -> Add:
    return lambda **fields: registries.add(ring, new(**fields))


def new(**fields: Any) -> NewCredential:
    usual = {"name": "hub", "username": "me", "secret": Sensitive("hunter2hunter2"), "registry_type": "ghcr"}
    return NewCredential(**usual | fields)


def test_the_usual_address_of_a_kind_is_taken_where_there_is_one(add: Add) -> None:
    assert (add()).registry_url == "ghcr.io"
    assert (add(name="d", registry_type="docker_hub")).registry_url == "docker.io"
    assert (add(name="g", registry_type="harbor", registry_url="harbor.lan")).registry_url == "harbor.lan"
    with pytest.raises(Invalid, match="registry_url: is required"):
        add(name="x", registry_type="aws_ecr")


@pytest.mark.parametrize(
    "wrong, why",
    [
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"registry_type": "ecr"}, "registry_type"),
        ({"registry_url": "ghcr.io --x"}, "registry_url"),
        ({"registry_url": "-x"}, "registry_url"),
        ({"username": ""}, "username"),
        ({"username": "--password"}, "username"),
        ({"username": "a\u200bb"}, "username"),  # it prints as another
        ({"secret": Sensitive("")}, "secret"),
        ({"secret": Sensitive("a\0b")}, "secret"),
        ({"description": "a\x1b[2J"}, "description"),
    ],
    ids=lambda each: each if isinstance(each, str) else next(iter(each)),
)
def test_what_makes_no_sense_is_refused(add: Add, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        add(**wrong)
    assert registries.list_() == [] and secrets.list_() == []


def test_the_password_is_sealed_and_read_by_id_only(ring: Keyring, add: Add) -> None:
    row = add(secret=Sensitive('{"type": "service_account",\n"key": "verysecret1"}'))
    assert "verysecret1" in registries.password(ring, row.id)
    assert "verysecret1" not in repr(row) + repr(new())
    (stored,) = secrets.list_(f"registry/{row.id}")
    assert b"verysecret1" not in bytes(stored.blob)
    assert secrets.is_internal(f"registry/{row.id}"), "it is in no list of secrets"
    with pytest.raises(NotFound):
        registries.password(ring, "nothing")


def test_it_goes_along_when_the_key_is_turned(ring: Keyring, add: Add) -> None:
    row = add()
    before = ring.read().current
    ring.turn()
    while secrets.reseal(ring):
        pass
    assert secrets.drop_keys(ring) == [before]
    assert registries.password(ring, row.id) == "hunter2hunter2"


def test_a_change_leaves_the_password_unless_there_is_a_new_one(ring: Keyring, add: Add, events: list[Event]) -> None:
    row = add()
    changed = registries.change(ring, row.id, None, name="ours", description="for CI")
    assert (changed.name, changed.description, changed.registry_url) == ("ours", "for CI", "ghcr.io")
    assert registries.password(ring, row.id) == "hunter2hunter2"
    registries.change(ring, row.id, Sensitive("anotherone"), username="you")
    assert registries.password(ring, row.id) == "anotherone"
    first, second = [each for each in events if isinstance(each, RegistryCredentialChanged)]
    assert (first.new_secret, second.new_secret) == (False, True)
    assert first.before and first.after and (first.before["name"], first.after["name"]) == ("hub", "ours")
    assert "anotherone" not in repr(events)


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"registry_url": "registry.evil.lan:5000"}, "registry_url"),
        ({"registry_url": "https://ghcr.io:8443"}, "registry_url"),
        ({"registry_type": "docker_hub"}, "registry_url"),
        ({"username": "you"}, "username"),
    ],
    ids=["machine", "port", "type", "username"],
)
def test_a_password_goes_nowhere_else_unless_it_is_sent_again(
    ring: Keyring, add: Add, changes: dict[str, str], field: str
) -> None:
    row = add()
    with pytest.raises(Invalid, match=f"^secret: send it again, since {field} has changed$"):
        registries.change(ring, row.id, None, **changes)
    registries.change(ring, row.id, Sensitive("anotherone"), **changes)
    assert registries.password(ring, row.id) == "anotherone"


def test_the_same_machine_written_otherwise_is_no_other_place(ring: Keyring, add: Add) -> None:
    row = add()
    changed = registries.change(ring, row.id, None, registry_url="https://GHCR.io/acme", registry_type="generic")
    assert changed.registry_url == "https://GHCR.io/acme"


def test_the_usual_address_follows_the_type(ring: Keyring, add: Add) -> None:
    usual, own = add(), add(name="own", registry_url="ghcr.lan")
    assert registries.change(ring, usual.id, Sensitive("x"), registry_type="docker_hub").registry_url == "docker.io"
    assert registries.change(ring, usual.id, None, registry_type="generic").registry_url == "docker.io"
    assert registries.change(ring, own.id, None, registry_type="docker_hub").registry_url == "ghcr.lan"


def test_two_of_one_name_are_a_conflict(ring: Keyring, add: Add) -> None:
    add()
    other = add(name="other")
    with pytest.raises(Conflict):
        add(name="HUB")
    with pytest.raises(Conflict):
        registries.change(ring, other.id, None, name="hub")
    assert (registries.change(ring, other.id, None, name="OTHER")).name == "OTHER"


def test_with_it_goes_its_password(ring: Keyring, add: Add) -> None:
    row = add()
    registries.remove(row.id)
    assert secrets.list_() == []
    with pytest.raises(NotFound):
        registries.get(row.id)


def test_one_whose_password_was_given_up_says_so(ring: Keyring, add: Add) -> None:
    row = add()
    secrets.remove_scope(f"registry/{row.id}")
    with pytest.raises(Unavailable, match="set it again"):
        registries.password(ring, row.id)
