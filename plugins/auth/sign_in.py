"""Signing in by password, for every dialect: the password, then the second factor where somebody has one."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection
from typing import ClassVar, Literal

import msgspec

from roci import Forbidden, Roci, Unauthenticated

from ..domain import principals
from ..domain.principals import Principal
from .passwords import Passwords

SWITCHED_OFF = "signing in by password is switched off here: use an identity provider or a passkey, or an API token"


class SignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How people sign in."""

    section: ClassVar[str] = "sign_in"

    second_factor: Literal["optional", "required"] = "optional"
    passwords: bool = True


@dataclasses.dataclass(frozen=True)
class SecondFactors:
    """Provided (`roci.provide`) by whoever knows second factors.

    `check(principal, otp)` returns where all is well, and raises Unauthenticated for a code that is missing or wrong.
    """

    check: Callable[[Principal, str | None], Awaitable[None]]


async def require_factor(roci: Roci, person: Principal, otp: str | None = None) -> None:
    """The second factor of somebody who proved already who they are. Raises Unauthenticated."""
    factors = roci.find(SecondFactors)
    if factors is not None:
        await factors.check(person, otp)


async def with_password(
    roci: Roci,
    name_or_email: str,
    password: str,
    address: str,
    otp: str | None = None,
    kinds: Collection[str] = ("person",),
) -> Principal:
    """Who this is. Raises Unauthenticated, or TooMany after wrong attempts, wrong second factors included; Forbidden
    for people where passwords are switched off."""
    passwords = roci.part(Passwords)
    if not await takes_passwords(roci):
        kinds = [kind for kind in kinds if kind != "person"]
        if not kinds:
            raise Forbidden(SWITCHED_OFF)
    person = await passwords.check(name_or_email, password, address, kinds, forgive=False)
    try:
        await require_factor(roci, person, otp)
    except Unauthenticated:
        if otp:
            passwords.failed(person, address)
        raise
    passwords.succeeded(person, address)
    return person


async def require_passwords(roci: Roci) -> None:
    """Raise Forbidden where people do not sign in by password."""
    if not await takes_passwords(roci):
        raise Forbidden(SWITCHED_OFF)


async def takes_passwords(roci: Roci) -> bool:
    """Whether people may sign in by password. They may, whatever the settings say, while no administrator has a
    passkey or an account of a provider: the switch must not lock everybody out."""
    return roci.section(SignIn).passwords or await roci.read(principals.passwords_are_needed)
