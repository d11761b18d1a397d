"""Alerts and thresholds: spec/monitoring.md section 7, checks 4 and 14 to 18."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roci import Roci
from roci_plugins.agent.sample import Sample
from roci_plugins.domain import access, alerts
from roci_plugins.domain.alerts import Fire
from roci_plugins.domain.hosts import Host
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.work.metrics import Metrics

from .conftest import NOBODY, Api, person, said, wrong

THRESHOLD = ["id", "server_id", "metric_type", "threshold_value", "comparison", "enabled", "created_at", "updated_at"]
ALERT = ["id", "server_id", "type", "severity", "message", "threshold", "current_value", "resolved"]
ALERT += ["created_at", "resolved_at", "status", "threshold_id"]


def of(host: Host, **fields: Any) -> dict[str, Any]:
    return {"server_id": host.id, "metric_type": "cpu", "threshold_value": 80.0, "comparison": "gt", **fields}


async def added(admin: Api, host: Host, **fields: Any) -> dict[str, Any]:
    return dict(await admin.ok("POST", "/alerts/thresholds", of(host, **fields), 201))


class Watched:
    """A host whose processor is as busy as a test says; and what is raised of it."""

    def __init__(self, roci: Roci, admin: Api, host: Host) -> None:
        self.roci, self.admin, self.host = roci, admin, host

    async def cpu(self, *values: float) -> None:
        for value in values:
            self.roci.part(Metrics).accept(self.host.id, Sample(cpu_percent=value))
        await self.roci.write(lambda: None)  # what the samples led to is written before

    async def alerts(self, query: str = "") -> list[dict[str, Any]]:
        return list(await self.admin.ok("GET", f"/alerts{query}"))

    async def until(self, count: int, query: str = "") -> list[dict[str, Any]]:
        """What there is, once there are so many."""
        found: list[dict[str, Any]] = []

        async def look() -> None:
            nonlocal found
            while len(found := await self.alerts(query)) != count:
                await self.roci.write(lambda: None)

        await asyncio.wait_for(look(), 30)
        return found


@pytest.fixture
def watched(roci: Roci, admin: Api, host: Host) -> Watched:
    return Watched(roci, admin, host)


async def test_who_asks_is_looked_at_before_what_is_asked(admin: Api, nobody: Api) -> None:
    assert said(await nobody("POST", "/alerts/thresholds", {"x": 1}))[0] == 401
    places = wrong(await admin("POST", "/alerts/thresholds", {"x": 1}))
    assert places == [["body", name] for name in ("server_id", "metric_type", "threshold_value", "comparison")]


async def test_a_threshold_is_added_listed_changed_and_removed(admin: Api, host: Host) -> None:
    other = (await admin.ok("POST", "/servers", {"name": "n1"}, 201))["id"]
    made = await added(admin, host)
    assert list(made)[: len(THRESHOLD)] == THRESHOLD
    assert of(host, enabled=True).items() <= made.items()
    assert await admin.ok("GET", "/alerts/thresholds") == [made]
    assert await admin.ok("GET", f"/alerts/thresholds?server_id={host.id}") == [made]
    assert await admin.ok("GET", f"/alerts/thresholds?server_id={other}") == []
    path = f"/alerts/thresholds/{made['id']}"
    changed = await admin.ok("PUT", path, {"threshold_value": 90, "enabled": False})
    assert changed | {"updated_at": ""} == made | {"threshold_value": 90.0, "enabled": False, "updated_at": ""}
    assert await admin("DELETE", path) == (204, None)
    assert said(await admin("DELETE", path)) == (404, "Threshold not found")
    assert said(await admin("PUT", path, {"enabled": True})) == (404, "Threshold not found")


WRONG: list[tuple[str, Any]] = [
    ("comparison", "gte"),
    ("metric_type", "cpu_usage_percent"),
    ("threshold_value", "much"),
    ("threshold_value", None),
    ("enabled", "perhaps"),
    ("for_seconds", -1),
    ("hysteresis", -1),
    ("server_id", "nope"),
]


async def test_thresholds_that_cannot_be(admin: Api, host: Host) -> None:
    made = await added(admin, host)
    for field, value in WRONG:
        assert wrong(await admin("POST", "/alerts/thresholds", of(host, **{field: value}))) == [["body", field]]
        if field != "server_id":
            assert wrong(await admin("PUT", f"/alerts/thresholds/{made['id']}", {field: value})) == [["body", field]]


async def test_servers_that_there_are_not(admin: Api) -> None:
    body = {"server_id": NOBODY, "metric_type": "cpu", "threshold_value": 80, "comparison": "gt"}
    assert said(await admin("POST", "/alerts/thresholds", body)) == (404, "Server not found")
    for path in ("/alerts", "/alerts/thresholds"):
        assert said(await admin("GET", f"{path}?server_id={NOBODY}")) == (404, "Server not found")
        assert wrong(await admin("GET", f"{path}?server_id=nope")) == [["query", "server_id"]]


async def test_ids_of_alerts(admin: Api) -> None:
    for method, path in (("GET", ""), ("POST", "/resolve")):
        assert said(await admin(method, f"/alerts/{NOBODY}{path}")) == (404, "Alert not found")
        assert wrong(await admin(method, f"/alerts/nope{path}")) == [["path", "alert_id"]]
    for method in ("PUT", "DELETE"):
        assert wrong(await admin(method, "/alerts/thresholds/nope", {})) == [["path", "threshold_id"]]


async def test_alerts_are_listed_as_asked(admin: Api, host: Host, roci: Roci) -> None:
    for number in range(3):
        await roci.write(alerts.fire, Fire(host.id, "disk_forecast", "info", "full soon", subject=f"/{number}"))
    newest, _, oldest = await admin.ok("GET", "/alerts")
    assert list(newest)[: len(ALERT)] == ALERT
    assert (newest["type"], newest["subject"], newest["status"]) == ("disk", "/2", "active")
    done = await admin.ok("POST", f"/alerts/{oldest['id']}/resolve")
    assert done["resolved"] and done["resolved_at"] and done["status"] == "resolved"
    assert (
        await admin.ok("POST", f"/alerts/{oldest['id']}/resolve")
        == done
        == await admin.ok("GET", f"/alerts/{oldest['id']}")
    )
    for query, subjects in {
        "status=active": ["/2", "/1"],
        "status=resolved": ["/0"],
        "status=all": ["/2", "/1", "/0"],
        "resolved=false": ["/2", "/1"],
        "resolved=true": ["/0"],
        "skip=1&limit=1": ["/1"],
        f"server_id={host.id}": ["/2", "/1", "/0"],
    }.items():
        assert [each["subject"] for each in await admin.ok("GET", f"/alerts?{query}")] == subjects, query
    for query in ("status=x", "resolved=x", "skip=-1", "limit=0", "limit=1001"):
        assert wrong(await admin("GET", f"/alerts?{query}")) == [["query", query.partition("=")[0]]]


async def test_an_alert_fires_once_and_resolves_by_itself(admin: Api, host: Host, watched: Watched) -> None:
    made = await added(admin, host)
    await watched.cpu(79, 80)
    assert await watched.alerts() == [], "80 does not violate gt 80"
    await watched.cpu(81)
    (alert,) = await watched.until(1)
    assert (alert["type"], alert["severity"], alert["threshold"], alert["current_value"]) == ("cpu", "warning", 80, 81)
    assert (alert["threshold_id"], alert["resolved"], alert["server_id"]) == (made["id"], False, host.id)
    await watched.cpu(95)
    assert [each["id"] for each in await watched.alerts()] == [alert["id"]]
    await watched.cpu(10)
    (resolved,) = await watched.until(1, "?status=resolved")
    assert resolved["resolved_at"] and await watched.alerts("?status=active") == []
    await watched.cpu(130)
    (again,) = await watched.until(1, "?status=active")
    assert again["severity"] == "critical" and again["id"] != alert["id"]


async def test_far_beyond_the_threshold_is_critical(admin: Api, host: Host, watched: Watched) -> None:
    await added(admin, host, threshold_value=50)
    await watched.cpu(80)
    assert (await watched.until(1))[0]["severity"] == "critical"
    await added(admin, host, threshold_value=20, comparison="lt", metric_type="memory")
    watched.roci.part(Metrics).accept(host.id, Sample(cpu_percent=80, memory_percent=5))
    low = next(each for each in await watched.until(2) if each["type"] == "memory")
    assert (low["severity"], low["current_value"]) == ("critical", 5)


async def test_what_is_resolved_by_hand_comes_again_while_it_lasts(admin: Api, host: Host, watched: Watched) -> None:
    await added(admin, host)
    await watched.cpu(90)
    (first,) = await watched.until(1)
    done = await admin.ok("POST", f"/alerts/{first['id']}/resolve")
    await watched.cpu(91)
    second, old = await watched.until(2)
    assert (second["resolved"], old) == (False, done)


async def test_two_thresholds_of_one_metric_do_not_fight(admin: Api, host: Host, watched: Watched) -> None:
    low, _ = await added(admin, host, threshold_value=50), await added(admin, host, threshold_value=90)
    await watched.cpu(60, 60, 60, 60, 60, 60)
    (alert,) = await watched.until(1)
    assert (alert["threshold_id"], alert["resolved"]) == (low["id"], False)
    await admin("DELETE", f"/alerts/thresholds/{low['id']}")
    assert (await admin.ok("GET", f"/alerts/{alert['id']}"))["resolved"]


async def test_a_threshold_that_is_switched_off_raises_nothing(admin: Api, host: Host, watched: Watched) -> None:
    made = await added(admin, host)
    await watched.cpu(90)
    await watched.until(1)
    await admin.ok("PUT", f"/alerts/thresholds/{made['id']}", {"enabled": False})
    assert await watched.alerts("?status=active") == []
    await watched.cpu(95, 99)
    assert len(await watched.alerts()) == 1


async def test_samples_that_are_posted_are_judged_too(admin: Api, host: Host, watched: Watched) -> None:
    await added(admin, host)
    await admin.ok("POST", f"/metrics/{host.id}", {"cpu": {"usage_percent": 99}}, 201)
    assert (await watched.until(1))[0]["current_value"] == 99


async def test_the_right_for_one_server_is_for_its_alerts(admin: Api, nobody: Api, host: Host, roci: Roci) -> None:
    await person(roci, "bob")
    rules = [Rule("alerts.*", f"host/{host.id}"), Rule("thresholds.*", f"host/{host.id}")]
    await roci.write(access.add_role, NewRole("nas", rules))
    await roci.write(access.bind, "bob", "nas")
    bob, other = await nobody.as_("bob"), await admin.ok("POST", "/servers", {"name": "n1"}, 201)
    mine = await added(bob, host)
    theirs = await admin.ok("POST", "/alerts/thresholds", of(host, server_id=other["id"]), 201)
    await roci.write(alerts.fire, Fire(host.id, "cpu", "info", "hot"))
    (alert,) = await bob.ok("GET", f"/alerts?server_id={host.id}")
    await bob.ok("POST", f"/alerts/{alert['id']}/resolve")
    assert await bob("DELETE", f"/alerts/thresholds/{mine['id']}") == (204, None)
    for method, path in (
        ("GET", "/alerts"),
        ("GET", "/alerts/thresholds"),
        ("GET", f"/alerts?server_id={other['id']}"),
        ("PUT", f"/alerts/thresholds/{theirs['id']}"),
        ("DELETE", f"/alerts/thresholds/{theirs['id']}"),
        ("GET", f"/alerts/{NOBODY}"),
    ):
        assert said(await bob(method, path, {})) == (403, "Not enough permissions"), path
    assert said(await bob("POST", "/alerts/thresholds", of(host, server_id=other["id"])))[0] == 403
