"""Clients that speak this dialect alone, and passwords that cost nothing to check."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.auth import passwords

PASSWORD = "Str0ngPass!x"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real algorithm, at its cheapest."""
    cheap = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", cheap)
    yield


@dataclasses.dataclass
class Api:
    """A client of this dialect. `token` is sent with every request."""

    client: Client
    prefix: str = "/api/v1"
    token: str = ""
    id: str = ""
    refresh: str = ""

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
        headers = {"Accept": "application/vnd.rootcx.v1+json", **options.pop("headers", {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        response = await self.client.open(f"{self.prefix}{path}", method=method, headers=headers, **options)
        return response.status_code, await response.get_json(force=True)

    async def register(self, email: str, **fields: Any) -> tuple[int, Any]:
        return await self("POST", "/auth/register", {"email": email, "password": PASSWORD, **fields})

    async def signed_in(self, email: str) -> Api:
        """Somebody who just registered and signed in."""
        status, body = await self.register(email)
        assert status == 201, body
        return await self.login(email)

    async def login(self, email: str) -> Api:
        status, body = await self("POST", "/auth/login", {"email": email, "password": PASSWORD})
        assert status == 200, body
        return Api(self.client, self.prefix, body["accessToken"], body["user"]["id"], body["refreshToken"])


@pytest.fixture
def nobody(roci: Roci, app: Quart) -> Api:
    return Api(app.test_client())


@pytest.fixture
async def admin(nobody: Api) -> Api:
    """The first to register."""
    return await nobody.signed_in("alice@example.com")


@pytest.fixture
async def bob(nobody: Api, admin: Api) -> Api:
    """The second, who has no role."""
    return await nobody.signed_in("bob@example.com")


def error(answer: tuple[int, Any]) -> tuple[int, str]:
    """The status and text of an error, which says nothing else."""
    status, body = answer
    assert set(body) == {"error"} and isinstance(body["error"], str) and body["error"], body
    return status, body["error"]
