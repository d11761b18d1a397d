"""The native surface: statuses, shapes, messages (spec/roci.md, checks 1 to 12 and more)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import scripted_agent, until
from roci_plugins.work.operate import Operator
from roci_plugins.work.run import MARK

from .conftest import COMPOSE, NOBODY, Api, code

AGENT = {"id", "hostname", "ip_address", "status", "volume_base", "last_seen", "created_at", "connected"}
APPLICATION = {"id", "name", "description", "status", "agent_id", "created_at", "updated_at"}
POLICY = {"id", "name", "priority", "match_type", "action", "enabled", "created_at"}


async def test_health_needs_nobody_and_has_its_keys(anonymous: Client) -> None:
    lite = await (await anonymous.get("/api/v1/health/lite")).get_json()
    assert lite.keys() == {"status", "version"} and lite["status"] == "ok"
    health = await (await anonymous.get("/api/v1/health")).get_json()
    types = {"status": str, "version": str, "uptime_secs": int, "agents": int, "docker": bool}
    assert all(type(health[key]) is kind for key, kind in types.items())
    assert health["status"] == ("ok" if health["docker"] else "degraded") and health["agents"] == 0


async def test_a_fresh_server_has_no_agents(api: Api) -> None:
    assert await api("GET", "/agents") == (200, {"agents": [], "total": 0})


async def test_a_new_application_is_stopped_and_complete(api: Api) -> None:
    app = await api.app()
    assert app.keys() >= APPLICATION and app["status"] == "stopped" and app["agent_id"] is None
    assert app["created_at"].endswith("Z") and app["compose_yaml"] == COMPOSE
    status, listed = await api("GET", "/applications")
    assert (status, listed["total"]) == (200, 1) and "compose_yaml" not in listed["applications"][0]
    assert await api("GET", f"/applications/{app['id']}") == (200, app)


@pytest.mark.parametrize("name", ["a1", "A1"])
async def test_a_name_is_taken_once_in_whatever_case(api: Api, name: str) -> None:
    await api.app()
    assert code(await api("POST", "/applications", {"name": name, "compose_yaml": COMPOSE})) == (409, "conflict")


@pytest.mark.parametrize(
    "fields, about",
    [
        ({"name": ""}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": 5}, "name"),
        ({"compose_yaml": ""}, "compose_yaml"),
        ({"compose_yaml": "services: {}"}, "compose_yaml"),
        ({"compose_yaml": "services:\n  w: [\n"}, "line 3"),
        ({"compose_yaml": "services:\n  w:\n    image: " + "x" * 262144}, "256 KiB"),
        ({"agent_id": NOBODY}, "agent_id"),
        ({"agent_id": "xyz"}, "agent_id"),
        ({"backend": "magic"}, "backend"),
        ({"backend": "docker", "compose_yaml": "services:\n  w:\n    image: x\n    gpus: all\n"}, "gpus"),
    ],
)
async def test_what_is_wrong_with_an_application_is_named(api: Api, fields: dict[str, Any], about: str) -> None:
    answer = await api("POST", "/applications", {"name": "a1", "compose_yaml": COMPOSE, **fields})
    assert code(answer) == (400, "validation_error") and about in answer[1]["error"]["message"]
    assert (await api("GET", "/applications"))[1]["total"] == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_policy_is_updated(api: Api, method: str) -> None:
    path = f"/policies/{(await api.policy())['id']}"
    status, changed = await api(method, path, {"action": "reject"})
    assert (status, changed["action"]) == (200, "reject")
    assert (await api(method, f"{path}/priority", {"priority": 3}))[1]["message"] == "Priority updated"
    assert (await api("GET", path))[1]["priority"] == 3


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_application_is_updated(api: Api, method: str) -> None:
    app = await api.app()
    changed = {"description": "new", "name": "ignored"}
    status, after = await api(method, f"/applications/{app['id']}", changed)
    assert (status, after["description"], after["name"]) == (200, "new", "a1")
    assert after["updated_at"] > after["created_at"]


async def test_revisions_grow_with_the_file_only(api: Api) -> None:
    app = await api.app()
    path = f"/applications/{app['id']}"
    await api("PUT", path, {"compose_yaml": COMPOSE, "description": "same file"})
    other = COMPOSE.replace("nginx", "caddy")
    assert (await api("PUT", path, {"compose_yaml": other}))[1]["revision"] == 2
    status, found = await api("GET", f"{path}/revisions")
    assert status == 200 and [row["number"] for row in found["revisions"]] == [2, 1]
    assert [row["compose_yaml"] for row in found["revisions"]] == [other, COMPOSE]
    assert [row["current"] for row in found["revisions"]] == [True, False] and found["total"] == 2


async def test_deploying_without_a_host_says_so(api: Api) -> None:
    app = await api.app()
    answer = await api("POST", f"/applications/{app['id']}/deploy", {})
    assert code(answer) == (400, "bad_request") and "no agent" in answer[1]["error"]["message"]
    for absent in (None, ""):
        assert code(await api("POST", f"/applications/{app['id']}/deploy", absent))[0] == 400


WRONG_SECRETS = (
    [{"name": "A"}],
    [{"name": "A", "value": 1}],
    [{"name": "1A", "value": "x"}],
    "A=x",
    [{"name": "A", "value": "x"}] * 2,
)


@pytest.mark.parametrize("secrets", WRONG_SECRETS)
async def test_secrets_that_are_none_are_refused(api: Api, secrets: Any) -> None:
    app = await api.app()
    body = {"agent_id": NOBODY, "secrets": secrets}
    assert code(await api("POST", f"/applications/{app['id']}/deploy", body)) == (400, "validation_error")


async def test_policies_are_listed_by_priority(api: Api) -> None:
    for priority in (30, 10, 20):
        policy = await api.policy(priority)
        assert policy.keys() >= POLICY and policy["enabled"] is True
    _, found = await api("GET", "/policies")
    assert [row["priority"] for row in found["policies"]] == [10, 20, 30] and found["total"] == 3


@pytest.mark.parametrize(
    "fields, about",
    [
        ({"match_type": {"type": "cidr", "network": "10.0.0.0/99"}}, "network"),
        ({"match_type": {"type": "cidr"}}, "network"),
        ({"match_type": {"type": "x"}}, "match_type.type"),
        ({"match_type": {}}, "match_type.type"),
        ({"match_type": {"type": ["any"]}}, "match_type.type"),
        ({"match_type": "any"}, "match_type"),
        ({"action": "allow"}, "action"),
        ({"match_type": {"type": "time_window", "seconds": 0}}, "seconds"),
        ({"match_type": {"type": "time_window", "seconds": True}}, "seconds"),
        ({"match_type": {"type": "reverse_dns", "pattern": ""}}, "pattern"),
        ({"priority": None}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"priority": 2**63}, "priority"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"enabled": 1}, "enabled"),
    ],
)
async def test_what_is_wrong_with_a_policy_is_named(api: Api, fields: dict[str, Any], about: str) -> None:
    new = {"name": "p", "priority": 1, "match_type": {"type": "any"}, "action": "approve", **fields}
    answer = await api("POST", "/policies", new)
    assert code(answer) == (400, "validation_error") and about in answer[1]["error"]["message"]


async def test_a_policy_needs_its_priority(api: Api) -> None:
    answer = await api("POST", "/policies", {"name": "p", "match_type": {"type": "any"}, "action": "approve"})
    assert code(answer) == (400, "validation_error") and "priority: is required" in answer[1]["error"]["message"]


async def test_policies_are_changed_with_the_published_words(api: Api) -> None:
    path = f"/policies/{(await api.policy())['id']}"
    said = [
        ("POST", f"{path}/disable", None, "Policy disabled"),
        ("POST", f"{path}/enable", None, "Policy enabled"),
        ("PUT", f"{path}/priority", {"priority": 5}, "Priority updated"),
        ("POST", "/policies/reload", None, "Policies reloaded"),
    ]
    for method, where, body, message in said:
        assert await api(method, where, body) == (200, {"success": True, "message": message})
    assert (await api("GET", path))[1]["priority"] == 5
    changed = {"match_type": {"type": "cidr", "network": "10.0.0.0/8"}, "action": "reject"}
    assert (await api("PUT", path, changed))[1]["action"] == "reject"
    assert code(await api("PUT", path, {"match_type": {"type": "cidr"}})) == (400, "validation_error")
    assert (await api("PUT", path, {"priority": 7.0}))[1]["priority"] == 7
    assert await api("DELETE", path) == (200, {"success": True, "message": "Policy deleted"})
    assert code(await api("GET", path)) == (404, "not_found")


async def test_a_time_window_says_when_it_closes(api: Api) -> None:
    policy = await api.policy(match={"type": "time_window", "seconds": 60})
    assert policy["window_closes_at"] > policy["created_at"]
    assert (await api.policy())["window_closes_at"] is None


async def test_a_dry_run_explains(api: Api) -> None:
    policy = await api.policy(match={"type": "cidr", "network": "10.9.0.0/16"})
    status, made = await api("POST", "/policies/dry-run", {"ip_address": "10.9.1.1"})
    assert (status, made["action"], made["policy_id"]) == (200, "approve", policy["id"])
    status, made = await api("POST", "/policies/dry-run", {"ip_address": "10.8.1.1", "hostname": "nas"})
    assert made["action"] == "pending" and "10.8.1.1 is outside" in made["trail"][0]["why"]
    assert code(await api("POST", "/policies/dry-run", {"ip_address": "nas"})) == (400, "validation_error")


async def test_an_agent_is_listed_approved_and_deleted(roci: Roci, api: Api) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        status, found = await api("GET", "/agents/pending")
        (row,) = found["agents"]
        assert (status, found["total"], row["connected"]) == (200, 1, True) and row.keys() >= AGENT
        path = f"/agents/{row['id']}"
        assert await api("GET", path) == (200, row)
        assert await api("POST", f"{path}/approve", "") == (200, {"success": True, "message": "Agent approved"})
        assert (await agent.hear())["status"] == "approved"
        assert code(await api("POST", f"{path}/approve")) == (409, "conflict")
        assert code(await api("POST", f"{path}/reject", {"reason": "x"})) == (409, "conflict")
        assert (await api("GET", "/agents/pending"))[1]["total"] == 0
        await agent.say("heartbeat", containers=[{"id": "c1", "name": "x", "image": "y", "status": "running"}])
        await until(lambda: roci.part(Hub).roster[row["id"]].containers)
        shown = (await api("GET", f"{path}/containers"))[1]
        assert shown["current"] is True and shown["containers"][0]["name"] == "x"
        assert await api("DELETE", path) == (200, {"success": True, "message": "Agent deleted"})
    assert code(await api("GET", path)) == (404, "not_found")
    assert code(await api("DELETE", path)) == (404, "not_found")


async def test_a_rejection_keeps_its_reason(roci: Roci, api: Api) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/agents/{agent.agent_id}"
        assert code(await api("POST", f"{path}/reject", {"reason": "x" * 501})) == (400, "validation_error")
        answer = await api("POST", f"{path}/reject", {"reason": "Not authorized"})
        assert answer == (200, {"success": True, "message": "Agent rejected"})
    assert (await api("GET", path))[1]["reject_reason"] == "Not authorized"


async def test_the_containers_of_a_host_that_is_away_are_unknown_never_none(roci: Roci, api: Api) -> None:
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/agents/{agent.agent_id}/containers"
        assert (await api("GET", path))[1]["containers"] is None
        await agent.say("heartbeat", containers=[{"id": "c1", "name": "x"}])
        await until(lambda: roci.part(Hub).roster[agent.agent_id].containers)
    await until(lambda: roci.part(Hub).connected == 0)
    shown = (await api("GET", path))[1]
    assert shown["current"] is False and shown["containers"][0]["id"] == "c1"
    async with scripted_agent(roci) as agent:  # it is back, and has not told yet
        await agent.register("h1")
        assert f"/agents/{agent.agent_id}/containers" == path
        assert (await api("GET", path))[1]["current"] is False
        await agent.say("heartbeat", containers=[])
        await until(lambda: roci.part(Hub).roster[agent.agent_id].containers == [])
        shown = (await api("GET", path))[1]
        assert (shown["current"], shown["containers"]) == (True, [])


async def test_a_deploy_from_end_to_end(roci: Roci, api: Api) -> None:
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/applications/{(await api.app())['id']}"
        body = {"agent_id": agent.agent_id, "secrets": [{"name": "DB_PASSWORD", "value": "supersecret99"}]}
        status, answer = await api("POST", f"{path}/deploy", body)
        assert status == 202 and (answer["success"], answer["message"]) == (True, "Deployment initiated")
        assert (await api("GET", path))[1]["status"] == "deploying"
        assert code(await api("POST", f"{path}/deploy", {})) == (409, "conflict")
        assert code(await api("DELETE", path, {"confirm_name": "a1"})) == (409, "conflict")
        await agent.answer(output="with supersecret99")
        operation = f"/operations/{answer['operation_id']}"
        stream = await api.client.get(f"/api/v1{operation}/output")
        events = (await stream.get_data(as_text=True)).strip().split("\n\n")
        assert events[-1].startswith("event: end") and '"succeeded"' in events[-1]
        shown = (await api("GET", operation))[1]
        assert (shown["status"], shown["output"], shown["actor"]) == ("succeeded", "with ***", "admin")
        app = (await api("GET", path))[1]
        assert (app["status"], app["agent_id"]) == ("running", agent.agent_id)
        assert code(await api("PUT", path, {"compose_yaml": COMPOSE + "#"})) == (409, "conflict")
        assert code(await api("POST", f"{path}/start")) == (409, "conflict")
        status, answer = await api("POST", f"{path}/stop")
        assert (status, answer["message"]) == (200, "Stop command sent")
        await agent.answer()
        await until(lambda: not roci.part(Hub)._dirty)
        status, answer = await api("DELETE", f"{path}?confirm_name=A1")
        assert (status, answer["error"]["code"]) == (400, "validation_error")
        for_sure = await api("DELETE", path, {"confirm_name": "a1"})
        assert for_sure[0] in (200, 409)
    listed = (await api("GET", "/operations?kind=deploy"))[1]
    assert listed["total"] == 1 and "output" not in listed["operations"][0]


async def test_who_comes_back_is_told_the_rest_and_after_a_restart_of_the_server_all(roci: Roci, api: Api) -> None:
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/applications/{(await api.app())['id']}/deploy"
        id = (await api("POST", path, {"agent_id": agent.agent_id}))[1]["operation_id"]
        command = (await agent.hear())["command_id"]
        for seq, data in enumerate(("one\n", "two\n")):
            await agent.say("output", command_id=command, data=data, seq=seq)
        run = roci.part(Operator).run(id)
        await until(lambda: run and run.so_far == "one\ntwo\n")
        assert (
            await _told(api, id, f"{MARK}-0") == f'id: {MARK}-1\nevent: output\ndata: {{"seq":1,"data":"two\\n"}}\n\n'
        )
        for had in ("0123abcd-0", "0", f"{MARK}-", f"{MARK}-{'9' * 5000}"):
            assert "one" in await _told(api, id, had), had


async def _told(api: Api, id: str, had: str) -> str:
    """What is streamed, up to the second piece, to a reader who had this one."""
    told = b""
    async with api.client.request(f"/api/v1/operations/{id}/output", headers={"Last-Event-ID": had}) as connection:
        while b"two" not in told:
            told += await asyncio.wait_for(connection.receive(), 30)
        await connection.disconnect()
    return told.decode()


async def test_a_revision_counts_as_deployed_once_a_deploy_of_it_succeeded(roci: Roci, api: Api) -> None:
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/applications/{(await api.app())['id']}"
        for success in (False, True):
            await api("POST", f"{path}/deploy", {"agent_id": agent.agent_id})
            await agent.answer(success)
            await agent.say("ping")
            await agent.hear()
            app, found = (await api("GET", path))[1], (await api("GET", f"{path}/revisions"))[1]
            assert [row["deployed"] for row in found["revisions"]] == [success]
            assert (app["deployed_revision"], app["deployed_agent_id"]) == (1 if success else None, agent.agent_id)


async def test_an_application_has_not_drifted_to_one_whose_name_it_begins(roci: Roci, api: Api) -> None:
    await api.policy()
    roci.part(Hub).times.paced = False
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/applications/{(await api.app('web'))['id']}"
        await api("POST", f"{path}/deploy", {"agent_id": agent.agent_id})
        await agent.answer()
        for container, drift in [
            ({"name": "web-prod-w-1", "app": "web-prod"}, True),
            ({"name": "web-w-1", "app": "web"}, False),
            ({"name": "web-w-1"}, False),  # an agent that knows nothing of projects
            ({"name": "webs"}, True),
        ]:
            for _ in range(3):
                await agent.say("heartbeat", containers=[{"id": "1", "image": "x", "status": "running", **container}])
            await agent.say("ping")
            await agent.hear()
            app = (await api("GET", path))[1]
            assert (app["drift"], not app["containers"]) == (drift, drift), container


async def test_a_full_disk_is_a_problem_of_health(roci: Roci, api: Api) -> None:
    roci.store._full_at = time.monotonic()
    status, body = await api("GET", "/health")
    assert status == 200 and "disk" in body["problems"] and body["status"] == "degraded"


@pytest.mark.parametrize("left", [[], [{"id": "1", "name": "a1-w-1", "app": "a1", "image": "x", "status": "exited"}]])
async def test_an_application_whose_containers_are_gone_has_drifted_after_three_heartbeats(
    roci: Roci, api: Api, left: list[dict[str, str]]
) -> None:
    await api.policy()
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        path = f"/applications/{(await api.app())['id']}"
        await api("POST", f"{path}/deploy", {"agent_id": agent.agent_id})
        await agent.answer()
        runs = {"id": "1", "name": "a1_w.1.x", "app": "a1", "image": "x", "status": "running"}  # as a swarm names it
        for containers, drift in [([runs], False), (left, False), (left, False), (left, True)]:
            await agent.say("heartbeat", containers=containers)
            await agent.say("ping")
            await agent.hear()
            assert (await api("GET", path))[1]["drift"] is drift


async def test_no_operation_is_ever_pending(app: Quart) -> None:
    document = await (await app.test_client().get("/openapi.json")).get_json()
    statuses = document["components"]["schemas"]["OperationOut"]["properties"]["status"]["enum"]
    assert set(statuses) == {"running", "succeeded", "failed", "cancelled", "timed_out", "interrupted"}


async def test_lists_come_in_pages_with_the_full_count(api: Api) -> None:
    for number in range(5):
        await api.app(f"a{number}")
    _, found = await api("GET", "/applications?limit=2&offset=1")
    assert [row["name"] for row in found["applications"]] == ["a1", "a2"] and found["total"] == 5
    for bad in ("limit=0", "limit=x", "offset=-1", "limit=100000"):
        assert code(await api("GET", f"/applications?{bad}")) == (400, "bad_request")


async def test_a_write_that_another_site_caused_is_refused(api: Api) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
        assert code(await api("POST", "/policies/reload", headers=headers)) == (403, "forbidden")
        assert (await api("GET", "/policies", headers=headers))[0] == 200
    assert (await api("POST", "/policies/reload", headers={"Origin": "http://localhost"}))[0] == 200


HERE = [
    "health",
    "agents",
    "applications",
    "policies",
    "operations",
    "users",
    "me",
    "tokens",
    "roles",
    "bindings",
    "access",
]


async def test_the_seeds_routes_are_all_there(client: Client) -> None:
    table = """
    GET /health  GET /health/lite  GET /agents  GET /agents/pending  GET /agents/<id>  POST /agents/<id>/approve
    POST /agents/<id>/reject  DELETE /agents/<id>  GET /applications  GET /applications/<id>  POST /applications
    PUT /applications/<id>  PATCH /applications/<id>  POST /applications/<id>/deploy  POST /applications/<id>/stop
    POST /applications/<id>/start  DELETE /applications/<id>  GET /policies  GET /policies/<id>  POST /policies
    PUT /policies/<id>/priority  POST /policies/<id>/enable  POST /policies/<id>/disable  DELETE /policies/<id>
    POST /policies/reload  PUT /policies/<id>  PATCH /policies/<id>  PATCH /policies/<id>/priority
    POST /policies/dry-run
    GET /operations  GET /operations/<id>  GET /operations/<id>/output  POST /operations/<id>/cancel
    GET /applications/<id>/revisions  GET /agents/<id>/containers
    """
    people = """
    GET /users  POST /users  GET /users/<id>  PATCH /users/<id>  DELETE /users/<id>  POST /users/<id>/enable
    POST /users/<id>/disable  PUT /users/<id>/password  DELETE /users/<id>/factors  GET /me  PATCH /me
    GET /tokens  POST /tokens  DELETE /tokens/<id>
    GET /roles  POST /roles  GET /roles/<name>  PATCH /roles/<name>  DELETE /roles/<name>
    GET /bindings  POST /bindings  GET /bindings/<binding>  DELETE /bindings/<binding>
    GET /access/explain  GET /access/permissions
    """
    words = f"{table} {people}".split()
    served = {
        (method, rule.rule.removeprefix("/api/v1"))
        for rule in client.app.url_map.iter_rules()
        if rule.endpoint.startswith(tuple(f"native.{nouns}." for nouns in HERE))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == set(zip(words[::2], words[1::2], strict=True))
