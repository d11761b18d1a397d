"""Refused attempts: which are written at once, which are counted, and how little ten thousand of them take."""

from __future__ import annotations

import dataclasses

from roci import Actor
from roci_plugins.domain.refusals import APART, AT_ONCE, MOST, Attempt, AttemptRefused, Refusals, nobody

ANN = Actor("7", "ann", address="10.0.0.7")


def attempt(address: str = "10.0.0.9", tried: str = "", actor: Actor | None = None, status: int = 401) -> Attempt:
    event = AttemptRefused("", "", "POST", "/login", "wrong user name or password", status, tried)
    return Attempt(actor or nobody(address), "unauthenticated", event)


def counts(taken: list[Attempt]) -> list[tuple[str, str, int]]:
    return [(each.actor.address, each.event.tried, each.event.count) for each in taken]


def test_attempts_of_one_kind_are_one_row_with_their_number():
    refusals = Refusals()
    for tried in ("ann", "ann", "bob"):
        refusals.note(attempt(tried=tried), 0)
    assert counts(refusals.take(0.5)) == [("10.0.0.9", "ann", 2), ("10.0.0.9", "bob", 1)]
    assert refusals.take(0.6) == []


def test_a_kind_that_goes_on_is_written_once_a_minute():
    refusals = Refusals()
    written = []
    for second in range(int(2 * APART) + 1):
        refusals.note(attempt(tried="ann"), second)
        written += counts(refusals.take(second))
    assert [count for _, _, count in written] == [1, 60, 60]


def test_ten_thousand_attempts_from_one_address_make_few_rows():
    refusals = Refusals()
    for number in range(10_000):
        refusals.note(attempt(tried=f"name{number}"), 0)
    taken = counts(refusals.take(0))
    assert len(taken) == MOST + 1 and taken[-1] == ("10.0.0.9", "", 10_000 - MOST)
    assert refusals.take(APART) == [] and counts(refusals.take(APART)) == []


def test_ten_thousand_addresses_make_few_rows_and_none_is_lost():
    refusals = Refusals()
    for number in range(10_000):
        refusals.note(attempt(f"10.1.{number // 250}.{number % 250}"), 0)
    taken = counts(refusals.take(0))
    assert len(taken) <= 2 * MOST + 1 and sum(count for _, _, count in taken) == 10_000


def test_what_waits_for_its_minute_is_written_at_the_end():
    refusals = Refusals()
    refusals.note(attempt(), 0)
    refusals.take(0)
    refusals.note(attempt(), 1)
    assert refusals.take(2) == [] and counts(refusals.take(2, everything=True)) == [("10.0.0.9", "", 1)]


def test_who_is_known_is_written_at_once_until_it_is_too_much():
    refusals, mine = Refusals(), attempt(actor=ANN, status=403)
    urgent = [refusals.is_urgent(mine, 0) for _ in range(AT_ONCE + 1)]
    assert urgent == [True] * AT_ONCE + [False]
    assert refusals.is_urgent(mine, APART), "a minute later it is news again"
    assert not refusals.is_urgent(attempt(), 0) and not refusals.is_urgent(attempt(actor=ANN, status=429), 0)


def test_a_key_that_asks_too_often_is_one_row_wherever_it_was_used():
    refusals = Refusals()
    for number in range(3):
        key = dataclasses.replace(ANN, credential="k1", address=f"10.0.0.{number}")
        refusals.note(attempt(f"10.0.0.{number}", actor=key, status=429), 0)
    assert refusals.take(APART - 1) == [], "it goes on, and one row tells of it all"
    assert [each.event.count for each in refusals.take(APART)] == [3]
