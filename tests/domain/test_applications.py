"""Where an application belongs, where it lies, and what its states allow."""

from __future__ import annotations

import pytest

from roci import Conflict, outbox
from roci_plugins.domain import applications, hosts
from roci_plugins.domain.applications import Application
from roci_plugins.domain.hosts import Host, Introduction

COMPOSE = "services:\n  w:\n    image: nginx\n"
OWNERS = (hosts, applications)
pytestmark = pytest.mark.usefixtures("events")


def host(name: str) -> Host:
    return hosts.add(Introduction(hostname=name, declared_ip="10.0.0.1", peer_ip="10.0.0.1", effective_ip="10.0.0.1"))


@pytest.fixture
def h1() -> str:
    return str(host("h1").id)


@pytest.fixture
def h2() -> str:
    return str(host("h2").id)


@pytest.fixture
def stopped(h1: str) -> Application:
    """Deployed on h1, and stopped there."""
    application = applications.begin_deploy(applications.add("a1", COMPOSE), h1)
    applications.come_up(application, deployed=True)
    return applications.move(application, "stopped")


def again(application: Application) -> Application:
    return applications.get(application.id)


def test_an_application_lies_where_it_was_deployed_whoever_it_is_given_to(
    stopped: Application, h1: str, h2: str
) -> None:
    applications.change(stopped.id, host_id=h2)
    assert (again(stopped).host_id, again(stopped).deployed_host_id) == (h2, h1)


def test_it_cannot_be_started_on_a_host_that_has_no_files_of_it(stopped: Application, h1: str, h2: str) -> None:
    applications.change(stopped.id, host_id=h2)
    with pytest.raises(Conflict, match="never deployed to that agent"):
        applications.begin_start(again(stopped))
    applications.change(stopped.id, host_id=h1)
    assert applications.begin_start(again(stopped)).status == "deploying"


def test_a_late_success_takes_it_back_to_the_host_it_runs_on(h1: str, h2: str) -> None:
    application = applications.begin_deploy(applications.add("a1", COMPOSE), h1)
    applications.move(application, "failed", "agent lost")
    applications.come_up(applications.change(application.id, host_id=h2), deployed=True)
    assert (again(application).status, again(application).host_id) == ("running", h1)


def test_a_running_application_is_deployed_where_it_runs_only(stopped: Application, h1: str, h2: str) -> None:
    applications.come_up(applications.begin_start(stopped))
    with pytest.raises(Conflict, match="another agent"):
        applications.begin_deploy(stopped, h2)
    assert applications.begin_deploy(stopped, h1).status == "deploying"


def test_with_its_host_an_application_loses_all_that_lay_there(stopped: Application, h1: str, h2: str) -> None:
    applications.change(stopped.id, host_id=h2)
    applications.forget_host(h1)
    row = again(stopped)
    assert (row.host_id, row.status) == (h2, "stopped")
    assert (row.deployed_host_id, row.deployed_revision, row.running_revision) == (None, None, None)
    with pytest.raises(Conflict, match="never deployed"):
        applications.begin_start(row)


def test_a_host_it_is_only_given_to_takes_nothing_with_it(stopped: Application, h1: str, h2: str) -> None:
    applications.change(stopped.id, host_id=h2)
    applications.forget_host(h2)
    assert (again(stopped).host_id, again(stopped).deployed_host_id) == (None, h1)


def test_what_ran_on_a_removed_host_has_failed(stopped: Application, h1: str) -> None:
    applications.come_up(applications.begin_start(stopped))
    applications.forget_host(h1)
    row = again(stopped)
    assert (row.status, row.last_error, row.host_id) == ("failed", "agent removed", None)


def test_a_revision_runs_once_its_deploy_has_succeeded(stopped: Application, h1: str, h2: str) -> None:
    row = applications.change(stopped.id, compose=COMPOSE + "# 2")
    applications.begin_deploy(row, h1)
    applications.move(row, "failed", "no such image")
    assert (again(row).deployed_revision, again(row).running_revision) == (2, 1)
    applications.come_up(applications.begin_deploy(row, h1), deployed=True)
    assert again(row).running_revision == 2
    applications.move(row, "stopped")
    assert applications.begin_deploy(row, h2).running_revision is None


def test_a_revision_for_the_next_deploy_may_be_kept_while_it_runs(stopped: Application, h1: str) -> None:
    row = applications.come_up(applications.begin_start(stopped))
    with pytest.raises(Conflict, match="stop it first"):
        applications.change(row.id, compose=COMPOSE + "# 2")
    row = applications.change(row.id, compose=COMPOSE + "# 2", for_next_deploy=True)
    assert (row.status, row.revision, row.running_revision) == ("running", 2, 1)
    applications.begin_deploy(row, h1)
    with pytest.raises(Conflict, match="deploying"):
        applications.change(row.id, compose=COMPOSE + "# 3", for_next_deploy=True)


def test_the_history_tells_of_revisions_without_reading_their_texts() -> None:
    row = applications.add("a1", COMPOSE)
    applications.change(row.id, compose=COMPOSE + "# 2")
    told = applications.history(row.id)
    assert [(each.number, each.author) for each in told] == [(2, "ROCI"), (1, "ROCI")]
    assert all(each.created_at and each.text is None for each in told)


def test_events_say_what_was_before_and_after_but_nothing_of_the_file(h1: str) -> None:
    application = applications.add("a1", COMPOSE)
    changed = applications.change(application.id, compose=COMPOSE + "    environment: [TOKEN=sesame]\n", host_id=h1)
    applications.move(changed, "deploying")
    applications.move(changed, "failed", "no room")
    applications.remove(changed)
    added, change, _, moved, removed = outbox.get()[-5:]
    assert added.after == change.before and change.after == removed.before
    assert (change.before["revision"], change.after["revision"], change.after["host_id"]) == (1, 2, h1)
    assert change.before["sha256"] != change.after["sha256"] and "sesame" not in str(outbox.get())
    assert moved.before == {"status": "deploying", "error": None}
    assert moved.after == {"status": "failed", "error": "no room"}


def test_what_was_decided_about_a_host_shows_before_and_after() -> None:
    decided = hosts.approve(host("nas").id, "ann")
    hosts.remove(decided.id)
    added, decision, removed = outbox.get()[-3:]
    assert added.after == decision.before and decision.after == removed.before
    assert (decision.before["status"], decision.after["status"]) == ("pending", "approved")
    assert decision.after["decision_reason"] == "approved by ann"
