"""What was refused is in the audit trail, whatever the dialect and whoever asked."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import credentials, events, policies, principals
from roci_plugins.domain.events import Recorded
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.refusals import Attempt, AttemptRefused, Refusals, nobody
from roci_plugins.work import refusals


async def refused(roci: Roci) -> list[Recorded]:
    await refusals.flush(roci, everything=True)
    rows, _ = await roci.read(events.list_, 1000, 0, "AttemptRefused")
    return list(rows)


@pytest.fixture
async def bob(roci: Roci, app: Quart) -> Client:
    """Somebody without any right, with a token."""
    person = await roci.write(principals.add, NewPrincipal("bob"))
    _, secret = await roci.write(credentials.issue, person.id, "t")
    client: Any = app.test_client()
    client.headers = {"Authorization": f"Bearer {secret}"}
    return client  # type: ignore[no-any-return]


async def test_a_known_actors_refusal_is_written_before_the_answer(roci: Roci, bob: Any) -> None:
    policy = await roci.write(policies.add, "p", 1, {"type": "any"}, "reject")
    response = await bob.delete(f"/api/v1/policies/{policy.id}", headers=bob.headers)
    assert response.status_code == 403
    (row,), _ = await roci.read(events.list_, 10, 0, "AttemptRefused")
    assert (row.actor_name, row.via, row.outcome, row.subject_id) == ("bob", "token", "refused", "policies.write")
    assert row.address and row.credential
    assert (row.data["method"], row.data["path"], row.data["status"]) == ("DELETE", "/api/v1/policies/<id>", 403)


async def test_nobodys_attempts_are_counted_with_their_route_but_not_what_is_in_it(
    roci: Roci, anonymous: Client
) -> None:
    for _ in range(3):
        await anonymous.get("/api/v1/policies/00000000-0000-4000-8000-000000000000?key=sesame")
    (row,) = await refused(roci)
    assert (row.actor_name, row.data["count"], row.data["path"]) == ("nobody", 3, "/api/v1/policies/<id>")
    assert "0000-4000" not in str(row.data) and "sesame" not in str(row.data)


async def test_a_bad_token_is_noted_and_not_kept(roci: Roci, anonymous: Client) -> None:
    headers = {"Authorization": "Bearer roci_notmine"}
    assert (await anonymous.get("/api/v1/policies", headers=headers)).status_code == 401
    (row,) = await refused(roci)
    assert row.data["status"] == 401 and "notmine" not in str(row.data)


@pytest.mark.parametrize("form", [True, False])
async def test_a_wrong_password_is_noted_with_the_name_that_was_tried(
    roci: Roci, anonymous: Client, form: bool
) -> None:
    given = {"username": "alice", "password": "open sesame"}
    response = await anonymous.post("/login", **({"form": given} if form else {"json": given}))  # type: ignore[arg-type]
    assert response.status_code == 401
    (row,) = await refused(roci)
    assert (row.data["tried"], row.data["status"], row.data["count"]) == ("alice", 401, 1)
    assert "sesame" not in str(row.data)


async def test_ten_thousand_refusals_make_few_rows_and_keep_nobody_waiting(roci: Roci, anonymous: Client) -> None:
    loop, worst = asyncio.get_running_loop(), 0.0
    for _ in range(100):
        began = time.thread_time()  # of this thread only: other programs may have the processor meanwhile
        for _ in range(100):
            roci.part(Refusals).note(_attempt_of_nobody(), loop.time())
        worst = max(worst, time.thread_time() - began)
        await asyncio.sleep(0)
    rows = await refused(roci)
    assert sum(row.data["count"] for row in rows) == 10_000 and len(rows) <= 3
    assert worst < 1
    assert (await anonymous.get("/api/v1/health/lite")).status_code == 200


def _attempt_of_nobody() -> Attempt:
    return Attempt(nobody("10.0.0.9"), "unauthenticated", AttemptRefused("", "", "POST", "/login", "no", 401, "ann"))


async def test_refusals_are_written_when_the_process_stops(settings: Any) -> None:
    roci = Roci(settings)
    async with roci.running():
        for _ in range(5):
            await refusals.note(roci, _attempt_of_nobody())
        assert await roci.read(principals.all_) == []
    again = Roci(settings)
    async with again.running():
        rows, _ = await again.read(events.list_, 10, 0, "AttemptRefused")
    assert sum(row.data["count"] for row in rows) == 5


async def test_a_refusal_that_cannot_be_written_is_answered_all_the_same(
    roci: Roci, bob: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await roci.store.alter(lambda: roci.store.db.execute_sql("drop table recorded_head"))
    assert (
        await bob.delete("/api/v1/policies/00000000-0000-4000-8000-000000000000", headers=bob.headers)
    ).status_code == 403
    assert "answered all the same" in caplog.text
    await roci.store.alter(lambda: roci.store.db.create_tables([events.RecordedHead]))


async def test_counts_that_could_not_be_written_are_written_later(roci: Roci) -> None:
    for _ in range(3):
        await refusals.note(roci, _attempt_of_nobody())
    await roci.store.alter(lambda: roci.store.db.execute_sql("drop table recorded_head"))
    with pytest.raises(sqlite3.OperationalError):
        await refusals.flush(roci, everything=True)
    await refusals.note(roci, _attempt_of_nobody())
    await roci.store.alter(lambda: roci.store.db.create_tables([events.RecordedHead]))
    assert sum(row.data["count"] for row in await refused(roci)) == 4


async def test_an_urgent_refusal_that_could_not_be_written_is_written_later(roci: Roci, bob: Any) -> None:
    await roci.store.alter(lambda: roci.store.db.execute_sql("drop table recorded_head"))
    await bob.delete("/api/v1/policies/00000000-0000-4000-8000-000000000000", headers=bob.headers)
    await roci.store.alter(lambda: roci.store.db.create_tables([events.RecordedHead]))
    (row,) = await refused(roci)
    assert (row.actor_name, row.subject_id, row.data["count"]) == ("bob", "policies.write", 1)


async def test_what_it_was_about_is_kept_in_short(roci: Roci, bob: Any) -> None:
    await bob.delete(f"/api/v0/spaces/{'x' * 5000}", headers=bob.headers)
    (row,) = await refused(roci)
    assert row.data["status"] == 403 and row.data["resource"] == "space/" + "x" * 294


async def test_a_change_that_would_leave_no_administrator_is_noted(roci: Roci, client: Client) -> None:
    admin = (await (await client.get("/api/v1/me")).get_json())["id"]
    response = await client.post(f"/api/v1/users/{admin}/disable")
    assert response.status_code == 409
    (row,), _ = await roci.read(events.list_, 10, 0, "AttemptRefused")
    assert (row.actor_name, row.subject_id, row.data["status"]) == ("admin", "principals.update", 409)
    assert (row.data["path"], row.outcome) == ("/api/v1/users/<id>/disable", "refused") and row.address
