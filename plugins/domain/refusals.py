"""Attempts that were refused. Those of people who are known are written one by one; those of nobody are collected, so
that ten thousand wrong passwords make few rows and delay nobody.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from roci import Actor, Event, current_actor, emit

MOST = 200  # kinds of attempts that are told apart; beyond, one for each address, and as many of those
APART = 60.0  # seconds between two rows of the same kind: the first is written soon, what follows is counted
AT_ONCE = 20  # in those seconds, of one who is known; beyond, they are collected too
NOBODY = "nobody"


@dataclasses.dataclass(frozen=True)
class AttemptRefused(Event):
    """Somebody tried what they may not do, or could not prove who they are; so many times."""

    action: str  # the permission that was missing, where it was one
    resource: str
    method: str
    path: str  # the route, not what stood in it
    reason: str
    status: int
    tried: str = ""  # the name that was given, where it proved nothing
    count: int = 1
    host_id: str = ""  # the host that it was, or said it was
    outcome: ClassVar[str] = "refused"


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A refusal, and whose attempt it was. `code` is the kind of the refusal."""

    actor: Actor
    code: str
    event: AttemptRefused

    @property
    def is_known(self) -> bool:
        return bool(self.actor.id)


def nobody(address: str) -> Actor:
    return Actor("", NOBODY, NOBODY, address=address)


@dataclasses.dataclass
class _Kept:
    attempt: Attempt
    due: float
    count: int = 0


Key = tuple[str, str, str]


class Refusals:
    """What waits to be written. Touched by the event loop only; times are its clock's."""

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept] = {}
        self._at_once: Counter[str] = Counter()
        self._window = 0.0

    def is_urgent(self, attempt: Attempt, at: float) -> bool:
        """Whether this one is to be written before it is answered, rather than noted."""
        if not attempt.is_known or attempt.event.status not in (403, 409):
            return False
        if at >= self._window:
            self._at_once.clear()
            self._window = at + APART
        self._at_once[attempt.actor.id] += 1
        return self._at_once[attempt.actor.id] <= AT_ONCE

    def note(self, attempt: Attempt, at: float) -> None:
        """Count an attempt, or as many as it stands for, to be written with the next ones."""
        event, address = attempt.event, attempt.actor.address
        who = attempt.actor.name if attempt.is_known else event.host_id or event.tried[:100]
        key: Key = (address, attempt.code, who)
        if attempt.event.status == 429 and attempt.actor.credential:  # its own limit, wherever it was used
            key = ("", attempt.code, attempt.actor.credential)
        if key not in self._kept and len(self._kept) >= MOST:
            attempt = _of_many(attempt, address)
            key = (address, "", "")
            if key not in self._kept and len(self._kept) >= 2 * MOST:
                attempt, key = _of_many(attempt, ""), ("", "", "")
        due = at + APART if attempt.event.status == 429 else at  # more will follow: one row tells of them all
        self._kept.setdefault(key, _Kept(attempt, due)).count += attempt.event.count

    def take(self, at: float, everything: bool = False) -> list[Attempt]:
        """What is due to be written, counted. Of a kind that was written lately, only once its time has come."""
        taken = []
        for key, kept in list(self._kept.items()):
            if kept.count and (everything or kept.due <= at):
                event = dataclasses.replace(kept.attempt.event, count=kept.count)
                taken.append(dataclasses.replace(kept.attempt, event=event))
                kept.count, kept.due = 0, at + APART
            elif kept.due <= at:
                del self._kept[key]
        return taken


def _of_many(attempt: Attempt, address: str) -> Attempt:
    """One that stands for all that are too many to be told apart."""
    reason = "too many attempts to tell them apart"
    event = AttemptRefused(
        "", "", attempt.event.method, attempt.event.path, reason, attempt.event.status, count=attempt.event.count
    )
    return Attempt(nobody(address), "", event)


def record(attempts: Iterable[Attempt]) -> None:
    """Write attempts down, each as its own actor's."""
    for attempt in attempts:
        token = current_actor.set(attempt.actor)
        try:
            emit(attempt.event)
        finally:
            current_actor.reset(token)
