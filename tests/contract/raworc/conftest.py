from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_asyncio
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.auth.passwords import hashed
from roci_plugins.domain import access
from roci_plugins.domain.principals import NewPrincipal

PASSWORD = "correct horse"
HASH = hashed(PASSWORD)  # once: it takes its time


class Api:
    """A client of this dialect, in the words of its reference."""

    def __init__(self, client: Client, token: str | None = None) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
        options["headers"] = {**self.headers, **options.get("headers", {})}
        response = await self.client.open(f"/api/v0{path}", method=method, **options)
        return response.status_code, await response.get_json(force=True)

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answered = await self(method, path, body)
        assert status == 200, answered
        return answered

    async def as_(self, user: str, password: str = PASSWORD) -> Api:
        """Whoever signs in."""
        return Api(
            self.client, (await Api(self.client).ok("POST", "/auth/login", {"user": user, "pass": password}))["token"]
        )

    async def account(self, user: str, *roles: tuple[str, str | None]) -> Api:
        """A new account with these roles, signed in."""
        await self.ok("POST", "/service-accounts", {"user": user, "pass": PASSWORD})
        for role, space in roles:
            await self.ok("POST", "/role-bindings", {"subject": user, "role_ref": role, "space": space})
        return await self.as_(user)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert set(body) == {"error"} and set(body["error"]) == {"message", "code"} and body["error"]["message"]
    return status, body["error"]["code"]


@pytest.fixture
def nobody(anonymous: Client) -> Api:
    return Api(anonymous)


@pytest_asyncio.fixture
async def admin(roci: Roci, app: Quart, nobody: Api) -> Api:
    await roci.write(access.add_administrator, NewPrincipal("admin", password_hash=Sensitive(HASH)))
    return await nobody.as_("admin")
