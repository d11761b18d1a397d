from __future__ import annotations

from roci_plugins.auth.rates import MOST, Rates


def test_so_many_pass_and_the_next_waits_for_the_oldest_to_leave() -> None:
    rates = Rates()
    passed = [rates.ask("k", 3, at) for at in (0.0, 10.0, 20.0)]
    assert [each.passes for each in passed] == [True] * 3
    assert [each.remaining for each in passed] == [2, 1, 0]
    refused = rates.ask("k", 3, 25.5)
    assert (refused.passes, refused.remaining, refused.wait) == (False, 0, 35)
    assert not rates.ask("k", 3, 59.9).passes
    assert rates.ask("k", 3, 60.0).passes
    assert not rates.ask("k", 3, 60.1).passes, "the second one leaves at 70"


def test_the_wait_is_whole_seconds_and_at_least_one() -> None:
    rates = Rates()
    rates.ask("k", 1, 0.0)
    assert [rates.ask("k", 1, at).wait for at in (0.0, 0.5, 59.0, 59.99)] == [60, 60, 1, 1]


def test_requests_that_are_refused_do_not_make_it_longer() -> None:
    rates = Rates()
    rates.ask("k", 1, 0.0)
    assert not any(rates.ask("k", 1, float(at)).passes for at in range(1, 60))
    assert rates.ask("k", 1, 60.0).passes


def test_keys_do_not_share() -> None:
    rates = Rates()
    assert rates.ask("a", 1, 0.0).passes and rates.ask("b", 1, 0.0).passes


def test_a_limit_that_was_lowered_counts_at_once() -> None:
    rates = Rates()
    for _ in range(10):
        rates.ask("k", 10, 0.0)
    assert not rates.ask("k", 2, 1.0).passes


def test_what_is_remembered_is_bounded() -> None:
    rates = Rates()
    for number in range(MOST + 10):
        rates.ask(str(number), 1, 0.0)
    for _ in range(5000):
        rates.ask("busy", 1000, 1.0)
    assert len(rates._passed) == MOST and len(rates._passed["busy"]) == 1000
