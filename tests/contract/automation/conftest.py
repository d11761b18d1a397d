from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import applications, policies

BASE = "/api/automation/v1"
NOBODY = "00000000-0000-4000-8000-000000000000"
CAPABILITIES = ["ack", "cancel", "exec", "container", "reboot", "registry_login", "registry_logout"]
COMPOSE = "services:\n  w:\n    image: nginx\n"


class ShellAgent:
    """A host that really runs `sh -c`, has one container called web, and no engine. `frames` is all it was sent."""

    def __init__(self, agent: ScriptedAgent) -> None:
        self.agent = agent
        self.frames: list[dict[str, Any]] = []
        self.docker_fails = False
        self.unstarted = ""  # why the next command cannot be run
        self._work: set[asyncio.Task[None]] = set()

    @property
    def id(self) -> str:
        return self.agent.agent_id

    def sent(self, type: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == type]

    async def serve(self) -> None:
        with contextlib.suppress(wire.Closed):
            while True:
                try:
                    frame = await self.agent.hear(3600)
                except TimeoutError:
                    continue
                self.frames.append(frame)
                task = asyncio.create_task(self._do(frame))
                self._work.add(task)
                task.add_done_callback(self._work.discard)

    async def _do(self, frame: dict[str, Any]) -> None:
        answer = {
            "exec": self._exec,
            "container": self._container,
            "registry_login": self._docker,
            "registry_logout": self._docker,
            "deploy": self._docker,
        }.get(frame["type"])
        if frame["type"] == "reboot":
            await self.agent.say("ack", command_id=frame["command_id"])
        elif answer:
            with contextlib.suppress(wire.Closed):
                result = {"duration_ms": 1, **await answer(frame)}
                result.setdefault("success", result.get("exit_code") == 0)
                await self.agent.say("result", command_id=frame["command_id"], **result)

    async def _exec(self, frame: dict[str, Any]) -> dict[str, Any]:
        if self.unstarted:
            return {"success": False, "exit_code": 127, "stderr": self.unstarted, "data": {"reason": self.unstarted}}
        program = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            frame["command"],
            cwd=frame.get("working_directory") or "/",
            env={"PATH": os.environ["PATH"], **frame.get("env", {})},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(frame.get("timeout_seconds", 60)):
                out, error = await program.communicate()
        except TimeoutError:
            os.killpg(program.pid, signal.SIGKILL)
            await program.wait()
            return {"success": False, "exit_code": 124, "stderr": "too late", "data": {"timed_out": True}}
        return {"exit_code": program.returncode, "stdout": out.decode(), "stderr": error.decode()}

    async def _container(self, frame: dict[str, Any]) -> dict[str, Any]:
        if frame["container"] == "web":
            return {"exit_code": 0, "stdout": "web\n"}
        return {"exit_code": 1, "stderr": f"there is no container {frame['container']}\n"}

    async def _docker(self, frame: dict[str, Any]) -> dict[str, Any]:
        if self.docker_fails:
            return {"exit_code": 1, "stderr": "docker says no", "output": "docker says no"}
        return {"exit_code": 0, "stdout": "Login Succeeded\n", "output": "done\n"}


class Api:
    """A client with one key, or none, in the words of the specification."""

    def __init__(self, app: Quart, key: str | None, peer: str = "127.0.0.1") -> None:
        self.client, self.peer = app.test_client(), peer
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.response: Any = None

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        options: dict[str, Any] = {}
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = await self.client.open(
            f"{BASE}{path}",
            method=method,
            headers={"Content-Type": "application/json", **self.headers, **named},
            scope_base={"client": (self.peer, 40000)},
            **options,
        )
        assert self.response.mimetype == "application/json", "clients take anything else for text"
        return self.response.status_code, await self.response.get_json()

    async def ok(self, path: str, body: Any) -> dict[str, Any]:
        status, answered = await self("POST", path, body)
        assert status in (200, 202), (status, answered)
        return dict(answered)

    async def ended(self, operation_id: str) -> dict[str, Any]:
        """An operation, when it has ended: asked for again and again, as clients do."""
        async with asyncio.timeout(30):
            while True:
                status, found = await self("GET", f"/operations/{operation_id}")
                assert status == 200, found
                if found["status"] != "running":
                    return dict(found)
                await asyncio.sleep(0.02)


class Native:
    """The administrator, at /api/v1."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        response = await self.client.open(
            f"/api/v1{path}", method=method, **({} if body is None else {"data": json.dumps(body)})
        )
        return response.status_code, await response.get_json()

    async def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, answered = await self(method, path, body)
        assert status in (200, 201), (status, answered)
        return dict(answered)

    async def key(self, **limits: Any) -> dict[str, Any]:
        return await self.ok("POST", "/automation/keys", {"name": "ci", **limits})

    async def credential(self, name: str = "hub", **fields: Any) -> dict[str, Any]:
        new = {"name": name, "registry_type": "ghcr", "username": "me", "secret": "hunter2hunter2", **fields}
        return await self.ok("POST", "/registry-credentials", new)

    async def audit(self, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return list((await self.ok("GET", f"/automation/audit?{asked}"))["entries"])


@pytest.fixture
def native(client: Client) -> Native:
    return Native(client)


@pytest_asyncio.fixture
async def host(roci: Roci) -> AsyncIterator[ShellAgent]:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas", capabilities=CAPABILITIES, protocol=2)
        shell = ShellAgent(agent)
        serving = asyncio.create_task(shell.serve())
        yield shell
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


NewApi = Callable[..., Any]


@pytest.fixture
def with_key(app: Quart, native: Native) -> NewApi:
    """`api = await with_key(allowed_operations=["exec"])`: a client with a new key of the administrator."""

    async def make(peer: str = "127.0.0.1", **limits: Any) -> Api:
        return Api(app, (await native.key(**limits))["key"], peer)

    return make


@pytest_asyncio.fixture
async def api(with_key: NewApi) -> Api:
    made: Api = await with_key(rate_limit_per_minute=1000)
    return made


@pytest_asyncio.fixture
async def application(roci: Roci, host: ShellAgent) -> str:
    row = await roci.write(applications.add, "shop", COMPOSE, "", host.id)
    return str(row.id)


def detail(answer: tuple[int, Any]) -> int:
    """The status of an error, whose body is as clients print it."""
    status, body = answer
    assert set(body) == {"detail"} and isinstance(body["detail"], str) and body["detail"]
    return status


async def gone(host: ShellAgent, roci: Roci) -> None:
    """The host hangs up, and the server has noticed."""
    await host.agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[host.id].is_connected)
