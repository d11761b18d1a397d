"""Signing in by password, for every dialect: the password, then the second factor where somebody has one."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection

from roci import Roci, Unauthenticated

from ..domain.principals import Principal
from .passwords import Passwords


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
    """Who this is. Raises Unauthenticated, or TooMany after wrong attempts, wrong second factors included."""
    passwords = roci.part(Passwords)
    person = await passwords.check(name_or_email, password, address, kinds, forgive=False)
    try:
        await require_factor(roci, person, otp)
    except Unauthenticated:
        if otp:
            passwords.failed(person, address)
        raise
    passwords.succeeded(person, address)
    return person
