"""/api/v1/alerting: alerts, rules and conditions, in this surface's words."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.sample import Sample
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.domain.rules import Rule
from roci_plugins.work.alerts.live import Judge
from roci_plugins.work.metrics import Metrics

from .conftest import NOBODY, Api, People, code

RULE = {"metric_type": "cpu", "threshold_value": 80, "comparison": "gt"}


@pytest_asyncio.fixture
async def host(roci: Roci, api: Api) -> str:
    """The id of a host that was here."""
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        return agent.agent_id


async def heat(roci: Roci, host: str, *cpu: float) -> None:
    for each in cpu:
        roci.part(Metrics).accept(host, Sample(cpu_percent=each))
    await roci.part(Judge).board.flush()


async def add(api: Api, host: str, **more: Any) -> dict[str, Any]:
    status, body = await api("POST", "/alerting/rules", {"agent_id": host, **RULE, **more})
    assert status == 201, body
    return dict(body)


async def test_a_rule_is_made_changed_and_deleted(api: Api, host: str) -> None:
    made = await add(api, host)
    assert made | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "agent_id": host,
        "metric_type": "cpu",
        "threshold_value": 80.0,
        "comparison": "gt",
        "enabled": True,
        "for_seconds": 0,
        "hysteresis": 0.0,
        "created_at": "",
        "updated_at": "",
    }
    path = f"/alerting/rules/{made['id']}"
    assert await api("GET", path) == (200, made)
    status, changed = await api("PATCH", path, {"threshold_value": 90.5, "for_seconds": 60, "enabled": None})
    assert (status, changed["threshold_value"], changed["for_seconds"], changed["enabled"]) == (200, 90.5, 60, True)
    assert changed["updated_at"] > made["updated_at"]
    assert await api("GET", "/alerting/rules") == (200, {"rules": [changed], "total": 1})
    assert await api("DELETE", path) == (200, {"success": True, "message": "Rule deleted"})
    assert await api("GET", "/alerting/rules") == (200, {"rules": [], "total": 0})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric_type", "cpu_usage_percent"),
        ("comparison", "gte"),
        ("threshold_value", "80"),
        ("threshold_value", True),
        ("threshold_value", None),
        ("for_seconds", -1),
        ("for_seconds", 1.5),
        ("hysteresis", -1),
        ("agent_id", "nas"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused_with_the_field(
    api: Api, host: str, field: str, value: Any
) -> None:
    answer = await api("POST", "/alerting/rules", {"agent_id": host, **RULE, field: value})
    assert code(answer) == (400, "validation_error") and field in answer[1]["error"]["message"]
    if field != "agent_id" and value is not None:
        made = await add(api, host)
        answer = await api("PATCH", f"/alerting/rules/{made['id']}", {field: value})
        assert code(answer) == (400, "validation_error") and field in answer[1]["error"]["message"]


async def test_rules_are_listed_for_one_host_and_by_pages(api: Api, host: str) -> None:
    made = [await add(api, host, threshold_value=limit) for limit in (70, 80, 90)]
    status, body = await api("GET", f"/alerting/rules?agent_id={host}&limit=1&offset=1")
    assert (status, body) == (200, {"rules": [made[1]], "total": 3})
    assert (await api("GET", f"/alerting/rules?agent_id={NOBODY}"))[1]["total"] == 0
    assert code(await api("GET", "/alerting/rules?agent_id=nas")) == (400, "bad_request")


async def test_what_is_not_there_is_not_found(api: Api, host: str) -> None:
    assert code(await api("POST", "/alerting/rules", {"agent_id": NOBODY, **RULE})) == (404, "not_found")
    for method, path in (
        ("GET", "rules/{}"),
        ("PUT", "rules/{}"),
        ("DELETE", "rules/{}"),
        ("GET", "alerts/{}"),
        ("POST", "alerts/{}/resolve"),
    ):
        body = {} if method == "PUT" else None
        assert code(await api(method, f"/alerting/{path.format(NOBODY)}", body)) == (404, "not_found")
        assert code(await api(method, f"/alerting/{path.format('x')}", body)) == (400, "bad_request")


async def test_an_alert_is_listed_shown_and_resolved(roci: Roci, api: Api, host: str) -> None:
    made = await add(api, host)
    await heat(roci, host, 81, 130)
    status, body = await api("GET", f"/alerting/alerts?status=active&agent_id={host}")
    (alert,) = body["alerts"]
    assert status == 200 and body["total"] == 1
    assert alert | {"id": "", "created_at": ""} == {
        "id": "",
        "agent_id": host,
        "hostname": "nas",
        "type": "cpu",
        "subject": "",
        "severity": "critical",
        "message": "cpu on nas is 130.0 (threshold: gt 80)",
        "rule_id": made["id"],
        "threshold": 80.0,
        "current_value": 81.0,
        "last_value": 130.0,
        "status": "active",
        "created_at": "",
        "resolved_at": None,
    }
    path = f"/alerting/alerts/{alert['id']}"
    assert await api("GET", path) == (200, alert)
    status, resolved = await api("POST", f"{path}/resolve")
    assert (status, resolved["status"]) == (200, "resolved") and resolved["resolved_at"]
    assert await api("POST", f"{path}/resolve") == (200, resolved)
    assert (await api("GET", "/alerting/alerts?status=active"))[1]["total"] == 0
    assert (await api("GET", "/alerting/alerts?status=resolved"))[1]["alerts"] == [resolved]
    await heat(roci, host, 131)
    assert [each["status"] for each in (await api("GET", "/alerting/alerts"))[1]["alerts"]] == ["active", "resolved"]
    assert code(await api("GET", "/alerting/alerts?status=open")) == (400, "bad_request")


async def test_the_conditions_are_shown_with_their_settings(api: Api) -> None:
    status, body = await api("GET", "/alerting/conditions")
    assert status == 200 and body["total"] == 6
    assert body["conditions"][0] == {
        "type": "host_offline",
        "meaning": "the host is not connected",
        "severity": "critical",
        "enabled": True,
        "ignored_on": [],
        "settings": {"offline_after": 60},
    }


async def test_rights_may_be_for_one_host(roci: Roci, people: People, api: Api, host: str) -> None:
    made = await add(api, host)
    await heat(roci, host, 90)
    alert = (await api("GET", "/alerting/alerts"))[1]["alerts"][0]
    verbs = [("alerts", "read"), ("alerts", "resolve")]
    verbs += [("thresholds", verb) for verb in ("list", "create", "update", "delete")]
    keeper = await people("keeper", *(Rule(f"{noun}.{verb}", f"host/{host}") for noun, verb in verbs))
    stranger = await people("stranger")
    calls: list[tuple[str, str, Any, int]] = [
        ("GET", f"/alerting/alerts?agent_id={host}", None, 200),
        ("GET", f"/alerting/alerts/{alert['id']}", None, 200),
        ("POST", f"/alerting/alerts/{alert['id']}/resolve", None, 200),
        ("GET", f"/alerting/rules?agent_id={host}", None, 200),
        ("GET", f"/alerting/rules/{made['id']}", None, 200),
        ("POST", "/alerting/rules", {"agent_id": host, **RULE}, 201),
        ("PATCH", f"/alerting/rules/{made['id']}", {"enabled": False}, 200),
        ("DELETE", f"/alerting/rules/{made['id']}", None, 200),
    ]
    for method, path, body, _ in calls:
        assert code(await stranger(method, path, body)) == (403, "forbidden")
    for method, path, body, expected in calls:
        assert (await keeper(method, path, body))[0] == expected
    for path in ("/alerting/alerts", "/alerting/rules", f"/alerting/alerts/{NOBODY}", f"/alerting/rules/{NOBODY}"):
        assert code(await keeper("GET", path)) == (403, "forbidden")
    assert code(await keeper("POST", "/alerting/rules", {"agent_id": NOBODY, **RULE})) == (403, "forbidden")


async def test_nobody_sees_anything_without_signing_in(api: Api, anonymous: Any, host: str) -> None:
    nobody = Api(anonymous)
    for path in ("alerts", "rules", "conditions", f"alerts/{NOBODY}", f"rules/{NOBODY}"):
        assert code(await nobody("GET", f"/alerting/{path}")) == (401, "unauthorized")
    assert code(await nobody("POST", "/alerting/rules", {"x": 1})) == (401, "unauthorized")


async def test_a_host_that_is_removed_takes_its_alerts_along(roci: Roci, api: Api, host: str) -> None:
    await add(api, host)
    await heat(roci, host, 90)
    assert (await api("DELETE", f"/agents/{host}"))[0] == 200
    assert host not in roci.part(Hub).roster
    assert (await api("GET", "/alerting/alerts"))[1]["total"] == 0
    assert (await api("GET", "/alerting/rules"))[1]["total"] == 0
