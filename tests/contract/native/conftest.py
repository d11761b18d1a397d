from __future__ import annotations

import json
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

COMPOSE = "services:\n  w:\n    image: nginx\n"
NOBODY = "00000000-0000-4000-8000-000000000000"


class Api:
    """The signed-in client, in the words of the specification."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
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
