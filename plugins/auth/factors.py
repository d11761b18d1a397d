"""The second factor at the door: asked for once somebody has one, of everybody where the settings say so.

A wrong code counts against the person it is for, whoever sends it: who knows the password still cannot try them all.
Recovery codes are too long to guess and are always taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import math
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Literal

from roci import Forbidden, Roci, TooMany, Unauthenticated, hookimpl

from ..domain import credentials, factors, keyring
from ..domain.principals import Principal
from .passwords import Passwords
from .sign_in import SecondFactors, SignIn

Missing = Literal["", "code", "enrolment"]
WRONG_CODES = 5  # until there is a wait
WAIT = 300.0  # seconds, counted from the latest wrong code
MOST = 10_000  # people that are remembered
MINUTE = datetime.timedelta(minutes=1)
JUST_NOW = 10 * MINUTE  # how old a stay is at most that proves by itself who is there


ASKED = {
    "code": "a second factor is required: send `otp` too, a code of your app or a recovery code",
    "enrolment": "a second factor is required here: sign in at /login with a browser, and set one up",
}


class SecondFactorRequired(Unauthenticated):
    """The password was right, and is not enough. `missing` is "code" or "enrolment"."""

    code = "second_factor_required"

    def __init__(self, message: str, principal: Principal, missing: Missing) -> None:
        super().__init__(message)
        self.principal = principal
        self.missing = missing


class Factors:
    """Knows what each person has to show besides a password, and whether what they show holds."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._ring = keyring.of(roci)
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # principal id: how many, when the last

    @property
    def required(self) -> bool:
        """Whether everybody must have one."""
        return self._roci.section(SignIn).second_factor == "required"

    async def missing(self, principal: Principal) -> Missing:
        """What the password of this principal leaves to be done. Services and agents have no second factor."""
        if principal.kind != "person":
            return ""
        if (await self._roci.read(factors.held, principal.id)).any:
            return "code"
        return "enrolment" if self.required else ""

    async def check(self, principal: Principal, otp: str | None = None) -> None:
        """Raise SecondFactorRequired without, Unauthenticated with a wrong and TooMany with yet another wrong code."""
        missing = await self.missing(principal)
        if missing == "enrolment" or (missing and not otp):
            raise SecondFactorRequired(ASKED[missing], principal, missing)
        if missing and not await self.proves(principal.id, otp or ""):
            raise Unauthenticated("this code is wrong, was used before, or is over")

    async def proves(self, principal_id: str, code: str) -> bool:
        """Whether this is a code that counts, and it is used up then. Raises TooMany."""
        if factors.is_recovery_code(code):
            return await self._roci.write(factors.use_recovery_code, principal_id, code)
        self._refuse_to_be_tried(principal_id)
        if await self._roci.write(factors.check_totp, self._ring, principal_id, code):
            self._wrong.pop(principal_id, None)
            return True
        return False

    def _refuse_to_be_tried(self, principal_id: str) -> None:
        """Every attempt counts before it is made, so that many at once are as few as one after another."""
        at = asyncio.get_running_loop().time()
        count, last = self._wrong.pop(principal_id, (0, at))
        count = count if at - last < WAIT else 0
        if count >= WRONG_CODES:
            self._wrong[principal_id] = (count, last)
            seconds = math.ceil(last + WAIT - at)
            raise TooMany(f"too many wrong codes: wait {seconds} s, or use a recovery code", retry_after=seconds)
        self._wrong[principal_id] = (count + 1, at)
        if len(self._wrong) > MOST:
            self._wrong.popitem(last=False)

    async def prove_again(self, principal: Principal, proof: str, address: str, login_id: str) -> None:
        """Before somebody signed in changes how they sign in: their password, or a code. Raises Forbidden or TooMany.

        Who has neither, since they come from elsewhere, or have a passkey only, must have signed in just now.
        """
        held = await self._roci.read(factors.held, principal.id)
        if principal.password_hash is None and not held.totp and not held.recovery_codes:
            if not await self._roci.read(credentials.is_fresh, login_id, JUST_NOW):
                raise Forbidden(f"sign out and in again first: that must be less than {JUST_NOW // MINUTE} minutes ago")
            return
        looks_like_code = factors.is_recovery_code(proof) or (len(proof.replace(" ", "")) == 6 and held.totp)
        if looks_like_code and await self.proves(principal.id, proof):
            return
        await self.prove_password(principal, proof, address)

    async def prove_password(self, principal: Principal, password: str, address: str) -> None:
        """Raises Forbidden or TooMany. Wrong ones count as at the door."""
        try:
            await self._roci.part(Passwords).check_again(principal, password, address)
        except Unauthenticated:
            raise Forbidden("that is not what you sign in with: neither your password nor a code that counts") from None

    async def removed(self, principal: Principal) -> None:
        """A factor of theirs is gone: where one is required and none is left, they sign in anew and set one up."""
        if self.required and not (await self._roci.read(factors.held, principal.id)).any:
            await self._roci.write(credentials.end_logins, principal.id)


@hookimpl
def register_settings() -> type[SignIn]:
    return SignIn


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    part = Factors(roci)
    roci.provide(part)
    roci.provide(SecondFactors(part.check))
    if part.required:
        await roci.write(end_logins_without_factor)
    yield


def end_logins_without_factor() -> None:
    """Required from this start on: who signed in without one signs in again, and sets one up."""
    for principal_id in factors.without_factor():
        credentials.end_logins(principal_id)
