"""Identity providers as the tables have them, and whom their accounts stand for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from roci import Actor, Conflict, Event, Forbidden, Invalid, NotFound, Sensitive, current_actor, outbox
from roci_plugins.domain import access, applications, credentials, principals, providers, registration, roles, secrets
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.principals import NewPrincipal, Principal, PrincipalChanged
from roci_plugins.domain.providers import Account, Identity, NewProvider, Provider
from roci_plugins.domain.rules import Rule

HASH = Sensitive("a hash")
HOME = NewProvider("home", "Home", "https://id.example.org", "roci")
ANN = Account("sub-ann", "Ann@Example.org", True, "Ann")
OWNERS = (roles, principals, credentials, applications, secrets, providers)


@pytest.fixture(autouse=True)
def administered(events: list[Event]) -> None:
    access.add_administrator(NewPrincipal("admin", password_hash=HASH))


@pytest.fixture
def home(ring: Keyring) -> Provider:
    return providers.put(ring, HOME, "the client's secret")


def but(**changes: Any) -> NewProvider:
    return dataclasses.replace(HOME, **changes)


def bound(person: Principal) -> list[str]:
    return [each.role for each in roles.bindings(person.name)]


# --- providers ---------------------------------------------------------------


def test_a_provider_is_kept_and_its_secret_only_sealed(ring: Keyring, home: Provider):
    assert providers.shown(home)["issuer"] == HOME.issuer
    assert providers.client_secret(ring, "home") == "the client's secret"
    assert "the client's secret" not in repr(providers.shown(home)) + repr(outbox.get())


def test_a_secret_that_is_not_given_stays(ring: Keyring, home: Provider):
    providers.put(ring, but(display_name="New name"))
    assert providers.client_secret(ring, "home") == "the client's secret"
    assert providers.get("home").display_name == "New name"
    providers.put(ring, HOME, "another")
    assert providers.client_secret(ring, "home") == "another"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Home"}, "id"),
        ({"name": "1home"}, "id"),
        ({"name": "a/b"}, "id"),
        ({"name": ""}, "id"),
        ({"display_name": " "}, "display_name"),
        ({"client_id": ""}, "client_id"),
        ({"issuer": ""}, "issuer"),
        ({"issuer": "http://id.example.org"}, "https"),
        ({"issuer": "http://localhost.evil.example"}, "https"),
        ({"issuer": "ftp://localhost"}, "https"),
        ({"issuer": "https://user:password@id.example.org"}, "no address"),
        ({"issuer": "https://id.example.org?x=1"}, "without"),
        ({"issuer": "https://id.example.org:99999"}, "no address"),
        ({"issuer": "https://[::1"}, "no address"),
        ({"issuer": "id.example.org"}, "no address"),
        ({"scopes": ["email"]}, "openid"),
        ({"scopes": ["openid", "a b"]}, "scopes"),
        ({"default_role": "nothing"}, "default_role"),
    ],
)
def test_what_can_be_no_provider_is_refused(ring: Keyring, changes: dict[str, Any], says: str):
    with pytest.raises(Invalid, match=says):
        providers.put(ring, but(**changes))


@pytest.mark.parametrize("issuer", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1", "https://x.lan/a"])
def test_https_is_needed_except_on_this_machine(ring: Keyring, issuer: str):
    assert providers.put(ring, but(issuer=issuer)).issuer == issuer


def test_only_who_holds_everything_names_a_provider(ring: Keyring, home: Provider):
    access.add_role(roles.NewRole("idp", [Rule("providers.*")]))
    clerk = principals.add(NewPrincipal("clerk", password_hash=HASH))
    access.bind("clerk", "idp")
    token = current_actor.set(Actor(clerk.id, clerk.name))
    for act in (lambda: providers.put(ring, HOME), lambda: providers.remove("home")):
        with pytest.raises(Forbidden, match="nobody grants what they lack"):
            act()
    current_actor.reset(token)


def test_switched_off_it_is_neither_offered_nor_used(ring: Keyring, home: Provider):
    assert [row.name for row in providers.enabled()] == ["home"]
    providers.put(ring, but(enabled=False))
    assert providers.enabled() == [] and len(providers.all_()) == 1
    with pytest.raises(NotFound):
        providers.usable("home")


def test_another_issuer_does_not_take_over_the_people_of_the_first(ring: Keyring, home: Provider):
    providers.put(ring, but(issuer="https://new.example.org"), "the new one's")  # nobody yet
    providers.put(ring, HOME, "the first one's")
    providers.admit(providers.get("home"), ANN)
    with pytest.raises(Conflict, match="linked"):
        providers.put(ring, but(issuer="https://new.example.org"), "the new one's")


def test_another_issuer_does_not_get_the_secret_of_the_first(ring: Keyring, home: Provider):
    with pytest.raises(Invalid, match="client_secret: send it again"):
        providers.put(ring, but(issuer="https://new.example.org"))
    assert providers.get("home").issuer == HOME.issuer
    providers.put(ring, but(issuer="https://new.example.org"), "the new one's")
    assert providers.client_secret(ring, "home") == "the new one's"
    public = providers.put(ring, but(name="public"))  # it has none
    assert providers.put(ring, but(name="public", issuer="https://new.example.org")).issuer != public.issuer


def test_who_adds_one_replaces_none_and_who_changes_one_adds_none(ring: Keyring, home: Provider):
    with pytest.raises(Conflict, match="id: there is a provider named home already"):
        providers.put(ring, but(display_name="Another"), is_known=False)
    assert providers.get("home").display_name == "Home"
    assert providers.put(ring, but(display_name="Another"), is_known=True).display_name == "Another"
    with pytest.raises(NotFound):
        providers.put(ring, but(name="gone"), is_known=True)
    assert providers.find("gone") is None
    assert providers.put(ring, but(name="gone"), is_known=False).name == "gone"


def test_it_is_removed_with_its_secret_and_with_people_only_by_force(ring: Keyring, home: Provider):
    person = providers.admit(home, ANN)
    with pytest.raises(Conflict, match="1 people sign in with home"):
        providers.remove("home")
    providers.remove(home.name, force=True)
    assert providers.find("home") is None and providers.client_secret(ring, "home") is None
    assert principals.get(person.id) and Identity.select().count() == 0
    with pytest.raises(NotFound):
        providers.remove("home")


# --- the people --------------------------------------------------------------


def test_a_newcomer_is_made_with_the_default_role_once(home: Provider):
    person = providers.admit(home, ANN)
    assert (person.name, person.email, person.display_name, person.kind) == (
        "ann@example.org", "ann@example.org", "Ann", "person"
    )  # fmt: skip
    assert bound(person) == ["base"] and not person.administrator and person.password_hash is None
    assert providers.admit(home, ANN).id == person.id
    kinds = [type(event).__name__ for event in outbox.get()]
    assert kinds.count("IdentityAdded") == 1 and kinds.count("PrincipalAdded") == 2


def test_the_name_is_another_where_somebody_has_it_or_a_role_waits_for_it(home: Provider):
    principals.add(NewPrincipal("ann@example.org", kind="service"))
    access.bind("ann@example.org-2", "admin")
    assert providers.admit(home, ANN).name == "ann@example.org-3"


def test_the_claim_gives_roles_that_exist(ring: Keyring, home: Provider):
    access.add_role(roles.NewRole("reader", [Rule("hosts.read")]))
    access.add_role(roles.NewRole("writer", [Rule("hosts.*")]))
    person = providers.admit(home, dataclasses.replace(ANN, roles=("writer", "unknown", "reader", "writer")))
    assert sorted(bound(person)) == ["reader", "writer"]
    other = Account("sub-bob", "bob@example.org", True, roles=("unknown",))
    assert bound(providers.admit(home, other)) == ["base"]


def test_roles_are_given_at_the_first_sign_in_only(home: Provider):
    person = providers.admit(home, ANN)
    providers.admit(home, dataclasses.replace(ANN, roles=("admin",)))
    assert bound(person) == ["base"]


def test_name_and_verified_address_follow_the_provider(home: Provider):
    person = providers.admit(home, ANN)
    again = providers.admit(home, dataclasses.replace(ANN, email="Anna@example.org", display_name="Anna"))
    assert (again.id, again.email, again.display_name) == (person.id, "anna@example.org", "Anna")
    again = providers.admit(home, dataclasses.replace(ANN, email="x@example.org", email_verified=None))
    assert again.email == "anna@example.org"
    principals.add(NewPrincipal("bob", email="bob@example.org"))
    assert providers.admit(home, dataclasses.replace(ANN, email="bob@example.org")).email == "anna@example.org"


def test_somebody_with_the_verified_address_is_linked(home: Provider):
    ann = principals.add(NewPrincipal("ann", email="ann@example.org", password_hash=HASH))
    assert providers.admit(home, ANN).id == ann.id
    assert bound(ann) == []  # nothing is given to who was there


@pytest.mark.parametrize(
    ("verified", "role", "linked"),
    [
        (True, "admin", True),
        (None, "base", True),
        (None, "reader", False),
        (None, "admin", False),
        (False, "base", False),
        (False, "admin", False),
    ],
)
def test_an_address_links_as_far_as_the_provider_vouches_for_it(
    home: Provider, verified: bool | None, role: str, linked: bool
):
    access.add_role(roles.NewRole("reader", [Rule("hosts.read")]))
    ann = principals.add(NewPrincipal("ann", email="ann@example.org", password_hash=HASH))
    access.bind("ann", role)
    account = dataclasses.replace(ANN, email_verified=verified)
    if linked:
        assert providers.admit(home, account).id == ann.id
        assert principals.get(ann.id).password_hash == HASH
    else:
        with pytest.raises(Forbidden, match="does not say it verified"):
            providers.admit(home, account)


def squatter(how: str) -> Principal:
    """Somebody who says that Ann's address is theirs."""
    if how == "registered":
        return registration.register("ann@example.org", "", HASH, True)
    carl = principals.add(NewPrincipal("carl", email="carl@example.org", password_hash=HASH))
    access.bind("carl", "admin")
    return principals.change(carl.id, vouched=False, email="ann@example.org")


