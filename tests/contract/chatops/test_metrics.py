"""Metrics: spec/monitoring.md section 4, checks 7 to 9."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from roci import Roci, Settings, now
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import hostcards
from roci_plugins.domain.hosts import Host
from roci_plugins.work.metrics import Metrics

from .conftest import NOBODY, Api, said, wrong

GIB = 2**30
PORTS = [{"private_port": 80, "type": "tcp"}]
CONTAINERS = [
    {"id": "abc", "name": "web", "image": "nginx", "status": "Up 2 minutes", "state": "running", "ports": PORTS}
]
DISK = {"path": "/", "total": 1000000000, "used": 500000000, "free": 500000000, "percent": 50.0}
NETWORK = {"interface": "eth0", "bytes_sent": 1000000, "bytes_recv": 2000000}
SAMPLE = {"cpu_percent": 45.2, "memory_percent": 62.5, "disk_usage": [DISK], "network": [NETWORK]}
PROCESS = {"pid": 7, "name": "init", "cpu": 1.5, "memory": 0.5, "status": "sleeping", "user": "root"}
NESTED = {
    "cpu": {"usage_percent": 12.5, "cores": 4, "frequency_mhz": 1800.0},
    "memory": {"total_gb": 8.0, "used_gb": 2.0, "available_gb": 6.0, "usage_percent": 25.0},
    "disk": {"total_gb": 100.0, "used_gb": 40.0, "available_gb": 60.0, "usage_percent": 40.0},
    "network": {"bytes_sent": 10, "bytes_recv": 20, "packets_sent": 1, "packets_recv": 2},
    "containers": [],
    "processes": [PROCESS],
}


def at(seconds: float) -> str:
    """A moment of the last hour; a second before now and earlier."""
    return (now() + datetime.timedelta(seconds=seconds)).isoformat()


async def test_there_is_none_before_the_first_sample(admin: Api, host: Host) -> None:
    for path in (f"/metrics/{host.id}", f"/metrics/{host.id}/latest"):
        assert said(await admin("GET", path)) == (404, "No metrics available for this server")
    assert await admin.ok("GET", f"/metrics/{host.id}/history") == []
    for path in ("", "/latest", "/history"):
        assert said(await admin("GET", f"/metrics/{NOBODY}{path}")) == (404, "Server not found")
        assert wrong(await admin("GET", f"/metrics/nope{path}")) == [["path", "server_id"]]


async def test_what_an_agent_beats_is_shown_in_both_shapes(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    sent = {**SAMPLE, "memory": {"total": 8 * GIB, "used": 2 * GIB, "available": 6 * GIB}, "processes": [PROCESS]}
    await agent.say("heartbeat", metrics={**sent, "timestamp": at(0)})
    await until(lambda: roci.part(Metrics).latest(agent.agent_id))
    flat = await admin.ok("GET", f"/metrics/{agent.agent_id}")
    assert list(flat) == ["server_id", *SAMPLE, "timestamp"]
    assert SAMPLE.items() <= flat.items() and flat["server_id"] == agent.agent_id
    nested = await admin.ok("GET", f"/metrics/{agent.agent_id}/latest")
    assert nested == {
        "server_id": agent.agent_id,
        "timestamp": flat["timestamp"],
        "cpu": {"usage_percent": 45.2, "cores": None, "frequency_mhz": None},
        "memory": {"total_gb": 8.0, "used_gb": 2.0, "available_gb": 6.0, "usage_percent": 62.5},
        "disk": {"total_gb": 0.931, "used_gb": 0.466, "available_gb": 0.466, "usage_percent": 50.0},
        "network": {"bytes_sent": 1000000, "bytes_recv": 2000000, "packets_sent": None, "packets_recv": None},
        "containers": [],
        "processes": [PROCESS],
    }
    await agent.hang_up()
    assert await admin.ok("GET", f"/metrics/{agent.agent_id}") == flat, "its timestamp tells"


async def test_samples_are_sent_flat_or_nested(admin: Api, host: Host) -> None:
    done = {"status": "success", "message": "Metrics received"}
    assert await admin.ok("POST", "/metrics", {"server_id": host.id, **SAMPLE, "timestamp": at(-1)}, 201) == done
    assert SAMPLE.items() <= (await admin.ok("GET", f"/metrics/{host.id}")).items()
    assert await admin.ok("POST", f"/metrics/{host.id}", {**NESTED, "timestamp": at(0)}, 201) == done
    shown = await admin.ok("GET", f"/metrics/{host.id}/latest")
    assert shown == {**NESTED, "server_id": host.id, "timestamp": shown["timestamp"]}
    flat = await admin.ok("GET", f"/metrics/{host.id}")
    assert (flat["cpu_percent"], flat["memory_percent"]) == (12.5, 25.0)
    assert flat["disk_usage"] == [
        {"path": "/", "total": 100 * GIB, "used": 40 * GIB, "free": 60 * GIB, "percent": 40.0}
    ]


async def test_values_that_make_no_sense_are_left_out(admin: Api, host: Host) -> None:
    bad: dict[str, Any] = {
        "cpu_percent": -5,
        "memory_percent": 1e30,
        "disk_usage": [{"path": "/"}, DISK, {"total": -1}],
    }
    await admin.ok("POST", f"/metrics/{host.id}", {**bad, "network": [{"interface": 5}], "timestamp": "soon"}, 201)
    shown = await admin.ok("GET", f"/metrics/{host.id}")
    assert (shown["cpu_percent"], shown["memory_percent"]) == (None, None)
    assert (shown["disk_usage"], shown["network"]) == ([DISK], [])
    nested = {"cpu": {"usage_percent": 5}, "memory": {"total_gb": -1, "used_gb": True}, "network": {"a": [1]}}
    await admin.ok("POST", f"/metrics/{host.id}", nested, 201)
    assert (await admin.ok("GET", f"/metrics/{host.id}/latest"))["memory"]["total_gb"] is None
    await admin.ok("POST", f"/metrics/{host.id}", '{"cpu_percent": NaN, "memory_percent": 5}', 201)
    shown = await admin.ok("GET", f"/metrics/{host.id}")
    assert (shown["cpu_percent"], shown["memory_percent"]) == (None, 5)


@pytest.mark.parametrize(
    "sent",
    [
        {"cpu_percent": -5},
        {"memory_percent": 150, "cpu_percent": 1e30},
        {"cpu": {"usage_percent": "x"}},
        {"disk_usage": [{"path": "/", "percent": 95}], "network": []},
        {"disk": {"usage_percent": 91}},
    ],
    ids=range(5),
)
async def test_a_sample_of_which_nothing_makes_sense_is_refused_and_leaves_the_latest(
    admin: Api, host: Host, sent: dict[str, Any]
) -> None:
    await admin.ok("POST", f"/metrics/{host.id}", SAMPLE, 201)
    before = await admin.ok("GET", f"/metrics/{host.id}")
    found = wrong(await admin("POST", f"/metrics/{host.id}", {**sent, "timestamp": at(0)}))
    assert sorted(found) == [["body", name] for name in sorted(sent)]
    assert await admin.ok("GET", f"/metrics/{host.id}") == before


@pytest.mark.parametrize(
    "sent",
    [
        {"disk": {"total_gb": 100, "used_gb": 91}},
        {"disk": {"total_gb": 100, "used_gb": 91, "usage_percent": 91}},
        {"disk_usage": [{"path": "/", "total": 100 * GIB, "used": 91 * GIB, "percent": 91}]},
    ],
    ids=["nested", "nested with percent", "flat"],
)
async def test_what_follows_from_the_rest_need_not_be_sent(admin: Api, host: Host, sent: dict[str, Any]) -> None:
    await admin.ok("POST", f"/metrics/{host.id}", sent, 201)
    (disk,) = (await admin.ok("GET", f"/metrics/{host.id}"))["disk_usage"]
    assert disk == {"path": "/", "total": 100 * GIB, "used": 91 * GIB, "free": 9 * GIB, "percent": 91.0}


async def test_samples_that_cannot_be(admin: Api, host: Host) -> None:
    assert wrong(await admin("POST", "/metrics", SAMPLE)) == [["body", "server_id"]]
    assert wrong(await admin("POST", "/metrics", {"server_id": "x", **SAMPLE})) == [["body", "server_id"]]
    assert wrong(await admin("POST", f"/metrics/{host.id}", {})) == [["body"]]
    assert wrong(await admin("POST", f"/metrics/{host.id}", {"cpu_percent": "x"})) == [["body", "cpu_percent"]]
    assert wrong(await admin("POST", f"/metrics/{host.id}", '{"cpu_percent": NaN}')) == [["body"]]
    assert wrong(await admin("POST", f"/metrics/{host.id}", '{"cpu_percent": NaN')) == [["body", 0]]
    assert wrong(await admin("POST", f"/metrics/{host.id}", {**SAMPLE, "server_id": NOBODY})) == [["body", "server_id"]]
    assert wrong(await admin("POST", "/metrics/nope", SAMPLE)) == [["path", "server_id"]]
    assert said(await admin("POST", "/metrics", {"server_id": NOBODY, **SAMPLE})) == (404, "Server not found")
    assert said(await admin("POST", f"/metrics/{NOBODY}", SAMPLE)) == (404, "Server not found")


async def test_the_key_of_a_host_sends_its_metrics_and_reads_none(admin: Api, nobody: Api, host: Host) -> None:
    other = (await admin.ok("POST", "/servers", {"name": "n1"}, 201))["id"]
    key = await admin.ok("POST", "/api-keys", {"server_id": host.id}, 201)
    sender = Api(nobody.client, key=key["key"])
    await sender.ok("POST", "/metrics", {"server_id": host.id, **SAMPLE}, 201)
    await sender.ok("POST", f"/metrics/{host.id}", SAMPLE, 201)
    await sender.ok("GET", f"/servers/{host.id}")
    assert said(await sender("POST", f"/metrics/{other}", SAMPLE))[0] == 403
    assert said(await sender("POST", "/metrics", {"server_id": other, **SAMPLE}))[0] == 403
    assert said(await sender("GET", f"/metrics/{host.id}"))[0] == 403
    await admin.ok("POST", f"/api-keys/{key['id']}/deactivate")
    assert said(await sender("POST", f"/metrics/{host.id}", SAMPLE))[0] == 401
    assert said(await nobody("POST", "/metrics", {}))[0] == 401


async def test_a_sample_that_is_sent_is_a_heartbeat(admin: Api, roci: Roci) -> None:
    server = (await admin.ok("POST", "/servers", {"name": "n1"}, 201))["id"]
    await admin.ok("POST", f"/metrics/{server}", {**SAMPLE, "containers": CONTAINERS}, 201)
    shown = await admin.ok("GET", f"/servers/{server}")
    assert shown["status"] == "online" and shown["last_seen"] is not None
    assert (await admin.ok("POST", f"/servers/{server}/health"))["status"] == "healthy"
    (web,) = await admin.ok("GET", f"/docker/{server}/containers")
    assert (web["name"], web["state"], web["status"]) == ("web", "running", "Up 2 minutes")
    await admin.ok("POST", f"/metrics/{server}", SAMPLE, 201)
    assert len(await admin.ok("GET", f"/docker/{server}/containers")) == 1, "nothing was said of them"
    assert said(await admin("POST", f"/commands/{server}", {"command": "ls"}))[0] == 503
    await roci.part(Hub).flush()
    assert (await roci.read(hostcards.get, server)).host.containers[0]["name"] == "web"
    roci.part(Hub).roster[server].told_until = 0.0
    assert (await admin.ok("GET", f"/servers/{server}"))["status"] == "offline"


async def ten(admin: Api, host: Host) -> list[str]:
    """Ten samples of the last ten seconds, and when they were."""
    times = [at(number - 10) for number in range(10)]
    for number, moment in enumerate(times):
        sent = {"cpu_percent": number * 10, "network": [{**NETWORK, "bytes_sent": number}], "timestamp": moment}
        await admin.ok("POST", f"/metrics/{host.id}", sent, 201)
    return times


async def test_the_history_is_a_list_with_the_oldest_first(admin: Api, host: Host) -> None:
    times = await ten(admin, host)
    path = f"/metrics/{host.id}/history"
    found = await admin.ok("GET", path)
    assert [each["cpu_percent"] for each in found] == [number * 10.0 for number in range(10)]
    assert all(list(each) == ["server_id", *SAMPLE, "timestamp"] for each in found)
    assert [each["timestamp"] for each in found] == sorted(each["timestamp"] for each in found)
    start, end = times[0].replace("+00:00", "Z"), times[5].replace("+00:00", "Z")
    asked = f"{path}?start={start}&end={end}"
    by_seed = await admin.ok("GET", asked)
    assert [each["cpu_percent"] for each in by_seed][1:5] == [10.0, 20.0, 30.0, 40.0]
    assert await admin.ok("GET", f"{path}?start_time={start}&end_time={end}") == by_seed
    assert await admin.ok("GET", f"{asked}&start_time=2001-01-01&end_time=2001-01-02") == by_seed
    assert await admin.ok("GET", f"{path}?start=2001-01-01T00:00:00&end=2001-01-02T00:00:00%2B02:00") == []


async def test_more_points_than_the_limit_are_averaged(admin: Api, host: Host) -> None:
    times = await ten(admin, host)
    start, end = times[0].replace("+00:00", "Z"), at(0).replace("+00:00", "Z")
    path = f"/metrics/{host.id}/history?start={start}&end={end}"
    few = await admin.ok("GET", f"{path}&limit=5")
    assert 4 <= len(few) <= 5 and few[0]["cpu_percent"] < few[-1]["cpu_percent"]
    assert few[-1]["network"][0]["bytes_sent"] == 9, "of counters the last value"
    (one,) = await admin.ok("GET", f"{path}&limit=1")
    assert one["cpu_percent"] == pytest.approx(45, abs=6)
    assert len(await admin.ok("GET", f"{path}&step=60")) <= 2


WRONG = [
    ("start=soon", "start"),
    ("end=5x", "end"),
    ("end=0001-01-01T00:30:00Z", "end"),
    ("start=0001-01-01T00:00:00%2B23:00", "start"),
    ("end=9999-12-31T23:59:59-14:00", "end"),
    ("start=1700000000", "start"),
    ("end=1e9", "end"),
    ("start_time=x", "start_time"),
    ("limit=0", "limit"),
    ("limit=2001", "limit"),
    ("limit=x", "limit"),
    ("step=0", "step"),
    ("step=-1", "step"),
    ("start=2024-01-02T00:00:00Z&end=2024-01-01T00:00:00Z", "start"),
    ("start=2024-01-01T00:00:00Z&end=2024-01-31T00:00:00Z&step=1", "step"),
]


async def test_histories_that_cannot_be(admin: Api, host: Host) -> None:
    for query, where in WRONG:
        assert wrong(await admin("GET", f"/metrics/{host.id}/history?{query}")) == [["query", where]], query


async def test_the_history_outlives_a_restart(settings: Settings) -> None:
    from roci_plugins.agent.sample import Sample

    first = Roci(settings)
    async with first.running():
        made = await first.write(hostcards.add, "n1")
        first.part(Metrics).accept(made.host.id, Sample(cpu_percent=5.0))
    second = Roci(settings)
    async with second.running():
        since = now() - datetime.timedelta(hours=1)
        (found,) = await second.part(Metrics).history(made.host.id, since, now())
        assert found.cpu_percent == 5.0
