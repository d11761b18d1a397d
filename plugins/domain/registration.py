"""People who register themselves. They may do nothing until they are given a role; the first of all is given admin."""

from __future__ import annotations

import re

from roci import Conflict, Forbidden, Invalid, Sensitive

from . import access, principals, roles
from .principals import NewPrincipal, Principal

LONGEST_NAME = 200  # of what is made from an address, with room for a number
RULE = "password: at least 10 characters, with an upper-case letter, a lower-case letter and a digit"


def check_password(password: str) -> None:
    """Raise Invalid for one that is too easily guessed."""
    kinds = (str.isupper, str.islower, str.isdecimal)
    if len(password) < 10 or not all(any(map(is_one, password)) for is_one in kinds):
        raise Invalid(RULE)


def welcome(person: Principal, is_near: bool) -> None:
    """Whoever registers while no person administers this ROCI will from now on: but only from this machine or its
    networks, else the first stranger to find a new server would own it. Raises Forbidden."""
    if principals.has_administrator():
        return
    if not is_near:
        raise Forbidden(
            "nobody administers this ROCI yet, and you come from outside its networks: open the setup link that"
            " `roci serve` prints, or set ROCI_ADMIN_PASSWORD"
        )
    access.make_administrator(person.name)
    principals.change(person.id, email=person.email)  # whoever owns all of this is believed that the address is theirs


def register(email: str, display_name: str, password_hash: Sensitive, is_near: bool) -> Principal:
    """A new person, in one transaction, so that two cannot both be the first."""
    if not principals.EMAIL.fullmatch(email.strip()):
        raise Invalid("email: this is no e-mail address")
    if principals.by_email(email) is not None:
        raise Conflict("email: this address is registered already")
    new = NewPrincipal(free_name(email), "person", email, display_name, password_hash, email_vouched=False)
    person = principals.add(new)
    welcome(person, is_near)
    return principals.get(person.id)


def free_name(email: str) -> str:
    """The address as a name, or something like it: one that is nobody's, and that no role is waiting for."""
    wanted = re.sub(r"[^a-z0-9._@+-]", "-", email.strip().lower())[:LONGEST_NAME]
    name, number = wanted, 1
    while principals.find(name) or principals.by_email(name) or roles.bindings(name):
        number += 1
        name = f"{wanted}-{number}"
    return name
