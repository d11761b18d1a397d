"""One person, one decision: what a role gives is the same truth in every dialect, for every credential."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.auth import passwords
from roci_plugins.domain import access, credentials, principals, spaces
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

PASSWORD = "Correct h0rse"
NATIVE, ROOTCX, CHATOPS, RAWORC = "/api/v1", "/rootcx/api/v1", "/chatops/api/v1", "/api/v0"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real algorithm, at its cheapest."""
    monkeypatch.setattr(passwords, "HASHER", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield


class Web:
    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(
        self, method: str, path: str, token: str = "", body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        data = None if body is None else json.dumps(body)
        if data is not None:
            options["data"] = data
        response = await self.client.open(path, method=method, headers=headers, **options)
        text = await response.get_data(as_text=True)
        return response.status_code, json.loads(text) if text.startswith(("{", "[")) else text

    async def sign_in(self, name: str, email: str) -> dict[str, str]:
        """The same person's credential in each dialect."""
        rootcx = await self("POST", f"{ROOTCX}/auth/login", body={"email": email, "password": PASSWORD})
        raworc = await self("POST", f"{RAWORC}/auth/login", body={"user": name, "pass": PASSWORD})
        chatops = await self("POST", f"{CHATOPS}/auth/login", form={"username": name, "password": PASSWORD})
        assert (rootcx[0], raworc[0], chatops[0]) == (200, 200, 200)
        return {"rootcx": rootcx[1]["accessToken"], "raworc": raworc[1]["token"], "chatops": chatops[1]["access_token"]}


@pytest.fixture
def web(app: Quart) -> Web:
    return Web(app.test_client())


async def person(roci: Roci, name: str) -> principals.Principal:
    new = NewPrincipal(name, email=f"{name}@example.org", password_hash=Sensitive(passwords.hashed(PASSWORD)))
    return await roci.write(principals.add, new)


async def test_a_role_gives_the_same_through_every_dialect_and_credential(roci: Roci, web: Web) -> None:
    ann = await person(roci, "ann")
    rules = [Rule("roles.list"), Rule("principals.list"), Rule("secrets.*", "space/*")]
    await roci.write(access.add_role, NewRole("keeper", rules))
    await roci.write(access.bind, "ann", "keeper")
    _, token = await roci.write(credentials.issue, ann.id, "script")
    held = {**await web.sign_in("ann", "ann@example.org"), "token": str(token)}
    secret = {"key_name": "KEY", "value": "sesame", "description": None}
    asked = (
        ("GET", f"{NATIVE}/users", None, 200),
        ("GET", f"{RAWORC}/service-accounts", None, 200),
        ("GET", f"{NATIVE}/bindings", None, 403),
        ("GET", f"{RAWORC}/role-bindings", None, 403),
        ("GET", f"{ROOTCX}/roles/assignments", None, 403),
        ("GET", f"{NATIVE}/agents", None, 403),
        ("GET", f"{RAWORC}/roles", None, 200),
        ("GET", f"{ROOTCX}/audit", None, 403),
        ("GET", f"{NATIVE}/audit/1", None, 403),
        ("POST", f"{RAWORC}/spaces", {"name": "x"}, 403),
        ("GET", f"{RAWORC}/spaces/default/secrets", None, 200),
        ("GET", f"{NATIVE}/secrets?scope=space/default", None, 200),
        ("GET", f"{NATIVE}/secrets?scope=platform", None, 403),
        ("GET", f"{ROOTCX}/platform/secrets", None, 403),
    )
    for kind, credential in held.items():
        for method, path, body, expected in asked:
            status, answer = await web(method, path, credential, body)
            assert status == expected, (kind, method, path, answer)
    assert (await web("POST", f"{RAWORC}/spaces/default/secrets", held["raworc"], secret))[0] == 200
    listed = (await web("GET", f"{NATIVE}/secrets?scope=space/default", held["rootcx"]))[1]
    assert [row["name"] for row in listed["secrets"]] == ["KEY"]
    path = f"{NATIVE}/secrets/KEY?scope=space/default&value=true"
    assert (await web("GET", path, held["chatops"]))[1]["value"] == "sesame"


async def test_everybody_is_told_the_same_of_one_person(roci: Roci, web: Web) -> None:
    ann = await person(roci, "ann")
    await roci.write(access.bind, "ann", "base")
    held = await web.sign_in("ann", "ann@example.org")
    assert (await web("GET", f"{ROOTCX}/auth/me", held["raworc"]))[1]["email"] == "ann@example.org"
    assert (await web("GET", f"{CHATOPS}/auth/me", held["rootcx"]))[1]["username"] == "ann"
    assert (await web("GET", f"{RAWORC}/auth/me", held["chatops"]))[1]["user"] == "ann"
    me = (await web("GET", f"{NATIVE}/me", held["raworc"]))[1]
    assert (me["id"], me["name"], me["administrator"]) == (ann.id, "ann", False)
    assert (await web("GET", f"{ROOTCX}/permissions", held["chatops"]))[1] == {"roles": ["base"], "permissions": []}


async def test_a_new_password_and_a_door_that_is_shut_end_every_dialects_tokens(roci: Roci, web: Web) -> None:
    ann = await person(roci, "ann")
    for end in (
        lambda: roci.write(credentials.set_password, ann.id, Sensitive(passwords.hashed(PASSWORD))),
        lambda: roci.write(principals.disable, ann.id),
    ):
        held = await web.sign_in("ann", "ann@example.org")
        for credential in held.values():
            assert (await web("GET", f"{NATIVE}/me", credential))[0] == 200
        await end()
        for credential in held.values():
            assert (await web("GET", f"{NATIVE}/me", credential))[0] == 401


async def test_the_last_administrator_stays_in_every_dialect(roci: Roci, web: Web) -> None:
    root = await person(roci, "root")
    await roci.write(access.make_administrator, "root")
    held = await web.sign_in("root", "root@example.org")
    attempts = (
        ("DELETE", f"{NATIVE}/users/{root.id}", None, 409),
        ("POST", f"{NATIVE}/users/{root.id}/disable", None, 409),
        ("DELETE", f"{NATIVE}/bindings/admin-binding", None, 409),
        ("DELETE", f"{ROOTCX}/users/{root.id}", None, 400),
        ("POST", f"{ROOTCX}/roles/revoke", {"userId": root.id, "role": "admin"}, 400),
        ("DELETE", f"{RAWORC}/service-accounts/{root.id}", None, 409),
        ("PUT", f"{RAWORC}/service-accounts/{root.id}", {"active": False}, 409),
        ("PUT", f"{RAWORC}/service-accounts/{root.id}", {"space": "default"}, 409),
        ("DELETE", f"{RAWORC}/role-bindings/admin-binding", None, 409),
        ("DELETE", f"{RAWORC}/roles/admin", None, 409),
        ("PATCH", f"{ROOTCX}/roles/admin", {"permissions": []}, 400),
    )
    for method, path, body, expected in attempts:
        status, answer = await web(method, path, held["raworc"], body)
        assert status == expected, (method, path, answer)
    after = await roci.read(principals.get, root.id)
    assert after.administrator and not after.disabled and after.space is None


async def test_a_secret_of_a_space_goes_with_it(roci: Roci, web: Web) -> None:
    await person(roci, "root")
    await roci.write(access.make_administrator, "root")
    held = await web.sign_in("root", "root@example.org")
    await roci.write(spaces.add, "lab")
    secret = {"key_name": "KEY", "value": "sesame", "description": None}
    assert (await web("POST", f"{RAWORC}/spaces/lab/secrets", held["raworc"], secret))[0] == 200
    await roci.write(access.bind, "root", "base", "lab")
    assert (await web("DELETE", f"{RAWORC}/spaces/lab", held["chatops"]))[0] == 200
    assert (await web("POST", f"{RAWORC}/spaces", held["raworc"], {"name": "lab"}))[0] == 200
    assert (await web("GET", f"{RAWORC}/spaces/lab/secrets", held["raworc"]))[1] == []
    bindings = (await web("GET", f"{NATIVE}/bindings", held["raworc"]))[1]["bindings"]
    assert [row["space"] for row in bindings] == [None]


async def test_a_bearer_token_that_is_none_is_not_covered_by_a_cookie(client: Client, web: Web) -> None:
    assert (await client.get(f"{NATIVE}/me")).status_code == 200
    for junk in ("junk", "a.b", "a.b.c", "roci_bad", "eyJhbGciOiJub25lIn0.e30."):
        answer = await client.get(f"{NATIVE}/me", headers={"Authorization": f"Bearer {junk}"})
        assert answer.status_code == 401, junk
    proxy = await client.get(f"{NATIVE}/me", headers={"Authorization": "Basic cHJveHk6cHJveHk="})
    assert proxy.status_code == 200, "what a proxy in front asks for is none of ours"
    status, body = await web("GET", f"{RAWORC}/auth/me", "x")
    assert (status, body["error"]["code"]) == (401, "JWT_ERROR")


async def test_a_wrong_method_on_a_public_path_is_told_to_anybody(web: Web) -> None:
    for path in (f"{RAWORC}/auth/login", f"{ROOTCX}/auth/login", f"{CHATOPS}/auth/login"):
        assert (await web("GET", path))[0] == 405, path
    assert (await web("PUT", f"{RAWORC}/spaces"))[0] == 401
