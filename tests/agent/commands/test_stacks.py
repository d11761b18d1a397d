from __future__ import annotations

from typing import Any

import pytest

from roci_plugins.agent.commands.stacks import NOWHERE, REPLICAS, State, halted, restarted, resumed, states


def service(replicas: int | None = 2, update: dict[str, str] | None = None, restarts: str = "any") -> dict[str, Any]:
    mode: dict[str, Any] = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    template = {"ContainerSpec": {"Image": "i"}, "RestartPolicy": {"Condition": restarts}}
    spec = {"Name": "shop_web", "Labels": {"a": "b"}, "Mode": mode, "TaskTemplate": template}
    return {"ID": "s1", "UpdatedAt": "2026-11-22T10:00:00.5Z", "UpdateStatus": update, "Spec": spec}


def task(state: str, desired: str = "running", at: str = "2026-11-22T10:00:00.51Z", **status: Any) -> dict[str, Any]:
    told = {"State": state, **status}
    return {"ID": f"t{at}", "ServiceID": "s1", "CreatedAt": at, "DesiredState": desired, "Status": told}


def state(of: dict[str, Any], *tasks: dict[str, Any]) -> State:
    [found] = states([of], tasks)
    return found


def test_a_service_is_up_when_as_many_run_as_it_wants() -> None:
    up = task("running")
    assert state(service(), up, up).is_up
    assert not state(service(), up).is_up and str(state(service(), up)) == "shop_web: 1/2 running"
    assert state(service(0)).is_up
    assert not state(service(), up, task("running", desired="shutdown")).is_up
    assert not state(service(), up, up, {**up, "ServiceID": "another"}).error


def test_a_service_for_every_machine_is_up_when_each_of_its_tasks_runs() -> None:
    here, there = {**task("running"), "NodeID": "n1"}, {**task("starting"), "NodeID": "n2"}
    assert not state(service(None), here, there).is_up
    assert state(service(None), here, {**there, "Status": {"State": "running"}}).is_up


def test_what_it_waits_for_is_told() -> None:
    found = state(service(1), task("pending", Err="no suitable node (insufficient memory)"))
    assert not found.is_up and str(found) == "shop_web: 0/1 running, no suitable node (insufficient memory)"
    busy = {"State": "updating", "StartedAt": "2026-11-22T10:00:00Z"}
    assert state(service(1, busy), task("running")).waiting == "being updated"


def test_a_service_whose_tasks_keep_failing_will_not_come_up() -> None:
    bad = [task("failed", "shutdown", Err="task: non-zero exit (7)", ContainerStatus={"ContainerID": "c7"})] * 3
    assert not state(service(1), *bad[:2]).error
    found = state(service(1), *bad)
    assert (found.error, found.container, found.is_up) == ("task: non-zero exit (7)", "c7", False)
    assert state(service(1, restarts="none"), bad[0]).error == "task: non-zero exit (7)"


def test_failures_of_an_earlier_deploy_do_not_count() -> None:
    old = task("failed", "shutdown", at="2026-11-22T10:00:00.499999999Z", Err="x")
    assert not state(service(1), *[old] * 3).error
    update = {"State": "updating", "StartedAt": "2026-11-22T10:00:00Z"}
    assert state(service(1, update), *[old] * 3).error == "x"


@pytest.mark.parametrize("word", ["paused", "rollback_started", "rollback_completed"])
def test_an_update_that_was_given_up_tells_the_tasks_own_error_or_else_the_swarms(word: str) -> None:
    update = {"State": word, "StartedAt": "2026-11-22T10:00:00Z", "Message": "update paused due to failure"}
    assert state(service(1, update), task("running")).error == "update paused due to failure"
    assert state(service(1, update), task("rejected", Err="No such image: x")).error == "No such image: x"


def test_what_ends_well_counts_as_run() -> None:
    assert state(service(1, restarts="on-failure"), task("complete", desired="complete")).is_up


def test_halting_notes_what_was_and_resuming_restores_it() -> None:
    before = service(3)["Spec"]
    halt = halted(before)
    assert halt is not None and halt["Mode"] == {"Replicated": {"Replicas": 0}}
    assert halt["Labels"] == {"a": "b", REPLICAS: "3"}
    assert halted(halt) is None, "a second stop does not forget what was"
    assert resumed(halt) == before == service(3)["Spec"]
    assert resumed(before) is None


def test_what_runs_on_every_machine_is_halted_by_a_place_that_is_none() -> None:
    before = service(None)["Spec"]
    before["TaskTemplate"]["Placement"] = {"Constraints": ["node.role == manager"]}
    halt = halted(before)
    assert halt is not None
    assert halt["TaskTemplate"]["Placement"]["Constraints"] == ["node.role == manager", NOWHERE]
    assert resumed(halt) == before


def test_a_restart_changes_nothing_but_a_count() -> None:
    spec = service()["Spec"]
    once = restarted(spec)
    assert once == {**spec, "TaskTemplate": {**spec["TaskTemplate"], "ForceUpdate": 1}}
    assert restarted(once)["TaskTemplate"]["ForceUpdate"] == 2 and "ForceUpdate" not in spec["TaskTemplate"]
