"""GET /audit, as RootCX has it: rows of tables that changed."""

from __future__ import annotations

from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import hosts, policies

from .conftest import Api

ROW = {"id", "table_schema", "table_name", "record_id", "operation", "old_record", "new_record", "changed_at"}
ROW |= {"actor_uid", "delegator_uid", "trigger_ref"}


@pytest.fixture
async def admin(app: Quart) -> Api:
    client: Client = app.test_client()
    return await Api(client).signed_in("first@example.org")


@pytest.fixture
async def trail(roci: Roci, admin: Api) -> Any:
    policy = await roci.write(policies.add, "p", 1, {"type": "any"}, "reject")
    await roci.write(policies.change, policy.id, priority=2)
    await roci.write(policies.remove, policy.id)
    return policy


async def test_a_row_has_what_was_before_and_after(admin: Api, trail: Any) -> None:
    status, rows = await admin("GET", f"/audit?app_id=core&entity=policy&record_id={trail.id}")
    assert status == 200 and all(row.keys() == ROW for row in rows)
    removed, changed, added = rows
    assert [row["operation"] for row in rows] == ["DELETE", "UPDATE", "INSERT"]
    assert added["old_record"] is None and added["new_record"]["priority"] == 1
    assert (changed["old_record"]["priority"], changed["new_record"]["priority"]) == (1, 2)
    assert removed["new_record"] is None and removed["old_record"]["priority"] == 2
    assert (added["table_schema"], added["table_name"], added["delegator_uid"]) == ("core", "policy", None)
    assert isinstance(added["id"], int) and added["changed_at"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "operations"),
    [
        ("limit=1", ["DELETE"]),
        ("operation=update", ["UPDATE"]),
        ("operation__neq=UPDATE", ["DELETE", "INSERT"]),
        ("operation__contains=SERT", ["INSERT"]),
        ("order=asc", ["INSERT", "UPDATE", "DELETE"]),
        ("order_by=operation&order=asc", ["DELETE", "INSERT", "UPDATE"]),
        ("table_name__contains=olic&table_schema=core", ["DELETE", "UPDATE", "INSERT"]),
        ("changed_at__gte=2999-01-01T00:00:00Z", []),
        ("changed_at__lte=2999-01-01T00:00:00Z", ["DELETE", "UPDATE", "INSERT"]),
        ("colour=green&operation__like=x&limit=5000", ["DELETE", "UPDATE", "INSERT"]),
    ],
)
async def test_rows_can_be_asked_for(admin: Api, trail: Any, query: str, operations: list[str]) -> None:
    status, rows = await admin("GET", f"/audit?entity=policy&{query}")
    assert (status, [row["operation"] for row in rows]) == (200, operations)


async def test_before_goes_on_where_a_page_ended(admin: Api, trail: Any) -> None:
    _, first = await admin("GET", "/audit?entity=policy&limit=2")
    _, rest = await admin("GET", f"/audit?entity=policy&before={first[-1]['id']}")
    assert [row["operation"] for row in first + rest] == ["DELETE", "UPDATE", "INSERT"]


@pytest.mark.parametrize("query", ["limit=x", "before=x", "order_by=hash", "order=up", "changed_at__gte=soon"])
async def test_a_bad_question_is_told_so(admin: Api, query: str) -> None:
    status, body = await admin("GET", f"/audit?{query}")
    assert status == 400 and set(body) == {"error"}


async def test_who_may_not_read_it_is_refused_and_that_is_no_row_here(admin: Api, app: Quart) -> None:
    other = await Api(app.test_client()).signed_in("second@example.org")
    assert (await other("GET", "/audit"))[0] == 403
    assert (await Api(app.test_client())("GET", "/audit"))[0] == 401
    _, rows = await admin("GET", "/audit?limit=1000")
    assert {row["operation"] for row in rows} <= {"INSERT", "UPDATE", "DELETE"}


async def test_people_who_sign_in_are_in_it_under_core(admin: Api) -> None:
    _, rows = await admin("GET", "/audit?entity=login")
    assert rows and rows[0]["operation"] == "INSERT" and rows[0]["actor_uid"] == admin.id


async def test_without_its_accept_or_token_the_native_trail_answers(client: Client, roci: Roci) -> None:
    await roci.write(hosts.add, hosts.Introduction("nas", "10.0.0.1", "10.0.0.1", "10.0.0.1"))
    native = await (await client.get("/api/v1/audit?noun=host")).get_json()
    assert native["total"] == 1 and native["entries"][0]["name"] == "HostAdded"
    alone = await client.get("/rootcx/api/v1/audit?entity=host")
    assert [row["operation"] for row in await alone.get_json()] == ["INSERT"]
