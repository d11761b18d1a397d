"""Where passwords are switched off: for people, in every dialect, and never so that nobody gets in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive, Settings
from roci_plugins.auth import passwords
from roci_plugins.domain import access, factors, principals
from roci_plugins.domain.factors import NewPasskey
from roci_plugins.domain.principals import NewPrincipal

PASSWORD = "Correct h0rse"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real algorithm, at its cheapest."""
    monkeypatch.setattr(passwords, "HASHER", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield


@pytest.fixture
def settings(settings: Settings) -> Settings:
    settings.sections["sign_in"] = {"passwords": False}
    return settings


async def add(roci: Roci, name: str, kind: str = "person") -> principals.Principal:
    hashed = Sensitive(passwords.hashed(PASSWORD))
    return await roci.write(principals.add, NewPrincipal(name, kind, f"{name}@example.org", password_hash=hashed))


async def statuses(anonymous: Client, name: str) -> list[int]:
    """Of the page, RootCX, ChatOps and Raworc."""
    email = f"{name}@example.org"
    found = [
        await anonymous.post("/login", json={"username": name, "password": PASSWORD}),
        await anonymous.post("/rootcx/api/v1/auth/login", json={"email": email, "password": PASSWORD}),
        await anonymous.post("/chatops/api/v1/auth/login", form={"username": name, "password": PASSWORD}),
        await anonymous.post("/api/v0/auth/login", json={"user": name, "pass": PASSWORD}),
    ]
    return [answer.status_code for answer in found]


async def test_people_come_another_way_and_services_as_before(roci: Roci, anonymous: Client) -> None:
    root = await add(roci, "root")
    await roci.write(access.make_administrator, "root")
    assert await statuses(anonymous, "root") == [200, 200, 200, 200], "nobody could sign in without: the switch waits"

    await roci.write(factors.add_passkey, root.id, NewPasskey("key", "localhost", b"id", b"key", 0))
    assert await statuses(anonymous, "root") == [403, 403, 403, 401], "Raworc, which knows services, says no more"
    await add(roci, "robot", "service")
    assert await statuses(anonymous, "robot") == [403, 403, 403, 200]
    page = await (await anonymous.get("/login")).get_data(as_text=True)
    assert 'type="password"' not in page
    mode = json.loads(await (await anonymous.get("/api/v1/auth/mode")).get_data())
    assert mode["passwordLoginEnabled"] is False
    new = {"email": "x@example.org", "password": PASSWORD}
    assert (await anonymous.post("/rootcx/api/v1/auth/register", json=new)).status_code == 403
    assert await roci.read(principals.by_email, "x@example.org") is None
