"""The delay of who guesses, by itself: no clock, no hashing."""

from __future__ import annotations

import pytest

from roci import Invalid
from roci_plugins.auth.passwords import FREE, LONGEST_DELAY, MOST, Throttle, check, hashed, holds

KEYS = ("name ann", "address 192.0.2.1")


def failed(times: int, throttle: Throttle | None = None, at: float = 0.0) -> Throttle:
    throttle = throttle or Throttle()
    for _ in range(times):
        throttle.failed(KEYS, at)
    return throttle


def test_the_first_failures_cost_nothing():
    assert failed(FREE - 1).wait(KEYS, 0) == 0


@pytest.mark.parametrize(
    ("more", "seconds"), [(0, 1), (1, 2), (2, 4), (5, 32), (6, LONGEST_DELAY), (500, LONGEST_DELAY)]
)
def test_every_further_failure_doubles_the_wait_up_to_a_minute(more: int, seconds: float):
    throttle = failed(FREE + more)
    assert throttle.wait(KEYS, 0) == seconds
    assert throttle.wait(KEYS, seconds / 2) == seconds / 2
    assert throttle.wait(KEYS, seconds) == 0


def test_the_name_waits_at_another_address_and_the_address_with_another_name():
    throttle = failed(FREE)
    assert throttle.wait(("name ann", "address 192.0.2.9"), 0) == throttle.wait(("name bob", KEYS[1]), 0) == 1
    assert throttle.wait(("name bob", "address 192.0.2.9"), 0) == 0


def test_success_starts_over():
    throttle = failed(FREE)
    throttle.succeeded(KEYS)
    assert failed(FREE - 1, throttle).wait(KEYS, 0) == 0


def test_failures_long_ago_are_forgotten():
    throttle = failed(FREE + 3)
    assert failed(1, throttle, at=10_000).wait(KEYS, 10_000) == 0


def test_what_is_remembered_has_a_bound():
    throttle = Throttle()
    for number in range(MOST * 2):
        throttle.failed((f"name {number}",), 0)
    assert len(throttle._failures) == MOST


def test_a_hash_is_salted_hides_itself_and_holds_for_its_password_only():
    kept = hashed("correct horse")
    assert repr(kept) == "[hidden]" and kept != hashed("correct horse")
    assert holds(kept, "correct horse") and not holds(kept, "correct house")


@pytest.mark.parametrize("kept", [None, "", "no hash at all"])
def test_where_there_is_no_hash_no_password_holds(kept: str | None):
    assert not holds(kept, "") and not holds(kept, "correct horse")


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_a_password_that_is_set_has_ten_characters_at_least(password: str):
    with pytest.raises(Invalid, match=r"^password: at least 10 characters"):
        check(password)
