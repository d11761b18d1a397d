"""Servers: spec/monitoring.md section 3, checks 1, 5, 6."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, alerts, events, hostcards, hostkeys, hosts, policies
from roci_plugins.domain.alerts import Fire
from roci_plugins.domain.hosts import Host, Introduction
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, person, said, wrong

SEED = ["id", "name", "host", "port", "status"]
FIELDS = [*SEED, "health_status", "last_seen", "metadata", "created_at", "updated_at"]


async def made(admin: Api, **fields: Any) -> dict[str, Any]:
    return dict(await admin.ok("POST", "/servers", {"name": "n1", **fields}, 201))


async def test_nobody_sees_servers(nobody: Api) -> None:
    response = await nobody.client.get("/api/v1/servers")
    assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
    assert await response.get_json() == {"detail": "Could not validate credentials"}


async def test_a_server_is_made_before_its_agent_comes(admin: Api, roci: Roci) -> None:
    body = await made(admin, host="192.168.1.101", port=22, metadata={"rack": 3})
    assert list(body) == FIELDS and UUID(body["id"])
    told = {"name": "n1", "host": "192.168.1.101", "port": 22, "status": "unknown", "health_status": "healthy"}
    assert told.items() <= body.items()
    assert (body["last_seen"], body["metadata"]) == (None, {"rack": 3})
    assert await admin.ok("GET", "/servers") == [body] and await admin.ok("GET", f"/servers/{body['id']}") == body
    assert await admin.ok("GET", "/docker/" + body["id"] + "/containers") == []
    assert (await made(admin))["host"] is None
    assert roci.part(Hub).roster == {}


@pytest.mark.parametrize("base", ["/api/v1", "/chatops/api/v1"])
async def test_both_addresses_show_the_same(admin: Api, host: Host, base: str) -> None:
    status, body = await admin("GET", "/servers", base=base)
    assert status == 200 and [each["id"] for each in body] == [host.id]


async def test_a_server_that_cannot_be(admin: Api) -> None:
    assert wrong(await admin("POST", "/servers", {})) == [["body", "name"]]
    for field, value in [("name", ""), ("name", "a\nb"), ("name", 5), ("port", 0), ("port", True), ("port", "22")]:
        assert wrong(await admin("POST", "/servers", {"name": "n", field: value})) == [["body", field]]
    assert wrong(await admin("POST", "/servers", {"name": "n", "metadata": [1]})) == [["body", "metadata"]]
    assert wrong(await admin("POST", "/servers", {"name": "n", "metadata": {"a": "b" * 20_000}})) == [
        ["body", "metadata"]
    ]
    assert wrong(await admin("POST", "/servers", {"name": "n", "host": " "})) == [["body", "host"]]
    assert wrong(await admin("POST", "/servers", "[")) == [["body", 0]]
    assert await admin.ok("GET", "/servers") == []


async def test_approved_hosts_are_servers_and_the_others_are_not(
    admin: Api, host: Host, agent: ScriptedAgent, roci: Roci
) -> None:
    waiting = await roci.write(hosts.add, Introduction("stranger", "10.0.0.3", "10.0.0.3", "10.0.0.3"))
    found = {each["name"]: each for each in await admin.ok("GET", "/servers")}
    assert set(found) == {"nas", "h1"}
    assert (found["nas"]["status"], found["nas"]["host"], found["nas"]["port"]) == ("offline", "10.0.0.2", None)
    assert (found["h1"]["status"], found["h1"]["id"]) == ("online", agent.agent_id)
    assert said(await admin("GET", f"/servers/{waiting.id}")) == (404, "Server not found")
    assert said(await admin("POST", "/api-keys", {"server_id": waiting.id}))[0] == 404
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    assert (await admin.ok("GET", f"/servers/{agent.agent_id}"))["status"] == "offline"


async def test_what_people_note_about_a_server_changes_field_by_field(admin: Api, host: Host, roci: Roci) -> None:
    path = f"/servers/{host.id}"
    assert (await admin.ok("PUT", path, {"name": "storage"}))["name"] == "storage"
    changed = await admin.ok("PUT", path, {"port": 22, "host": "nas.lan", "metadata": {"a": 1}})
    assert [changed[name] for name in SEED[1:4]] == ["storage", "nas.lan", 22]
    assert (await admin.ok("PUT", path, {"host": None, "metadata": None}))["host"] == "10.0.0.2"
    assert await admin.ok("PUT", path, {}) | {"updated_at": ""} == await admin.ok("GET", path) | {"updated_at": ""}
    assert (await roci.read(hosts.get, host.id)).hostname == "nas"
    assert wrong(await admin("PUT", path, {"name": None})) == [["body", "name"]]
    assert said(await admin("PUT", f"/servers/{NOBODY}", {"name": "x"})) == (404, "Server not found")


async def test_a_server_is_removed_with_all_that_is_its_own(admin: Api, host: Host, roci: Roci) -> None:
    await admin.ok("POST", "/api-keys", {"server_id": host.id}, 201)
    await admin.ok("PUT", f"/servers/{host.id}", {"name": "storage"})
    threshold = {"server_id": host.id, "metric_type": "cpu", "threshold_value": 80, "comparison": "gt"}
    await admin.ok("POST", "/alerts/thresholds", threshold, 201)
    await admin.ok("POST", f"/metrics/{host.id}", {"cpu_percent": 5}, 201)
    assert await admin("DELETE", f"/servers/{host.id}") == (204, None)
    assert said(await admin("GET", f"/servers/{host.id}")) == (404, "Server not found")
    assert said(await admin("DELETE", f"/servers/{host.id}"))[0] == 404
    assert await admin.ok("GET", "/alerts/thresholds") == [] == await admin.ok("GET", "/servers")
    assert await admin.ok("GET", "/api-keys/me") == [] and not await roci.read(hostcards.HostCard.select().count)
    assert said(await admin("GET", f"/metrics/{host.id}"))[0] == 404
    named, _ = await roci.read(events.list_, 100, 0, "HostRemoved")
    assert [row.subject_id for row in named] == [host.id]


async def test_ids_that_are_none_are_told_of_after_who_asks(admin: Api, nobody: Api) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/health")):
        assert said(await nobody(method, f"/servers/nope{path}", "{"))[0] == 401
        assert wrong(await admin(method, f"/servers/nope{path}", "{")) == [["path", "server_id"]]


async def test_pages(admin: Api) -> None:
    ids = [(await made(admin, name=f"n{number}"))["id"] for number in range(5)]
    assert [each["id"] for each in await admin.ok("GET", "/servers?skip=1&limit=3")] == ids[1:4]
    assert await admin.ok("GET", "/servers?skip=9") == []
    assert wrong(await admin("GET", "/servers?limit=0")) == [["query", "limit"]]
    assert wrong(await admin("GET", "/servers?limit=x&skip=-1")) == [["query", "skip"], ["query", "limit"]]


async def test_open_alerts_say_how_a_server_is(admin: Api, host: Host, agent: ScriptedAgent, roci: Roci) -> None:
    async def conditions() -> tuple[str, str, str]:
        (mine,) = [each for each in await admin.ok("GET", "/servers") if each["id"] == agent.agent_id]
        one = await admin.ok("GET", f"/servers/{agent.agent_id}")
        health = await admin.ok("POST", f"/servers/{agent.agent_id}/health")
        return mine["health_status"], one["health_status"], health["status"]

    assert await conditions() == ("healthy",) * 3
    for severity in ("info", "warning", "critical"):
        await roci.write(alerts.fire, Fire(agent.agent_id, "cpu", severity, "hot", subject=severity))
        expected = "healthy" if severity == "info" else severity
        assert await conditions() == (expected,) * 3
    health = await admin.ok("POST", f"/servers/{agent.agent_id}/health")
    assert health == {"status": "critical", "message": "3 open alerts"}
    assert (await admin.ok("POST", f"/servers/{host.id}/health"))["status"] == "offline"
    assert (await admin.ok("POST", f"/servers/{(await made(admin))['id']}/health"))["status"] == "unknown"


async def test_an_agent_with_a_key_becomes_the_server_and_leaves_with_the_key(
    admin: Api, nobody: Api, roci: Roci
) -> None:
    server = await made(admin)
    key = await admin.ok("POST", "/api-keys", {"server_id": server["id"]}, 201)
    async with scripted_agent(roci) as agent:
        assert (await agent.register("nas", agent_token=key["key"]))["agent_id"] == server["id"]
        now = await admin.ok("GET", f"/servers/{server['id']}")
        assert (now["status"], now["name"]) == ("online", "n1")
        used = await admin.ok("GET", f"/api-keys/server/{server['id']}")
        assert used[0]["last_used"] is not None
        await admin.ok("POST", f"/api-keys/{key['id']}/deactivate")
        assert await agent.closed() == 4003
    assert said(await Api(nobody.client, key=key["key"])("GET", "/api-keys/me"))[0] == 401


async def test_a_native_list_of_agents_has_no_server_that_never_came(admin: Api, roci: Roci) -> None:
    server = await made(admin)
    native = {"Accept": "application/vnd.roci.v1+json"}
    assert await admin("GET", "/agents", base="/api/v1", headers=native) == (200, {"agents": [], "total": 0})
    _, key = await roci.write(hostkeys.issue, server["id"])
    async with scripted_agent(roci) as agent:
        await agent.register("nas", agent_token=str(key))
        _, body = await admin("GET", "/agents", base="/api/v1", headers=native)
        assert [(each["id"], each["hostname"]) for each in body["agents"]] == [(server["id"], "nas")]


async def test_the_right_for_one_server_is_for_that_server(admin: Api, nobody: Api, host: Host, roci: Roci) -> None:
    await person(roci, "bob")
    rules = [Rule("hosts.*", f"host/{host.id}")]
    await roci.write(access.add_role, NewRole("nas", rules))
    await roci.write(access.bind, "bob", "nas")
    bob, other = await nobody.as_("bob"), await made(admin)
    await bob.ok("GET", f"/servers/{host.id.upper()}")
    await bob.ok("PUT", f"/servers/{host.id}", {"name": "mine"})
    for method, path in (("GET", other["id"]), ("PUT", other["id"]), ("DELETE", other["id"]), ("GET", NOBODY)):
        assert said(await bob(method, f"/servers/{path}", {})) == (403, "Not enough permissions")
    assert said(await bob("POST", "/servers", {"name": "x"}))[0] == 403


async def test_servers_outlive_a_restart(admin: Api, roci: Roci) -> None:
    server = await made(admin, port=22)
    await roci.write(policies.add, "all", 10, {"type": "any"}, "approve")
    hub = Hub(roci)
    await hub.load()
    assert hub.roster == {} and (await admin.ok("GET", "/servers")) == [server]
