"""Commands and the log of a server: spec/monitoring.md section 6, check 13."""

from __future__ import annotations

import asyncio

import pytest

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import operations
from roci_plugins.domain.hosts import Host
from roci_plugins.surfaces.chatops import runs
from roci_plugins.surfaces.chatops.log_shapes import of_event
from roci_plugins.work.alerts.live import Judge
from roci_plugins.work.presence import Presence

from .conftest import NOBODY, Api, said, wrong

ANSWER = ["command_id", "command", "output", "exit_code", "duration_ms", "success", "error", "truncated"]
ENTRY = ["id", "server_id", "timestamp", "level", "source", "message", "component", "extra_data"]


async def test_a_command_is_waited_for(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    answered = asyncio.create_task(admin("POST", f"/commands/{agent.agent_id}", {"command": "ls -la"}))
    frame = await agent.answer(stdout="total 100\n", stderr="", exit_code=0, duration_ms=150)
    assert (frame["type"], frame["command"], frame.get("timeout_seconds")) == ("exec", "ls -la", 30)
    status, body = await answered
    assert status == 200 and list(body) == ANSWER
    assert body == {
        "command_id": frame["command_id"],
        "command": "ls -la",
        "output": "total 100\n",
        "exit_code": 0,
        "duration_ms": 150,
        "success": True,
        "error": None,
        "truncated": False,
    }
    operation = await roci.read(operations.get, body["command_id"])
    assert (operation.kind, operation.status, operation.host_id) == ("exec", "succeeded", agent.agent_id)


async def test_a_command_that_fails_is_answered_too(admin: Api, agent: ScriptedAgent) -> None:
    answered = asyncio.create_task(
        admin("POST", f"/commands/{agent.agent_id}", {"command": "x", "timeout_seconds": 900})
    )
    frame = await agent.answer(success=False, stdout="half\n", stderr="no such file\n", exit_code=2, truncated=True)
    assert frame["timeout_seconds"] == 900
    status, body = await answered
    assert (status, body["exit_code"], body["success"]) == (200, 2, False)
    assert body["output"] == body["error"] == "half\nno such file\n"
    assert body["truncated"] is True


async def test_a_command_that_takes_too_long_goes_on(
    admin: Api, agent: ScriptedAgent, roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SLACK", -0.9)
    status, body = await admin("POST", f"/commands/{agent.agent_id}", {"command": "sleep 9", "timeout_seconds": 1})
    assert status == 504 and set(body) == {"detail", "command_id"}
    assert (await roci.read(operations.get, body["command_id"])).status == "running"


async def test_the_agents_own_end_of_the_time_is_that_too(admin: Api, agent: ScriptedAgent) -> None:
    answered = asyncio.create_task(admin("POST", f"/commands/{agent.agent_id}", {"command": "sleep 99"}))
    frame = await agent.answer(success=False, exit_code=124, data={"timed_out": True})
    status, body = await answered
    assert (status, body["command_id"]) == (504, frame["command_id"])


async def test_commands_that_cannot_be(admin: Api, agent: ScriptedAgent, host: Host, roci: Roci) -> None:
    path = f"/commands/{agent.agent_id}"
    assert wrong(await admin("GET", f"/logs/{agent.agent_id}?level=loud")) == [["query", "level"]]
    assert wrong(await admin("POST", path, {})) == [["body", "command"]]
    for command in ("", "   ", "a\0b", "x" * 8193, 5):
        assert wrong(await admin("POST", path, {"command": command})) == [["body", "command"]]
    for seconds in (0, 901, "x"):
        body = {"command": "ls", "timeout_seconds": seconds}
        assert wrong(await admin("POST", path, body)) == [["body", "timeout_seconds"]]
    assert wrong(await admin("POST", "/commands/nope", {"command": "ls"})) == [["path", "server_id"]]
    assert said(await admin("POST", f"/commands/{NOBODY}", {"command": "ls"})) == (404, "Server not found")
    assert said(await admin("POST", f"/commands/{host.id}", {"command": "ls"})) == (
        503,
        "Server agent is not connected",
    )
    assert await roci.read(operations.list_, 10) == ([], 0)


async def test_a_host_that_does_not_allow_commands_says_so(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    link = roci.part(Hub).require(agent.agent_id)
    link.capabilities = frozenset({"ack", "logs"})
    status, text = said(await admin("POST", f"/commands/{agent.agent_id}", {"command": "ls"}))
    assert status == 503 and "does not allow exec" in text


# --- the log ---


async def test_a_log_has_what_happened_and_what_was_done(admin: Api, agent: ScriptedAgent) -> None:
    for code in (0, 2):
        asked = asyncio.create_task(admin("POST", f"/commands/{agent.agent_id}", {"command": f"exit {code}"}))
        await agent.answer(success=not code, exit_code=code)
        await asked
    path = f"/logs/{agent.agent_id}"
    entries = await admin.ok("GET", path)
    assert all(list(entry) == ENTRY and entry["server_id"] == agent.agent_id for entry in entries)
    assert [entry["timestamp"] for entry in entries] == sorted((e["timestamp"] for e in entries), reverse=True)
    newest = next(entry for entry in entries if entry["component"] == "exec")
    assert (newest["component"], newest["source"], newest["level"]) == ("exec", "admin", "error")
    assert newest["message"] == "exec: exit 2: failed (2)"
    assert {entry["component"] for entry in entries} == {"exec", "host"}
    assert [e["message"] for e in await admin.ok("GET", f"{path}?level=ERROR")] == [newest["message"]]
    assert len(await admin.ok("GET", f"{path}?component=exec&source=admin")) == 2
    assert len(await admin.ok("GET", f"{path}?component=exec&limit=1")) == 1
    assert await admin.ok("GET", f"{path}?source=nobody") == []
    ids = [entry["id"] for entry in entries]
    assert len(set(ids)) == len(ids) and ids == [entry["id"] for entry in await admin.ok("GET", path)]


async def test_a_log_and_its_socket_tell_of_the_same(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    """Whatever names the host, as severe as it is: also what is about an alert, a key or a connection."""
    id, heard = agent.agent_id, []
    threshold = {"server_id": id, "metric_type": "cpu", "threshold_value": 1, "comparison": "gt"}
    events = roci.subscribe()
    listening = asyncio.ensure_future(anext(events))
    await admin.ok("POST", "/alerts/thresholds", threshold, 201)
    key = await admin.ok("POST", "/api-keys", {"server_id": id}, 201)
    await admin.ok("POST", f"/api-keys/{key['id']}/deactivate")
    await admin.ok("POST", f"/metrics/{id}", {"cpu_percent": 5}, 201)
    await roci.part(Judge).board.flush()
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    await roci.part(Presence).flush()
    while len(heard) < 6:
        event = await asyncio.wait_for(listening, 30)
        listening = asyncio.ensure_future(anext(events))
        if getattr(event, "host_id", None) == id:
            heard.append(of_event(event, id))
    listening.cancel()
    listed = [entry for entry in await admin.ok("GET", f"/logs/{id}") if entry["component"] != "operation"]
    told = {(entry["message"], entry["level"]) for entry in listed}
    assert {(entry["message"], entry["level"]) for entry in heard} <= told
    levels = {entry["extra_data"]["event"]: entry["level"] for entry in listed}
    assert levels["AlertFired"] == "critical" and levels["HostDisconnected"] == "warning"
    assert {"HostConnected", "ThresholdAdded", "HostKeyRevoked"} <= levels.keys()
    assert all(entry["server_id"] == id for entry in listed)
    other = (await admin.ok("POST", "/servers", {"name": "n1"}, 201))["id"]
    assert {entry["extra_data"]["event"] for entry in await admin.ok("GET", f"/logs/{other}")} == {
        "HostAdded",
        "HostCardSet",
    }


async def test_logs_that_cannot_be(admin: Api, host: Host) -> None:
    for limit in ("0", "1001", "x"):
        assert wrong(await admin("GET", f"/logs/{host.id}?limit={limit}")) == [["query", "limit"]]
    assert said(await admin("GET", f"/logs/{NOBODY}")) == (404, "Server not found")
    assert wrong(await admin("GET", "/logs/nope")) == [["path", "server_id"]]


async def test_a_command_is_interrupted_when_its_host_leaves(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    roci.part(Hub).times.grace = 0
    answered = asyncio.create_task(admin("POST", f"/commands/{agent.agent_id}", {"command": "ls"}))
    await agent.hear()
    await agent.hang_up()
    status, body = await answered
    assert status == 503 and body["command_id"]
    await until(lambda: not roci.part(Hub).connected)
