from __future__ import annotations

import json
from typing import Any

import pytest
from argon2 import PasswordHasher
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.rules import Rule

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
COMPOSE = "services:\n  w:\n    image: nginx\n"
NOBODY = "00000000-0000-4000-8000-000000000000"


class Api:
    """The signed-in client, in the words of the specification."""

    def __init__(self, client: Client, headers: dict[str, str] | None = None, id: str = "") -> None:
        self.client, self.headers, self.id = client, headers or {}, id

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
        options["headers"] = self.headers | options.get("headers", {})
        response = await self.client.open(f"/api/v1{path}", method=method, **options)
        return response.status_code, await response.get_json(force=True)

    async def app(self, name: str = "a1", **fields: Any) -> dict[str, Any]:
        status, body = await self("POST", "/applications", {"name": name, "compose_yaml": COMPOSE, **fields})
        assert status == 201, body
        return dict(body)

    async def policy(self, priority: int = 10, match: Any = None, action: str = "approve") -> dict[str, Any]:
        new = {"name": f"p{priority}", "priority": priority, "match_type": match or {"type": "any"}, "action": action}
        status, body = await self("POST", "/policies", new)
        assert status == 201, body
        return dict(body)


@pytest.fixture
def api(client: Client) -> Api:
    return Api(client)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message"} and body["error"]["message"]
    return status, body["error"]["code"]


class People:
    """Makes people with a bearer token each, and hands out clients that speak for them."""

    def __init__(self, roci: Roci, app: Quart) -> None:
        self.roci, self.app = roci, app

    async def __call__(
        self, name: str, *rules: Rule, space: str | None = None, scopes: list[str] | None = None, password: str = ""
    ) -> Api:
        def write() -> tuple[str, str]:
            hashed = Sensitive(CHEAP.hash(password)) if password else None
            row = principals.find(name) or principals.add(principals.NewPrincipal(name, password_hash=hashed))
            if rules:
                access.add_role(roles.NewRole(f"of-{name}", list(rules)))
                access.bind(name, f"of-{name}", space)
            return row.id, str(credentials.issue(row.id, f"test {len(credentials.tokens())}", scopes)[1])

        id, token = await self.roci.write(write)
        return Api(self.app.test_client(), {"Authorization": f"Bearer {token}"}, id)


@pytest.fixture
def people(roci: Roci, app: Quart) -> People:
    return People(roci, app)
