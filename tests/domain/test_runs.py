"""What CI systems did, run by run: their order, how each went, and what was said of it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from roci import Event
from roci_plugins.domain import operations, runs
from roci_plugins.domain.operations import Operation

OWNERS = [operations]
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def after(minutes: float) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minutes)


def ran(run_id: str | None, minutes: float, status: str = "succeeded", **more: Any) -> None:
    given = {"actor_id": "ann", "actor_name": "ann", "host_id": "h", "hostname": "nas", "timeout": 60, "kind": "exec"}
    ends = {"finished_at": after(minutes + 1)} if status != "running" else {}
    Operation.create(run_id=run_id, created_at=after(minutes), status=status, **{**given, **ends, **more})


def test_the_newest_run_is_first_and_what_names_none_is_in_none(events: list[Event]) -> None:
    ran("1", 0)
    ran("2", 5)
    ran(None, 7)
    ran("1", 9)
    found, total = runs.list_(10)
    assert [(run.id, len(run.operations)) for run in found] == [("1", 2), ("2", 1)] and total == 2
    assert [run.id for run in runs.list_(1, 1)[0]] == ["2"]


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        pytest.param(["succeeded", "succeeded"], "succeeded", id="all well"),
        pytest.param(["succeeded", "failed"], "failed", id="one failed"),
        pytest.param(["timed_out", "running"], "running", id="one runs"),
        pytest.param(["cancelled"], "failed", id="cancelled"),
    ],
)
def test_a_run_went_as_its_worst(events: list[Event], ends: list[str], status: str) -> None:
    for minutes, end in enumerate(ends):
        ran("1", minutes, end)
    ((run,), _) = runs.list_(10)
    assert run.status == status
    assert (run.begun, run.ended) == (NOON, None if status == "running" else after(len(ends)))


def test_what_was_said_of_a_run_is_the_latest_of_each(events: list[Event]) -> None:
    ran("1", 0, run_context={"repository": "me/shop", "sha": "a"})
    ran("1", 1, run_context={"sha": "b"})
    ran("1", 2)
    ((run,), _) = runs.list_(10)
    assert run.context == {"repository": "me/shop", "sha": "b"}


def test_runs_are_found_by_the_key_that_was_used(events: list[Event]) -> None:
    ran("1", 0, credential="k")
    ran("1", 1)
    ran("2", 2)
    found, total = runs.list_(10, credential="k")
    assert [(run.id, len(run.operations)) for run in found] == [("1", 2)] and total == 1
