"""Operations and the audit on one axis: their order, pages without gaps, what is passed over, and how far one looks."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from roci import Actor, Event
from roci_plugins.domain import activity, events, hosts, operations
from roci_plugins.domain.activity import START, Asked, Entry
from roci_plugins.domain.events import Recorded
from roci_plugins.domain.operations import Operation

OWNERS = [events, hosts, operations]
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
KEY = b"k" * 32


@dataclasses.dataclass(frozen=True)
class JarFilled(Event):
    jar_id: str
    host_id: str = ""
    outcome: str = "done"


def after(minutes: float) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minutes)


def filled(name: str, minutes: float, who: str = "ann", **more: Any) -> None:
    actor = Actor(f"id-{who}", who, "person")
    keep(JarFilled(name, **more, at=after(minutes), actor=actor))


def keep(event: Event) -> None:
    events.append(KEY, [event])


def ran(kind: str, minutes: float, **more: Any) -> Operation:
    given = {"actor_id": "id-ann", "actor_name": "ann", "host_id": "h1", "hostname": "nas", "timeout": 60}
    return Operation.create(kind=kind, created_at=after(minutes), **{"status": "succeeded", **given, **more})


def told(entries: list[Entry]) -> list[str]:
    return [
        each.operation.kind if each.operation else each.event.subject_id
        for each in entries
        if each.operation or each.event
    ]


def found(with_audit: bool = True, **asked: Any) -> list[str]:
    return told(activity.page(Asked(**asked), with_audit).entries)


def test_both_stand_on_one_axis_the_newest_first(events: list[Event]) -> None:
    filled("sugar", 1)
    ran("deploy", 2)
    filled("salt", 3)
    assert found() == ["salt", "deploy", "sugar"]
    assert found(with_audit=False) == found(kind="operations") == ["deploy"]
    assert found(kind="audit") == ["salt", "sugar"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_have_no_gaps_and_nothing_twice_even_in_one_moment(events: list[Event], limit: int) -> None:
    for number in range(6):
        filled(f"jar{number}", number // 4)
        ran(f"run{number}", number // 3)
    whole = found()
    assert len(whole) == 12
    mark, pages = START, []
    while mark:
        page = activity.page(Asked(), True, mark, limit)
        pages += told(page.entries)
        mark = page.further
    assert pages == whole


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"who": "bob"}, ["salt"]),
        ({"who": "id-bob"}, ["salt"]),
        ({"host_id": "h2"}, ["salt", "reboot"]),
        ({"application_id": "a1"}, ["deploy"]),
        ({"action": "reboot"}, ["reboot"]),
        ({"action": "JarFilled"}, ["salt", "sugar"]),
        ({"outcome": "failed"}, ["salt", "deploy"]),
        ({"outcome": "done"}, ["reboot", "sugar"]),
        ({"outcome": "running"}, []),
        ({"outcome": "refused"}, []),
        ({"text": "SUGAR"}, ["sugar"]),
        ({"text": "no such Image"}, ["deploy"]),
        ({"text": "100%"}, []),
        ({"since": after(2), "until": after(4)}, ["reboot", "deploy"]),
    ],
    ids=str,
)
def test_what_is_not_asked_for_is_passed_over(events: list[Event], asked: dict[str, Any], expected: list[str]) -> None:
    filled("sugar", 1)
    ran("deploy", 2, status="timed_out", application_id="a1", application_name="shop", reason="no such image")
    ran("reboot", 3, host_id="h2", hostname="pi")
    filled("salt", 4, who="bob", host_id="h2", outcome="failed")
    assert found(**asked) == expected


def test_operations_are_not_told_twice_but_the_audit_alone_has_all_of_it(events: list[Event]) -> None:
    started = operations.OperationStarted("o1", "deploy", "h1", None, at=after(1), actor=Actor("1", "ann", "person"))
    keep(started)
    assert found() == [] and found(kind="audit") == ["o1"]


def test_a_page_looks_only_so_far_and_the_next_one_goes_on(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "SCAN", 10)
    filled("sugar", 0)
    for number in range(25):
        filled(f"jar{number}", 1 + number)
    asked, mark, pages = Asked(text="sugar"), START, []
    while mark:
        page = activity.page(asked, True, mark)
        pages.append(told(page.entries))
        mark = page.further
    assert pages == [[], [], ["sugar"]]
    assert activity.page(asked, True).looked_until == after(16)


def test_rows_are_read_along_their_times_whatever_is_looked_for(events: list[Event]) -> None:
    asked = Asked("", "ann", "h1", "a1", "deploy", "failed", "x", after(0), after(9))
    queries: list[str] = []
    for kind in activity._kinds(asked, True):
        assert kind
        query = kind._newest_first(kind.table.select().where(kind._range(START, after(1)), *kind.holds)).limit(5)
        text, values = query.sql()
        rows = Recorded._meta.database.execute_sql(f"explain query plan {text}", values)
        queries += [row[3] for row in rows]
    assert [plan for plan in queries if "TEMP B-TREE" in plan or "SCAN" in plan.split()[0]] == []
    assert any("recorded_at" in plan for plan in queries) and any("operation_created_at" in plan for plan in queries)
