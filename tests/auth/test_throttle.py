"""The waits of who guesses, by themselves: no clock, no hashing."""

from __future__ import annotations

import pytest

from roci_plugins.auth.throttle import ADDRESS, MOST, QUIET, USER, USER_AT_ADDRESS, Throttle, network

ANN, HERE = "ann", "192.0.2.1"


def failed(times: int, throttle: Throttle | None = None, at: float = 0.0, name: str = ANN) -> Throttle:
    throttle = throttle or Throttle()
    for _ in range(times):
        throttle.failed(name, HERE, at)
    return throttle


def test_nine_wrong_attempts_cost_nothing_and_the_tenth_a_minute():
    assert failed(9).wait(ANN, HERE, 0) == 0
    assert failed(10).wait(ANN, HERE, 0) == 60
    assert failed(10).wait(ANN, HERE, 60) == 0


@pytest.mark.parametrize(("more", "seconds"), [(1, 120), (2, 240), (3, 480), (4, 900), (50, 900)])
def test_every_further_one_doubles_the_wait_up_to_a_quarter_of_an_hour(more: int, seconds: float):
    throttle, at = failed(10), 0.0
    for _ in range(more):
        at += throttle.wait(ANN, HERE, at)
        failed(1, throttle, at)
    assert throttle.wait(ANN, HERE, at) == seconds


def test_ten_in_more_than_a_minute_cost_nothing():
    throttle = Throttle()
    for second in range(0, 200, 10):
        failed(1, throttle, second)
    assert throttle.wait(ANN, HERE, 200) == 0


def test_the_user_may_still_come_from_elsewhere_and_others_from_here():
    throttle = failed(10)
    assert throttle.wait(ANN, "192.0.2.9", 0) == throttle.wait("bob", HERE, 0) == 0


def test_thirty_wrong_ones_from_one_address_are_enough_whatever_the_names():
    throttle = Throttle()
    for number in range(ADDRESS.attempts):
        assert throttle.wait(f"user {number}", HERE, 0) == 0
        failed(1, throttle, name=f"user {number}")
    assert throttle.wait("somebody else", HERE, 0) == 60
    assert throttle.wait("somebody else", "192.0.2.9", 0) == 0


def test_guessing_one_user_from_everywhere_costs_a_short_wait_only():
    throttle = Throttle()
    for number in range(USER.attempts):
        throttle.failed(ANN, f"198.51.{number // 250}.{number % 250}", number / 10)
    assert 0 < throttle.wait(ANN, "203.0.113.1", 10) <= USER.longest


def test_the_case_of_a_name_makes_no_difference():
    throttle = failed(5, name="Ann")
    assert failed(5, throttle, name=" ANN ").wait("ann", HERE, 0) == 60


def test_success_starts_the_user_over_and_not_the_address():
    throttle = failed(9)
    throttle.succeeded(ANN, HERE)
    assert failed(9, throttle).wait(ANN, HERE, 0) == 0
    for number in range(ADDRESS.attempts - 18):
        failed(1, throttle, name=f"user {number}")
    throttle.succeeded(ANN, HERE)
    assert throttle.wait(ANN, HERE, 0) == 60


def test_failures_long_ago_are_forgotten():
    throttle = failed(12)
    later = throttle.wait(ANN, HERE, 0) + QUIET + 1
    assert failed(9, throttle, later).wait(ANN, HERE, later) == 0


def test_what_is_remembered_has_a_bound():
    throttle = Throttle()
    for number in range(MOST):
        throttle.failed(f"user {number}", f"10.{number % 250}.{number // 250}.1", 0)
    assert len(throttle._failures) == MOST


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_a_household_of_ipv6_counts_as_one_place(address: str, place: str):
    assert network(address) == place


def test_who_waits_at_an_address_waits_with_the_users_own_limit_too():
    assert failed(USER_AT_ADDRESS.attempts).wait(ANN, HERE, 0) == USER_AT_ADDRESS.first