@pytest.mark.parametrize("how", ["registered", "changed"])
def test_whoever_only_says_that_an_address_is_theirs_loses_it_to_its_owner(home: Provider, how: str):
    other = squatter(how)
    person = providers.admit(home, ANN)
    assert person.id != other.id and person.email == "ann@example.org" and person.password_hash is None
    assert bound(person) == ["base"] and principals.get(other.id).email == ""
    assert providers.admit(home, ANN).id == person.id
    told = [event for event in outbox.get() if isinstance(event, PrincipalChanged) and event.principal_id == other.id]
    assert [event.before["email"] for event in told if event.before and "email" in event.before][
        -1
    ] == "ann@example.org"


def test_whoever_took_an_address_for_a_name_too_has_another_name_then(home: Provider):
    other = principals.add(
        NewPrincipal("ann@example.org", email="ann@example.org", password_hash=HASH, email_vouched=False)
    )
    person = providers.admit(home, ANN)
    assert person.id != other.id and principals.get(other.id).name == "unverified-ann@example.org"
    assert person.name == "ann@example.org", "a role that is meant for the owner goes to the owner"


def test_a_provider_that_the_last_administrator_signs_in_with_stays_on(home: Provider, ring: Keyring):
    access.add_administrator(NewPrincipal("root", password_hash=HASH))
    ann = providers.admit(home, ANN)
    access.make_administrator(ann.name)
    for other in principals.all_():
        if other.id != ann.id:
            principals.disable(other.id)
    off = NewProvider(**{**vars(NewProvider(home.name, "Home", home.issuer, home.client_id)), "enabled": False})
    for go in (lambda: providers.put(ring, off), lambda: providers.remove(home.name, force=True)):
        with pytest.raises(Conflict, match="last enabled administrator"), Principal._meta.database.atomic():
            go()
    principals.enable(principals.by_name("root").id)
    assert not providers.put(ring, off).enabled


