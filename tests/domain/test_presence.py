from __future__ import annotations

import functools

from roci_plugins.domain.presence import AT_ONCE, MOST, HostConnected, HostDisconnected, Passages


@functools.cache
def came(host: str = "h") -> HostConnected:
    return HostConnected(host, host, "10.0.0.1")


@functools.cache
def went(host: str = "h") -> HostDisconnected:
    return HostDisconnected(host, host, "gone", 1006)


def test_each_passage_is_a_row_in_the_order_it_was() -> None:
    passages = Passages()
    for passage in (came(), went(), came("i")):
        passages.note(passage, 0.0)
    assert passages.take(0.1) == [came(), went(), came("i")]
    assert passages.take(0.2) == []


def test_a_host_that_comes_and_goes_all_the_time_has_few_rows_and_the_rest_is_counted() -> None:
    passages = Passages()
    for second in range(30):
        passages.note(came(), second)
        passages.note(went(), second)
    passages.note(came("calm"), 30.0)
    found = passages.take(31.0)
    assert len(found) == MOST + 1 and found[-1] == came("calm")
    assert passages.take(59.0) == []
    rest = passages.take(60.0)
    assert [(type(each), each.count) for each in rest] == [(HostConnected, 25), (HostDisconnected, 25)]
    passages.note(came(), 61.0)
    assert [each.count for each in passages.take(62.0)] == [1]


def test_it_forgets_hosts_that_have_settled() -> None:
    passages = Passages()
    passages.note(came(), 0.0)
    passages.take(0.0)
    passages.take(61.0)
    assert passages._lately == {}


def test_one_write_is_bounded_and_the_last_takes_everything() -> None:
    passages = Passages()
    for number in range(AT_ONCE + 5):
        passages.note(came(str(number)), 0.0)
    first = passages.take(0.0)
    assert len(first) == AT_ONCE
    passages.put_back(first)
    again = passages.take(0.0, everything=True)
    assert [each.host_id for each in again] == [str(number) for number in range(AT_ONCE + 5)]
