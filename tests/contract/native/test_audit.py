"""/api/v1/audit: what was done, by whom; filters, pages, export."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from quart.typing import TestClientProtocol as Client

from roci import Actor, Roci, current_actor, now
from roci_plugins.domain import policies
from roci_plugins.domain.policies import PolicyAdded

from .conftest import Api, code

EVE = Actor("77", "=eve()", "person", via="token", credential="t1", address="10.0.0.66")


@pytest.fixture
async def trail(roci: Roci, api: Api) -> list[dict[str, Any]]:
    """An application and two policies were made, one by somebody else, and one was removed. Newest first."""
    await api.app("blog")
    kept = await api.policy(10)
    token = current_actor.set(EVE)
    await roci.write(policies.add, "eves", 20, {"type": "any"}, "reject")
    current_actor.reset(token)
    assert (await api("DELETE", f"/policies/{kept['id']}"))[0] == 200
    status, body = await api("GET", "/audit")
    assert status == 200 and body["total"] == len(body["entries"])
    return list(body["entries"])


async def test_an_entry_says_who_did_what_and_when(trail: list[dict[str, Any]], api: Api) -> None:
    removed, added = trail[0], trail[1]
    assert (removed["name"], removed["noun"], removed["operation"], removed["outcome"]) == (
        "PolicyRemoved",
        "policy",
        "DELETE",
        "done",
    )
    assert removed["actor"]["name"] == "admin" and removed["via"] == "cookie" and removed["at"].endswith("Z")
    assert added["actor"] == {"id": "77", "name": "=eve()", "kind": "person"}
    assert (added["via"], added["credential"], added["address"]) == ("token", "t1", "10.0.0.66")
    assert await api("GET", f"/audit/{removed['seq']}") == (200, removed)
    assert code(await api("GET", "/audit/99999999999999999999999")) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("actor=77", ["PolicyAdded"]),
        ("actor=%3Deve()", ["PolicyAdded"]),
        ("address=10.0.0.66", ["PolicyAdded"]),
        ("noun=policy", ["PolicyRemoved", "PolicyAdded", "PolicyAdded"]),
        ("noun=policy&operation=delete", ["PolicyRemoved"]),
        ("action=ApplicationAdded", ["ApplicationAdded"]),
        ("name=ApplicationAdded&outcome=done", ["ApplicationAdded"]),
        ("q=eves", ["PolicyAdded"]),
        ("noun=policy&order=asc&limit=1", ["PolicyAdded"]),
        ("noun=policy&limit=1&offset=2", ["PolicyAdded"]),
        ("outcome=refused&noun=policy", []),
        ("subject_id=nothing", []),
    ],
)
async def test_the_trail_can_be_asked(trail: Any, api: Api, query: str, names: list[str]) -> None:
    status, body = await api("GET", f"/audit?{query}")
    assert (status, [entry["name"] for entry in body["entries"]]) == (200, names)


async def test_since_is_included_and_until_is_not(trail: list[dict[str, Any]], roci: Roci, api: Api) -> None:
    moment = quote(now().isoformat())
    await roci.write(policies.add, "later", 30, {"type": "any"}, "reject")
    assert (await api("GET", f"/audit?since={moment}"))[1]["total"] == 1
    assert (await api("GET", f"/audit?until={moment}"))[1]["total"] == len(trail)


@pytest.mark.parametrize(
    "query", ["limit=x", "since=yesterday", "order=up", "format=xml", "since=9999-99-99", "limit=0"]
)
async def test_a_bad_question_is_told_so(api: Api, query: str) -> None:
    assert code(await api("GET", f"/audit?{query}")) == (400, "bad_request")


@pytest.mark.parametrize("path", ["/api/v1/audit", "/api/v1/audit/1", "/api/v1/audit?format=csv"])
async def test_nobody_reads_the_trail(anonymous: Client, path: str) -> None:
    assert (await anonymous.get(path)).status_code == 401


async def test_nothing_changes_the_trail(api: Api, trail: list[dict[str, Any]]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await api(method, f"/audit/{trail[0]['seq']}", {}))[0] == 405
        assert (await api(method, "/audit", {}))[0] == 405


async def test_an_export_of_lines_is_what_the_list_says(client: Client, trail: list[dict[str, Any]]) -> None:
    response = await client.get("/api/v1/audit?format=ndjson")
    assert response.content_type == "application/x-ndjson; charset=utf-8"
    lines = (await response.get_data()).splitlines()
    assert [msgspec.json.decode(line) for line in lines] == trail


async def test_an_export_as_csv_runs_no_formula(client: Client, trail: list[dict[str, Any]]) -> None:
    response = await client.get("/api/v1/audit?format=csv&noun=policy&order=asc")
    assert "roci-audit.csv" in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO((await response.get_data()).decode())))
    assert [row["name"] for row in rows] == ["PolicyAdded", "PolicyAdded", "PolicyRemoved"]
    assert rows[1]["actor_name"] == "'=eve()" and msgspec.json.decode(rows[1]["data"])["name"] == "eves"


async def test_a_long_export_is_whole_and_in_order(roci: Roci, client: Client) -> None:
    def many() -> None:
        from roci import emit

        for number in range(1203):
            emit(PolicyAdded(str(number), "p", number, {}, "reject"))

    await roci.write(many)
    for order in ("asc", "desc"):
        response = await client.get(f"/api/v1/audit?format=ndjson&noun=policy&order={order}")
        found = [msgspec.json.decode(line)["data"]["priority"] for line in (await response.get_data()).splitlines()]
        assert found == sorted(range(1203), reverse=order == "desc")
