from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.auth import passwords
from roci_plugins.domain import access, hosts, policies, principals
from roci_plugins.domain.hosts import Host, Introduction
from roci_plugins.domain.principals import NewPrincipal

PASSWORD = "correct horse"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real algorithm, at its cheapest."""
    cheap = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", cheap)
    yield


class Api:
    """A client of this dialect, at the address of its own."""

    def __init__(self, client: Client, token: str | None = None, key: str | None = None) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if key:
            self.headers["X-API-Key"] = key
        self.refresh = ""

    async def __call__(
        self, method: str, path: str, body: Any = None, base: str = "/chatops/api/v1", **options: Any
    ) -> tuple[int, Any]:
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
        options["headers"] = {**self.headers, **options.get("headers", {})}
        response = await self.client.open(f"{base}{path}", method=method, **options)
        text = await response.get_data(as_text=True)
        return response.status_code, json.loads(text) if text else None

    async def ok(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answered = await self(method, path, body)
        assert answered[0] == status, answered
        return answered[1]

    async def log_in(self, username: str, password: str = PASSWORD) -> tuple[int, Any]:
        return await self("POST", "/auth/login", form={"username": username, "password": password})

    async def as_(self, username: str, password: str = PASSWORD) -> Api:
        status, body = await self.log_in(username, password)
        assert status == 200, body
        signed_in = Api(self.client, body["access_token"])
        signed_in.refresh = body["refresh_token"]
        return signed_in


def said(answer: tuple[int, Any]) -> tuple[int, str]:
    """Status and text of an error."""
    status, body = answer
    assert set(body) == {"detail"} and isinstance(body["detail"], str), answer
    return status, body["detail"]


def wrong(answer: tuple[int, Any]) -> list[list[Any]]:
    """Where a 422 says that something is wrong."""
    status, body = answer
    assert status == 422 and set(body) == {"detail"} and body["detail"], answer
    assert all(set(each) == {"loc", "msg", "type"} and each["msg"] and each["type"] for each in body["detail"])
    return [each["loc"] for each in body["detail"]]


async def person(roci: Roci, name: str, administrator: bool = False) -> principals.Principal:
    hashed = passwords.hashed(PASSWORD)
    new = NewPrincipal(name, email=f"{name}@example.org", password_hash=hashed)
    return await roci.write(access.add_administrator if administrator else principals.add, new)


@pytest.fixture
def nobody(anonymous: Client) -> Api:
    return Api(anonymous)


@pytest_asyncio.fixture
async def admin(roci: Roci, nobody: Api) -> Api:
    await person(roci, "admin", administrator=True)
    return await nobody.as_("admin")


@pytest_asyncio.fixture
async def host(roci: Roci) -> Host:
    """A server that was here before and is not connected."""

    def write() -> Host:
        return hosts.decide(
            hosts.add(Introduction("nas", "10.0.0.2", "10.0.0.2", "10.0.0.2")), "approved", None, "test"
        )

    return await roci.write(write)


CONTAINERS = [
    {
        "id": "0123456789ab",
        "name": "web",
        "image": "nginx:1",
        "status": "running",
        "state": "Up 3 minutes",
        "created": "2024-01-01T00:00:00Z",
        "ports": ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "443/tcp"],
    },
    {"id": "ba9876543210", "name": "db", "image": "pg", "status": "Exited (0) 2 days ago", "state": "exited"},
]
CAN = ["metrics", "exec", "container", "logs"]


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    """An approved host that is connected and has told of its containers."""
    await roci.write(policies.add, "all", 10, {"type": "any"}, "approve")
    async with scripted_agent(roci) as connected:
        await connected.register("h1", capabilities=CAN, protocol=2)
        await connected.say("heartbeat", containers=CONTAINERS, running_commands=[])
        live = roci.part(Hub).roster[connected.agent_id]
        await until(lambda: live.reported is not None)
        yield connected
