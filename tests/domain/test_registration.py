"""People who register themselves, the first among them, and names nobody should come into by registering."""

from __future__ import annotations

import pytest

from roci import Conflict, Event, Invalid, Sensitive
from roci_plugins.domain import access, principals, registration, roles
from roci_plugins.domain.principals import NewPrincipal, Principal

OWNERS = (roles, principals)


@pytest.fixture(autouse=True)
def seeded(events: list[Event]) -> None:
    access.seed()


def register(email: str) -> Principal:
    return registration.register(email, "", Sensitive("hash"), is_near=True)


@pytest.mark.parametrize("password", ["Str0ngPass!x", "Aa3456789.", "Ünïcode12345x"])
def test_a_password_with_all_kinds_of_letters_will_do(password: str):
    registration.check_password(password)


@pytest.mark.parametrize("password", ["Short1A", "alllowercase1", "ALLUPPER123", "NoDigitsHere", "", "Aa345678."])
def test_a_password_that_lacks_a_kind_or_is_short_will_not(password: str):
    with pytest.raises(Invalid, match="at least 10 characters"):
        registration.check_password(password)


def test_the_first_person_administers_and_the_second_may_do_nothing():
    first, second = register("Ann@Example.com "), register("bob@example.com")
    assert (first.name, first.email, first.administrator) == ("ann@example.com", "ann@example.com", True)
    assert not second.administrator and access.grants(second) == []
    assert (first.email_vouched, second.email_vouched) == (True, False)


def test_services_and_people_without_rights_do_not_take_the_first_place():
    principals.add(NewPrincipal("ci", kind="service"))
    principals.add(NewPrincipal("cat"))
    access.bind("ci", roles.ADMIN)
    assert register("ann@example.com").administrator


def test_an_administrator_made_otherwise_is_the_first():
    access.add_administrator(NewPrincipal("admin"))
    assert not register("ann@example.com").administrator


def test_an_address_is_registered_once_whatever_its_case():
    register("ann@example.com")
    with pytest.raises(Conflict, match="registered already"):
        register(" ANN@example.com")


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.com", "a b@example.com", "a@b@c", "<a>@b"])
def test_what_is_no_address_is_refused(email: str):
    with pytest.raises(Invalid, match="no e-mail address"):
        register(email)


def test_an_address_that_is_no_name_becomes_one():
    assert register("o'brien@example.com").name == "o-brien@example.com"
    assert register("o!brien@example.com").name == "o-brien@example.com-2"


def test_a_name_that_a_role_is_waiting_for_is_not_given_to_whoever_claims_the_address():
    access.add_administrator(NewPrincipal("admin"))
    access.bind("ann@example.com", roles.ADMIN)
    taken = register("ann@example.com")
    assert taken.name == "ann@example.com-2" and not taken.administrator