def test_a_known_person_is_given_the_address_that_another_claims(home: Provider):
    other = squatter("registered")
    person = providers.admit(home, dataclasses.replace(ANN, email="old@example.org"))
    assert providers.admit(home, ANN).email == "ann@example.org"
    assert principals.get(person.id).email_vouched and principals.get(other.id).email == ""


def test_whoever_took_an_address_for_a_name_keeps_nobody_out(home: Provider):
    other = principals.add(NewPrincipal("ann@example.org", password_hash=HASH))
    person = providers.admit(home, dataclasses.replace(ANN, email="old@example.org"))
    assert providers.admit(home, ANN).id == person.id != other.id
    assert principals.get(person.id).email == "ann@example.org"
    new = providers.admit(home, dataclasses.replace(ANN, subject="2", email="bob@example.org"))
    assert new.name == "bob@example.org"


def test_a_newcomers_name_is_nobodys_address(home: Provider):
    principals.add(NewPrincipal("carl", email="a-b@example.org"))
    new = providers.admit(home, dataclasses.replace(ANN, email="a!b@example.org"))
    assert (new.name, new.email) == ("a-b@example.org-2", "a!b@example.org")


@pytest.mark.parametrize("verified", [None, False])
def test_an_address_that_nobody_vouches_for_opens_no_account(home: Provider, verified: bool | None):
    other = squatter("registered")
    with pytest.raises(Forbidden, match="does not say it verified"):
        providers.admit(home, dataclasses.replace(ANN, email_verified=verified))
    assert principals.get(other.id).email == "ann@example.org"


