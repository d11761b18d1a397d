from __future__ import annotations

import json
from typing import Any, cast

import pytest
import pytest_asyncio
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.auth import logins
from roci_plugins.auth.jwt import Tokens
from roci_plugins.auth.passwords import hashed
from roci_plugins.domain import access, principals
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.surfaces.raworc.system import LASTS

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
        """A new account with these roles, signed in; made below the surface, for that is quicker."""
        roci: Roci = cast(Any, self.client).app.extensions["roci"]
        row = await roci.write(principals.add, NewPrincipal(user, "service", password_hash=Sensitive(HASH)))
        for role, space in roles:
            await roci.write(access.bind, user, role, space)
        return Api(self.client, await token(roci, row))


async def token(roci: Roci, row: Principal) -> str:
    """As a sign-in gives."""
    login = await logins.begin(roci, row, "raworc", LASTS, "127.0.0.1")
    return roci.part(Tokens).mint("raworc", row, login, 3600)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert set(body) == {"error"} and set(body["error"]) == {"message", "code"} and body["error"]["message"]
    return status, body["error"]["code"]


@pytest.fixture
def nobody(anonymous: Client) -> Api:
    return Api(anonymous)


@pytest_asyncio.fixture
async def admin(roci: Roci, nobody: Api) -> Api:
    row = await roci.write(access.add_administrator, NewPrincipal("admin", password_hash=Sensitive(HASH)))
    return Api(nobody.client, await token(roci, row))
