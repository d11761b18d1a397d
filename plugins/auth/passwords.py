"""Passwords: hashed beside the loop, two at a time, and slower to guess the longer somebody guesses."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from roci import Invalid, Roci, Sensitive, TooMany, Unauthenticated, hookimpl

from ..domain import principals
from ..domain.principals import Principal

# argon2id as OWASP has it for small machines: 19 MiB, two passes, one lane; about 30 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Of no password. Verified for people who do not exist, so that they take as long as those who do.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$mlx+rpTIAVOHLy8Pv7tPdw$qHYdU9Ss8SnuIzR7NNKovOJqfOSbauvYndFCuSpvsWM"
SHORTEST, LONGEST = 10, 1000  # characters of a password

FREE = 5  # failures before there is a delay
LONGEST_DELAY = 60.0  # seconds: enough against guessing, and nobody is shut out for long by another's guesses
FORGOTTEN_AFTER = 900.0
MOST = 10_000  # names and addresses that are remembered
WAITING = 64  # sign-ins in the queue for a hash


def check(password: str) -> None:
    """Raise Invalid for a password that must not be set."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"password: at least {SHORTEST} characters")


def hashed(password: str) -> Sensitive:
    """Takes its time: call it beside the loop."""
    return Sensitive(HASHER.hash(password))


def holds(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one. Takes its time, whether or not there is one."""
    try:
        return HASHER.verify(password_hash or NOBODYS, password) and password_hash is not None
    except (Argon2Error, InvalidHashError):
        return False


class Throttle:
    """Failed attempts by name and by address. After the first five each doubles the wait."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # key: how many, when the last

    def wait(self, keys: Iterable[str], at: float) -> float:
        """Seconds until the next attempt; 0: now."""
        return max((self._until(key, at) - at for key in keys), default=0.0)

    def _until(self, key: str, at: float) -> float:
        count, last = self._failures.get(key, (0, at))
        return last + min(2.0 ** (count - FREE), LONGEST_DELAY) if count >= FREE else at

    def failed(self, keys: Iterable[str], at: float) -> None:
        for key in keys:
            count, last = self._failures.pop(key, (0, at))
            self._failures[key] = (count + 1 if at - last < FORGOTTEN_AFTER else 1, at)
        while len(self._failures) > MOST:
            self._failures.popitem(last=False)

    def succeeded(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._failures.pop(key, None)


class Passwords:
    """Checks and makes passwords without delaying anybody else."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._throttle = Throttle()
        self._two = asyncio.Semaphore(2)
        self._waiting = 0

    async def check(self, name: str, password: str, address: str) -> Principal:
        """The person of this name. Raises Unauthenticated, the same for every reason, or TooMany."""
        keys, clock = (f"name {name.lower()[:200]}", f"address {address}"), asyncio.get_running_loop().time
        async with self._turn():
            if (seconds := self._throttle.wait(keys, clock())) > 0:
                raise TooMany(f"too many failed attempts: wait {math.ceil(seconds)} s", retry_after=math.ceil(seconds))
            row = await self._roci.read(principals.find, name)
            usable = row is not None and row.kind == "person" and not row.disabled
            kept = str(row.password_hash) if row is not None and usable and row.password_hash else None
            if not await asyncio.to_thread(holds, kept, password[: LONGEST + 1]) or row is None:
                self._throttle.failed(keys, clock())
                raise Unauthenticated("wrong user name or password")
        self._throttle.succeeded(keys)
        return row

    async def make(self, password: str) -> Sensitive:
        """The hash of a new password. Raises Invalid."""
        check(password)
        async with self._turn():
            return await asyncio.to_thread(hashed, password)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING:
            raise TooMany("too many people sign in at once", retry_after=2)
        self._waiting += 1
        try:
            async with self._two:
                yield
        finally:
            self._waiting -= 1


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Passwords(roci))
    yield
