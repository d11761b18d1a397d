"""The agent that this dialect's first product came with: spec/monitoring.md section 5."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from quart.testing import connections
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import until
from roci_plugins.domain import hostkeys

from .conftest import Api, said

if not hasattr(connections, "WebsocketDisconnectError"):
    pytest.skip("the test client of this Quart does not tell how a websocket was closed", allow_module_level=True)

from .test_sockets import Stream

CONTAINER = {
    "id": "0123456789ab",
    "name": "web",
    "image": "nginx:1",
    "status": "Up 3 minutes",
    "state": "running",
    "created": "2024-01-01T00:00:00Z",
    "ports": [{"private_port": 80, "public_port": 8080, "type": "tcp"}, {"private_port": 443, "type": "tcp"}],
}
DATA = {
    "timestamp": "2024-01-01T00:00:00Z",
    "cpu": {"usage_percent": 12.5, "cores": 4},
    "memory": {"total_gb": 8.0, "used_gb": 2.0, "available_gb": 6.0, "usage_percent": 25.0},
    "containers": [CONTAINER],
    "processes": [],
}


@asynccontextmanager
async def socket(client: Client) -> AsyncIterator[Stream]:
    async with client.websocket("/api/v1/agents/ws") as connection:
        yield Stream(connection)


@asynccontextmanager
async def let_in(admin: Api) -> AsyncIterator[tuple[Stream, str, dict[str, Any]]]:
    """Its stream, the server and the key it came by."""
    server = (await admin.ok("POST", "/servers", {"name": "n1"}, 201))["id"]
    key = await admin.ok("POST", "/api-keys", {"server_id": server}, 201)
    async with socket(admin.client) as agent:
        await agent.say(type="auth", api_key=key["key"])
        told = await agent.hear()
        assert (told["type"], told["server_id"]) == ("auth_success", server)
        yield agent, server, key


async def test_it_comes_in_by_its_key_and_leaves_with_it(admin: Api, roci: Roci) -> None:
    async with let_in(admin) as (agent, server, key):
        assert (await admin.ok("GET", f"/servers/{server}"))["status"] == "online"
        await agent.say(type="ping")
        assert await agent.hear() == {"type": "pong"}
        await roci.write(hostkeys.deactivate, key["id"])
        assert await agent.closed() == 1008
    await until(lambda: not roci.part(Hub).connected)


async def test_who_has_no_key_is_let_go(admin: Api) -> None:
    for frame in ({}, {"type": "auth"}, {"type": "auth", "api_key": "chatops_wrong"}, {"type": "auth", "api_key": "x"}):
        async with socket(admin.client) as agent:
            await agent.say(**frame)
            assert await agent.closed() == 1008


async def test_a_newer_connection_takes_its_place_and_stays(admin: Api, roci: Roci) -> None:
    async with let_in(admin) as (old, server, key), socket(admin.client) as new:
        await new.say(type="auth", api_key=key["key"])
        assert (await new.hear())["type"] == "auth_success"
        assert await old.closed() == 4009
        assert (await admin.ok("GET", f"/servers/{server}"))["status"] == "online"
        await new.say(type="ping")
        assert await new.hear() == {"type": "pong"}


async def test_its_metrics_and_containers_are_taken_in(admin: Api) -> None:
    async with let_in(admin) as (agent, server, _):
        await agent.say(type="metrics", data={**DATA, "server_id": server})
        assert await agent.hear() == {"type": "metrics_received"}
        await agent.say(type="ping")
        await agent.hear()
        latest = await admin.ok("GET", f"/metrics/{server}/latest")
        assert (latest["cpu"]["usage_percent"], latest["memory"]) == (12.5, DATA["memory"])
        assert await admin.ok("GET", f"/docker/{server}/containers") == [CONTAINER]
        for odd in ({"type": "metrics", "data": {"cpu": 5, "containers": [7, {}]}}, {"type": "metrics"}, {"type": "?"}):
            await agent.say(**odd)
        await agent.say(type="ping")
        assert [await agent.hear() for _ in range(3)][-1] == {"type": "pong"}


@pytest.mark.parametrize("code", [0, 2])
async def test_it_runs_commands(admin: Api, code: int) -> None:
    async with let_in(admin) as (agent, server, _):
        asked = asyncio.create_task(admin("POST", f"/commands/{server}", {"command": "ls"}))
        frame = await agent.hear()
        assert frame == {"type": "execute_command", "command": "ls", "request_id": frame["request_id"]}
        data = {"output": "out\n", "exit_code": code}
        await agent.say(type="command_result", request_id=frame["request_id"], data=data)
        status, body = await asked
        assert (status, body["output"], body["exit_code"], body["success"]) == (200, "out\n", code, not code)


async def test_it_controls_containers_and_reads_their_logs(admin: Api) -> None:
    async with let_in(admin) as (agent, server, _):
        path = f"/docker/{server}/containers/web"
        for verb, done in (("start", "started"), ("stop", "stopped"), ("restart", "restarted")):
            asked = asyncio.create_task(admin("POST", f"{path}/{verb}"))
            frame = await agent.hear()
            assert (frame["type"], frame["container_id"]) == (f"{verb}_container", "web")
            await agent.say(type=f"container_{done}", request_id=frame["request_id"])
            assert (await asked)[0] == 200
        asked = asyncio.create_task(admin("POST", f"{path}/stop"))
        await agent.say(type="error", request_id=(await agent.hear())["request_id"], message="no")
        assert said(await asked) == (500, "no")
        asked = asyncio.create_task(admin("POST", f"{path}/stop"))
        words = "Error response from daemon: No such container: web"
        await agent.say(type="error", request_id=(await agent.hear())["request_id"], message=words)
        assert said(await asked) == (404, "Container not found: web")
        asked = asyncio.create_task(admin("GET", f"{path}/logs?tail=2"))
        frame = await agent.hear()
        assert (frame["type"], frame["tail"]) == ("get_container_logs", 2)
        await agent.say(type="container_logs", request_id=frame["request_id"], data={"logs": ["a", "b"]})
        assert await asked == (200, ["a", "b"])


async def test_what_it_cannot_do_is_answered_at_once(admin: Api) -> None:
    async with let_in(admin) as (_, server, _):
        native = {"Accept": "application/vnd.roci.v1+json"}
        path = f"/agents/{server}/containers/web/pause?wait=20"
        status, body = await admin("POST", path, {}, base="/api/v1", headers=native)
        assert status in (200, 202), body
        operation = body.get("operation_id") or body.get("id")

        async def ended() -> dict[str, Any]:
            while True:
                _, found = await admin("GET", f"/operations/{operation}", base="/api/v1", headers=native)
                if found["status"] != "running":
                    return dict(found)

        found = await asyncio.wait_for(ended(), 30)
        assert found["status"] == "failed" and "cannot do this: container" in json.dumps(found)
