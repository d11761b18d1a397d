"""The order of policies, and when a window closes."""

from __future__ import annotations

import datetime

import pytest

from roci import Conflict, Event
from roci_plugins.domain import policies
from roci_plugins.domain.policies import PolicyChanged

OWNERS = [policies]
ANY = {"type": "any"}


def names() -> list[str]:
    return [policy.name for policy in policies.all_()]


@pytest.mark.parametrize(
    ("given", "kept"),
    [([1, 2, 3], [1, 2, 3]), ([10, 10, 10], [10, 11, 12]), ([-5, 0, 0], [-5, 0, 1]), ([1, 1, 9], [1, 2, 9])],
    ids=str,
)
def test_another_order_keeps_the_priorities_as_far_as_they_differ(
    events: list[Event], given: list[int], kept: list[int]
) -> None:
    ids = [policies.add(name, priority, ANY, "approve").id for name, priority in zip("abc", given, strict=True)]
    policies.arrange([ids[2], ids[0], ids[1]])
    assert names() == ["c", "a", "b"] and [policy.priority for policy in policies.all_()] == kept


def test_only_what_moves_is_changed(events: list[Event]) -> None:
    a, b, c = (policies.add(name, place, ANY, "approve").id for place, name in enumerate("abc"))
    events.clear()
    policies.arrange([b, a, c])
    assert {event.policy_id for event in events if isinstance(event, PolicyChanged)} == {a, b}


@pytest.mark.parametrize("wrong", [[0], [0, 0], [0, 1, 1], []], ids=str)
def test_an_order_names_each_policy_once(events: list[Event], wrong: list[int]) -> None:
    ids = [policies.add(name, 1, ANY, "approve").id for name in "ab"]
    with pytest.raises(Conflict):
        policies.arrange([ids[each] for each in wrong])
    assert names() == ["a", "b"]


def test_a_window_closes_so_long_after_it_was_opened(events: list[Event]) -> None:
    policy = policies.add("now", 1, {"type": "time_window", "seconds": 600}, "approve")
    assert policies.closes_at(policy) == policy.enabled_at + datetime.timedelta(minutes=10)
    assert policies.closes_at(policies.add("all", 1, ANY, "approve")) is None
