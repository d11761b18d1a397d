"""What a browser is in the middle of: a sign-in between password and code, a passkey's challenge. In memory only.

Each is known by a random cookie, lasts five minutes and is bounded in number: a restart or a flood costs somebody one
more try, never their safety.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from roci import Event, Roci, Sensitive, hookimpl

from ..domain.credentials import digest
from ..domain.factors import FactorsRemoved
from ..domain.principals import PasswordChanged, PrincipalDisabled, PrincipalRemoved

T = TypeVar("T")
LASTS = 300.0  # seconds
MOST = 4096
MOST_FROM_ADDRESS = 32  # so that a flood from one place pushes out only its own
TRIES = 5


@dataclasses.dataclass
class Step:
    """Somebody proved who they are; something is missing. Or one-time codes are being set up: `totp` is the secret."""

    principal_id: str
    target: str = "/"  # where to go afterwards
    via: str = "password"  # how they proved it
    totp: Sensitive | None = None
    tries: int = TRIES
    password_set_at: datetime.datetime | None = None  # as it was when they proved it: see `principals.still`


@dataclasses.dataclass(frozen=True)
class Challenge:
    """What a passkey has to sign, and for whom: None, if the passkey is to say who it is."""

    challenge: bytes = dataclasses.field(repr=False)
    principal_id: str | None = None


class Waiting(Generic[T]):
    """Things by the digest of a secret that one browser has."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, str, T]] = OrderedDict()  # until when, from where, what

    def put(self, thing: T, address: str) -> Sensitive:
        """The secret that finds it again."""
        secret = Sensitive(secrets.token_urlsafe(32))
        self._kept[digest(secret)] = (asyncio.get_running_loop().time() + LASTS, address, thing)
        theirs = [key for key, (_, origin, _) in self._kept.items() if origin == address]
        for key in theirs[:-MOST_FROM_ADDRESS]:
            del self._kept[key]
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return secret

    def find(self, secret: str | None) -> T | None:
        until, _, thing = self._kept.get(digest(secret or ""), (0.0, "", None))
        return thing if asyncio.get_running_loop().time() < until else None

    def take(self, secret: str | None) -> T | None:
        """The same, and it is gone: what is taken cannot be used twice."""
        thing = self.find(secret)
        self._kept.pop(digest(secret or ""), None)
        return thing

    def __len__(self) -> int:
        return len(self._kept)


class Steps(Waiting[Step]):
    """Sign-ins that wait for a second factor, and factors that wait for their first code."""

    def drop(self, principal_id: str) -> None:
        """All of somebody's: what they rest on is no more."""
        for key in [key for key, (_, _, step) in self._kept.items() if step.principal_id == principal_id]:
            del self._kept[key]


class Challenges(Waiting[Challenge]):
    """Passkey ceremonies."""


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Steps())
    roci.provide(Challenges())
    yield


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    if isinstance(event, PasswordChanged | PrincipalDisabled | PrincipalRemoved | FactorsRemoved):
        roci.part(Steps).drop(event.principal_id)