def test_what_one_provider_does_not_vouch_for_another_may(ring: Keyring, home: Provider):
    first = providers.admit(home, dataclasses.replace(ANN, email_verified=None))
    assert not first.email_vouched
    work = providers.put(ring, but(name="work", issuer="https://work.example.org"))
    assert providers.admit(work, ANN).id != first.id
    assert providers.admit(home, dataclasses.replace(ANN, email_verified=None)).id == first.id


def test_a_second_account_with_the_same_address_is_not_the_same_person(ring: Keyring, home: Provider):
    providers.admit(home, ANN)
    with pytest.raises(Forbidden, match="signs in another way"):
        providers.admit(home, dataclasses.replace(ANN, subject="another"))
    work = providers.put(ring, but(name="work", issuer="https://work.example.org"))
    with pytest.raises(Forbidden, match="signs in another way"):
        providers.admit(work, ANN)


def test_a_service_is_nobody_to_sign_in_as(home: Provider):
    principals.add(NewPrincipal("ci", kind="service", email="ann@example.org"))
    with pytest.raises(Forbidden, match="signs in another way"):
        providers.admit(home, ANN)


def test_where_newcomers_are_not_made_only_the_known_come_in(ring: Keyring, home: Provider):
    providers.admit(home, ANN)
    closed = providers.put(ring, but(auto_register=False))
    assert providers.admit(closed, ANN).name == "ann@example.org"
    with pytest.raises(Forbidden, match="ask an administrator"):
        providers.admit(closed, Account("sub-bob", "bob@example.org", True))


def test_an_unverified_address_makes_no_account(home: Provider):
    with pytest.raises(Forbidden, match="has not verified"):
        providers.admit(home, dataclasses.replace(ANN, email_verified=False))
    with pytest.raises(Invalid, match="email"):
        providers.admit(home, dataclasses.replace(ANN, email="nonsense"))


def test_the_disabled_stay_out(home: Provider):
    person = providers.admit(home, ANN)
    principals.disable(person.id)
    with pytest.raises(Forbidden, match="disabled"):
        providers.admit(home, ANN)


def test_the_first_person_administers_a_server_that_nobody_does(home: Provider):
    Principal.update(administrator=False, disabled=True).execute()
    person = providers.admit(home, ANN)
    assert person.administrator and bound(person) == ["admin"]
    assert not providers.admit(home, Account("sub-bob", "bob@example.org", True)).administrator


def test_what_is_done_for_a_newcomer_is_recorded_as_the_providers_doing(home: Provider):
    nobody = Actor("nobody", "nobody", address="192.0.2.1")
    token = current_actor.set(nobody)
    providers.admit(home, ANN)
    current_actor.reset(token)
    added = next(event for event in reversed(outbox.get()) if isinstance(event, providers.IdentityAdded))
    assert (added.actor.kind, added.actor.via, added.actor.address) == ("system", "oidc:home", "192.0.2.1")
