"""What is under way for an application, and whose outcome tells its state."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from roci import Conflict, Event
from roci_plugins.domain import applications, operations
from roci_plugins.domain.applications import Application
from roci_plugins.domain.operations import UNDER_WAY, Operation

OWNERS = [applications, operations]
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
TEXT = "services: {}"


def ran(application: Application, kind: str, status: str = "succeeded", minutes: int = 0) -> Operation:
    given: dict[str, Any] = {"actor_id": "ann", "actor_name": "ann", "host_id": "h", "hostname": "nas", "timeout": 60}
    at = NOON + datetime.timedelta(minutes=minutes)
    return Operation.create(kind=kind, status=status, application_id=application.id, created_at=at, **given)


@pytest.mark.parametrize(("kind", "said"), [("deploy", "a deploy"), ("container", "one of its containers")])
def test_an_application_is_not_idle_while_something_is_done_to_it(events: list[Event], kind: str, said: str) -> None:
    mine, other = applications.add("mine", TEXT), applications.add("other", TEXT)
    ran(mine, "deploy")
    ran(mine, "delete", "running")
    operations.check_idle(mine)
    ran(mine, kind, "running")
    with pytest.raises(Conflict, match=said):
        operations.check_idle(mine)
    operations.check_idle(other)


def test_what_is_under_way_is_found_among_the_few_that_run_however_much_was_done_before(events: list[Event]) -> None:
    sql = f"explain query plan select * from operation where {UNDER_WAY}"
    assert "operation_status" in str(Operation._meta.database.execute_sql(sql, ["an application"]).fetchall())


def test_only_the_latest_operation_tells_an_applications_state(events: list[Event]) -> None:
    mine, other = applications.add("mine", TEXT), applications.add("other", TEXT)
    first = ran(mine, "deploy", minutes=1)
    ran(mine, "container", minutes=2)
    ran(other, "deploy", minutes=3)
    assert operations.is_latest(first)
    second = ran(mine, "stop", minutes=4)
    assert not operations.is_latest(first) and operations.is_latest(second)
