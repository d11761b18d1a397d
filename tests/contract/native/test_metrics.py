"""/agents/{id}/metrics, as clients see it."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from roci import Roci, now
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain.rules import Rule
from roci_plugins.work.metrics import Metrics

from .conftest import NOBODY, Api, People, code

FIELDS = {
    *("timestamp", "cpu_percent", "memory_percent", "disk_usage", "network", "cores", "frequency_mhz", "memory"),
    *("swap", "load", "uptime", "processes", "containers"),
}
SAMPLE: dict[str, Any] = {
    "cpu_percent": 12.5,
    "memory": {"total": 100, "used": 40},
    "disk_usage": [{"path": "/", "total": 100, "used": 60, "free": 40, "percent": 60}],
    "network": [{"interface": "eth0", "bytes_sent": 1, "bytes_recv": 2}],
    "containers": [{"id": "0123456789ab", "name": "web-1", "cpu_percent": 5, "memory_bytes": 100}],
    "processes": [{"pid": 1, "name": "init"}],
}


@pytest_asyncio.fixture
async def agent(roci: Roci, api: Api) -> AsyncIterator[ScriptedAgent]:
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        yield agent


async def told(roci: Roci, agent: ScriptedAgent, **fields: Any) -> None:
    metrics, before = roci.part(Metrics), roci.part(Metrics).latest(agent.agent_id)
    await agent.say("heartbeat", metrics={**SAMPLE, **fields})
    await until(lambda: metrics.latest(agent.agent_id) != before)


async def test_the_latest_sample_is_complete_and_says_whether_it_is_current(
    roci: Roci, api: Api, agent: ScriptedAgent
) -> None:
    path = f"/agents/{agent.agent_id}/metrics"
    assert code(await api("GET", path)) == (404, "not_found")
    await told(roci, agent)
    status, body = await api("GET", path)
    assert status == 200 and (body["agent_id"], body["current"]) == (agent.agent_id, True)
    assert body["metrics"].keys() == FIELDS
    assert body["metrics"]["cpu_percent"] == 12.5 and body["metrics"]["load"] is None
    assert body["metrics"]["memory"] == {"total": 100, "used": 40, "available": None}
    assert body["metrics"]["processes"][0].keys() == {"pid", "name", "cpu", "memory", "status", "user"}
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    assert (await api("GET", path))[1]["current"] is False


async def test_history_is_oldest_first_and_averaged_to_the_limit(roci: Roci, api: Api, agent: ScriptedAgent) -> None:
    path = f"/agents/{agent.agent_id}/metrics/history"
    assert (await api("GET", path))[1] == {"agent_id": agent.agent_id, "metrics": []}
    for number in range(4):
        at = (now() - datetime.timedelta(seconds=40 - 10 * number)).isoformat()
        await told(roci, agent, cpu_percent=number, timestamp=at)
    status, body = await api("GET", path)
    assert status == 200 and [each["cpu_percent"] for each in body["metrics"]] == [0, 1, 2, 3]
    assert body["metrics"][0].keys() == FIELDS and body["metrics"][0]["containers"] == []
    status, body = await api("GET", f"{path}?limit=1")
    assert [each["cpu_percent"] for each in body["metrics"]] == [1.5]
    status, body = await api("GET", f"{path}?end={quote('2020-01-01T00:00:00+02:00')}")
    assert (status, body["metrics"]) == (200, [])


async def test_a_container_has_a_history_by_name_and_by_id(roci: Roci, api: Api, agent: ScriptedAgent) -> None:
    await told(roci, agent)
    for name in ("web-1", "0123456789ab"):
        status, body = await api("GET", f"/agents/{agent.agent_id}/containers/{name}/metrics")
        assert status == 200 and body["container"] == name
        (point,) = body["metrics"]
        assert (point["cpu_percent"], point["memory_bytes"]) == (5, 100) and point["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", (400, "bad_request")),
        ("limit=2001", (400, "bad_request")),
        ("limit=x", (400, "bad_request")),
        ("step=0", (400, "bad_request")),
        ("start=yesterday", (400, "bad_request")),
        ("end=0001-01-01T00:00:00Z", (400, "bad_request")),
        ("start=2024-01-02T00:00:00Z&end=2024-01-01T00:00:00Z", (400, "validation_error")),
        ("start=2024-01-01T00:00:00Z&end=2024-02-01T00:00:00Z&step=1", (400, "validation_error")),
    ],
)
async def test_a_range_that_makes_no_sense_is_refused(
    api: Api, agent: ScriptedAgent, query: str, expected: tuple[int, str]
) -> None:
    assert code(await api("GET", f"/agents/{agent.agent_id}/metrics/history?{query}")) == expected


@pytest.mark.parametrize("path", ["metrics", "metrics/history", "containers/web/metrics"])
async def test_an_agent_that_is_unknown_has_none(api: Api, path: str) -> None:
    assert code(await api("GET", f"/agents/{NOBODY}/{path}")) == (404, "not_found")


async def test_metrics_need_the_permission_on_their_host(
    roci: Roci, api: Api, agent: ScriptedAgent, people: People
) -> None:
    await told(roci, agent)
    allowed = await people("viewer", Rule("metrics.read", f"host/{agent.agent_id}"))
    other = await people("other", Rule("metrics.read", f"host/{NOBODY}"))
    assert (await allowed("GET", f"/agents/{agent.agent_id}/metrics"))[0] == 200
    assert code(await other("GET", f"/agents/{agent.agent_id}/metrics")) == (403, "forbidden")
