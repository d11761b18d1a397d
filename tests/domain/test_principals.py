"""Who exists, and that somebody can always sign in and mend things."""

from __future__ import annotations

import pytest

from roci import Conflict, Invalid, NotFound, Sensitive, outbox
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.principals import NewPrincipal, Principal

OWNERS = (roles, principals, credentials)
pytestmark = pytest.mark.usefixtures("events")


def person(name: str, administrator: bool = False) -> Principal:
    return (access.add_administrator if administrator else principals.add)(NewPrincipal(name))


def test_whoever_was_added_is_found_whatever_the_case_of_the_name():
    added = person("Ann")
    assert principals.by_name("ann").id == principals.find("ANN").id == added.id
    assert principals.find("bob") is None
    with pytest.raises(NotFound, match="there is nobody named 'bob'"):
        principals.by_name("bob")


def test_a_second_principal_of_the_same_name_is_a_conflict():
    principals.add(NewPrincipal("ci", kind="service"))
    with pytest.raises(Conflict, match="there is a service named 'CI' already"):
        person("CI")


@pytest.mark.parametrize("name", ["", " ann", "an n", "a/b", "ann\n", "änn", "a" * 256, "a\x00"])
def test_a_name_is_plain(name: str):
    with pytest.raises(Invalid, match=r"^name: "):
        person(name)


@pytest.mark.parametrize("name", ["2B1F3C4D-0000-4000-8000-000000000001", "2b1f3c4d000040008000000000000001"])
def test_a_name_is_not_taken_for_an_id(name: str):
    with pytest.raises(Invalid, match="has the form of an id"):
        person(name)


def test_nobodys_name_is_somebody_elses_address():
    principals.add(NewPrincipal("ann", email="ann@example.org"))
    with pytest.raises(Conflict, match=r"^Ann@Example.org is ann's e-mail address"):
        person("Ann@Example.org")
    bob = person("bob@example.org")
    with pytest.raises(Conflict, match=r"^there is somebody named bob@example.org"):
        principals.add(NewPrincipal("eve", email="Bob@Example.org"))
    with pytest.raises(Conflict, match="there is somebody named"):
        principals.change(principals.by_name("ann").id, email="bob@example.org")
    assert principals.change(bob.id, email="bob@example.org").email == "bob@example.org"


@pytest.mark.parametrize("name", ["a", "ann@example.org", "ann+ci", "A.b_c-9"])
def test_an_address_can_be_a_name(name: str):
    assert person(name).name == name


def test_a_kind_is_one_of_those_there_are():
    with pytest.raises(Invalid, match=r"^kind: ghost is none of person, "):
        principals.add(NewPrincipal("casper", kind="ghost"))


def test_names_are_written_as_their_owners_write_them():
    for number, name in enumerate(("山田\u3000太郎", "علی\u200cرضا", "Zoë O'Neil", "👩\u200d🚀 Ann")):
        assert principals.add(NewPrincipal(f"p{number}", display_name=name)).display_name == name


@pytest.mark.parametrize("wrong", ["a\x00b@x.org", "a\x1b[2Jb@x.org", "a\u202eb@x.org", "a@x\x7f.org"])
@pytest.mark.parametrize("field", ["email", "display_name", "description"])
def test_what_is_shown_of_somebody_is_one_printable_line(field: str, wrong: str):
    with pytest.raises(Invalid, match=f"^{field}: "):
        principals.add(NewPrincipal("eve", **{field: wrong}))
    ann = person("ann")
    with pytest.raises(Invalid, match=f"^{field}: "):
        principals.change(ann.id, **{field: wrong})
    assert principals.find("eve") is None and principals.get(ann.id).updated_at == ann.updated_at


def test_a_description_has_no_second_line():
    with pytest.raises(Invalid, match=r"^description: one line"):
        principals.add(NewPrincipal("ci", kind="service", description="builds\nbob  administrator"))


def demote(id: str) -> None:
    for binding in roles.bindings(principals.get(id).name):
        access.unbind(binding.id)


def test_the_last_enabled_administrator_cannot_go():
    ann = person("ann", administrator=True)
    access.add_administrator(NewPrincipal("robot", kind="service"))
    disabled = person("bob", administrator=True)
    principals.disable(disabled.id)
    for go in (principals.remove, principals.disable, demote):
        with pytest.raises(Conflict, match="ann is the last enabled administrator"), Principal._meta.database.atomic():
            go(ann.id)
    principals.enable(disabled.id)
    principals.remove(ann.id)
    assert principals.has_administrator()


def test_a_service_is_no_administrator_who_could_sign_in():
    access.add_administrator(NewPrincipal("robot", kind="service"))
    assert not principals.has_administrator()


def test_a_change_tells_what_changed_and_nothing_when_nothing_did():
    ann = person("ann")
    principals.change(ann.id, email="ann@example.org", display_name="")
    assert principals.get(ann.id).email == "ann@example.org"
    principals.change(ann.id, email="ann@example.org")
    changes = [(event.before, event.after) for event in outbox.get() if isinstance(event, principals.PrincipalChanged)]
    assert changes == [({"email": ""}, {"email": "ann@example.org"})]


def test_an_e_mail_address_is_kept_in_lower_case_and_is_one_persons():
    ann = principals.add(NewPrincipal("ann", email=" Ann@Example.org "))
    assert ann.email == "ann@example.org" and principals.by_email("ANN@example.org") == ann
    bob = person("bob")
    with pytest.raises(Conflict, match="ann's already"):
        principals.change(bob.id, email="ann@EXAMPLE.org")
    with pytest.raises(Invalid, match="email"):
        principals.change(bob.id, email="nobody at home")
    assert principals.by_email("") is None


def test_an_address_is_vouched_for_by_others_and_never_by_its_holder():
    ann = principals.add(NewPrincipal("ann", email="ann@example.org"))
    assert ann.email_vouched
    assert principals.change(ann.id, vouched=False, email="ann@example.org").email_vouched  # it is no other
    assert not principals.change(ann.id, vouched=False, email="bob@example.org").email_vouched
    assert not principals.change(ann.id, display_name="Ann").email_vouched
    assert principals.change(ann.id, email="bob@example.org").email_vouched


def test_disabling_twice_is_the_same_as_once():
    ann = person("ann")
    principals.disable(ann.id)
    principals.disable(ann.id)
    assert len([event for event in outbox.get() if isinstance(event, principals.PrincipalDisabled)]) == 1


def test_what_is_not_there_is_not_found():
    for act in (principals.get, principals.remove, principals.disable, principals.enable):
        with pytest.raises(NotFound):
            act("nobody")
    with pytest.raises(NotFound):
        principals.set_password("nobody", Sensitive("hash"))


def test_whoever_is_removed_takes_the_credentials_along():
    ann = person("ann")
    _, secret = credentials.issue(ann.id, "laptop")
    cookie = credentials.log_in(ann)
    principals.remove(ann.id)
    assert credentials.verify_token(secret) is None and credentials.verify_login(cookie) is None
    assert credentials.tokens() == []


def test_the_last_administrator_who_can_sign_in_cannot_go_either():
    ann = access.add_administrator(NewPrincipal("ann", password_hash=Sensitive("hash")))
    access.add_administrator(NewPrincipal("ghost"))
    for go in (principals.remove, principals.disable, demote):
        with pytest.raises(Conflict, match="ann is the last"), Principal._meta.database.atomic():
            go(ann.id)
    access.add_administrator(NewPrincipal("bob", password_hash=Sensitive("hash")))
    principals.remove(ann.id)
