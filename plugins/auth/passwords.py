"""Passwords: hashed beside the loop, two at a time, and slower to guess the longer somebody guesses."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from roci import Invalid, Roci, Sensitive, TooMany, Unauthenticated, hookimpl

from ..domain import principals
from ..domain.principals import Principal
from .throttle import MOST, Throttle, network

# argon2id as OWASP has it for small machines: 19 MiB, two passes, one lane; about 30 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Of no password. Verified for people who do not exist, so that they take as long as those who do.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$mlx+rpTIAVOHLy8Pv7tPdw$qHYdU9Ss8SnuIzR7NNKovOJqfOSbauvYndFCuSpvsWM"
SHORTEST, LONGEST = 10, 1024  # characters of a password

WAITING, FROM_ONE_PLACE = 64, 16  # sign-ins in the queue for a hash


def check(password: str, shortest: int = SHORTEST) -> None:
    """Raise Invalid for a password that must not be set."""
    if not shortest <= len(password) <= LONGEST:
        raise Invalid(f"password: at least {shortest} characters, at most {LONGEST}")


def hashed(password: str) -> Sensitive:
    """Takes its time: call it beside the loop."""
    return Sensitive(HASHER.hash(password))


def holds(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one. Takes its time, whether or not there is one."""
    try:
        return HASHER.verify(password_hash or NOBODYS, password) and password_hash is not None
    except (Argon2Error, InvalidHashError):
        return False


class WrongPassword(Unauthenticated):
    """The same for every reason. `tried` is the name that was given, for the audit trail."""

    def __init__(self, tried: str) -> None:
        super().__init__("wrong user name or password")
        self.tried = tried


class Passwords:
    """Checks and makes passwords without delaying anybody else."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._throttle = Throttle()
        self._two = asyncio.Semaphore(2)
        self._waiting: Counter[str] = Counter()  # by place
        self._meant: dict[str, str] = {}  # by what was typed: who it was, at the latest wrong attempt

    async def check(
        self,
        name: str,
        password: str,
        address: str,
        kinds: Collection[str] = ("person",),
        forgive: bool = True,
    ) -> Principal:
        """Whom this name or e-mail address is. Raises Unauthenticated, the same for every reason, or TooMany.

        `forgive` starts the count of wrong attempts over; without it the caller says `succeeded` or `failed` once a
        second factor was checked too.
        """
        row = await self._prove(lambda: _named(name, kinds), name, password, address)
        if forgive:
            self.succeeded(row, address)
        return row

    async def check_again(self, principal: Principal, password: str, address: str) -> None:
        """That this is the password of somebody signed in, and nobody else's. Raises Unauthenticated or TooMany."""
        await self._prove(lambda: [principals.get(principal.id)], principal.name, password, address)
        self.succeeded(principal, address)

    async def _prove(self, find: Callable[[], list[Principal]], name: str, password: str, address: str) -> Principal:
        """Wrong attempts count against all who can be meant, as one, so that nobody forgives another's."""
        if typed := self._meant.get(name[:200]):
            self._refuse_hasty(typed, address)  # without asking the database
        whose = " ".join(sorted(row.id for row in await self._roci.read(find))) or name
        self._refuse_hasty(whose, address)
        async with self._turn(address):
            self._refuse_hasty(whose, address)  # others may have failed while this one waited
            row = await self._match(await self._roci.read(find), password)
            if row is None:
                self._note_wrong(name, whose, address)
                raise WrongPassword(name)
        return row

    async def _match(self, found: Sequence[Principal], password: str) -> Principal | None:
        """One name can be somebody's own and somebody else's e-mail address: the password says whose."""
        for row in found:
            if await asyncio.to_thread(holds, row.password_hash, password[: LONGEST + 1]):
                return row
        if not found:
            await asyncio.to_thread(holds, None, password[: LONGEST + 1])
        return None

    def _refuse_hasty(self, whose: str, address: str) -> None:
        if (seconds := self._throttle.wait(whose, address, asyncio.get_running_loop().time())) > 0:
            raise TooMany(f"too many failed attempts: wait {math.ceil(seconds)} s", retry_after=math.ceil(seconds))

    def _note_wrong(self, name: str, whose: str, address: str) -> None:
        if len(self._meant) >= MOST:
            self._meant.clear()
        self._meant[name[:200]] = whose[:200]
        self._throttle.failed(whose, address, asyncio.get_running_loop().time())

    def failed(self, principal: Principal, address: str) -> None:
        """Count a wrong attempt: a second factor that was none."""
        self._throttle.failed(principal.id, address, asyncio.get_running_loop().time())

    def succeeded(self, principal: Principal, address: str) -> None:
        self._throttle.succeeded(principal.id, address)

    async def make(self, password: str, shortest: int = SHORTEST) -> Sensitive:
        """The hash of a new password. Raises Invalid. A dialect may ask for less than our own pages do."""
        check(password, shortest)
        async with self._turn("new"):
            return await asyncio.to_thread(hashed, password)

    @contextlib.asynccontextmanager
    async def _turn(self, address: str) -> AsyncIterator[None]:
        """Two hash at a time. One place may not fill the queue, and passwords that are made wait in their own."""
        place = network(address)
        if self._waiting.total() >= WAITING or self._waiting[place] >= FROM_ONE_PLACE:
            raise TooMany("too many people sign in at once", retry_after=2)
        self._waiting[place] += 1
        try:
            async with self._two:
                yield
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]


def _named(name: str, kinds: Collection[str]) -> list[Principal]:
    """Who can be meant, and has a password to check."""
    found = {row.id: row for row in (principals.find(name), principals.by_email(name)) if row is not None}
    return [row for row in found.values() if row.kind in kinds and not row.disabled and row.password_hash]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Passwords(roci))
    yield
