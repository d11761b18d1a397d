from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from roci import Roci, now
from roci_plugins.domain import access, hostcards, hostkeys, hosts
from roci_plugins.domain.hosts import Host
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, person, said, wrong

INFO = ["id", "name", "server_id", "created_at", "is_active", "last_used", "expires_at"]


async def made(admin: Api, host: Host, **fields: Any) -> dict[str, Any]:
    return dict(await admin.ok("POST", "/api-keys", {"server_id": host.id, "name": "Production Agent", **fields}, 201))


async def test_a_key_is_shown_once(admin: Api, host: Host, roci: Roci) -> None:
    body = await made(admin, host)
    assert list(body) == [*INFO, "key"] and re.fullmatch(r"chatops_[A-Za-z0-9_-]{43}", body["key"])
    assert (body["name"], body["server_id"], body["is_active"]) == ("Production Agent", host.id, True)
    info = {name: body[name] for name in INFO}
    assert await admin.ok("GET", "/api-keys/me") == [info] == await admin.ok("GET", f"/api-keys/server/{host.id}")
    kept = b"".join(file.read_bytes() for file in roci.settings.data.iterdir() if file.is_file())
    assert body["key"].encode() not in kept


async def test_a_key_is_told_what_it_is(admin: Api, nobody: Api, host: Host) -> None:
    body = await made(admin, host)
    agent = Api(nobody.client, key=body["key"])
    told = await agent.ok("GET", "/api-keys/me")
    assert told == {"server_id": host.id, "key_id": body["id"], "name": "Production Agent", "is_active": True}
    assert said(await Api(nobody.client, key="chatops_wrong")("GET", "/api-keys/me"))[0] == 401
    assert said(await Api(nobody.client, key="wrong")("GET", "/api-keys/me"))[0] == 401


async def test_a_key_reaches_its_own_host_only(admin: Api, nobody: Api, host: Host, roci: Roci) -> None:
    other = await roci.write(lambda: hostcards.add("pi").host)
    proven = await roci.read(hostkeys.verify, (await made(admin, host, name="admin"))["key"])
    assert proven is not None
    for action in ("hosts.read", "metrics.write"):
        assert roci.may(proven.actor, action, hostkeys.resource(host.id))
        assert not roci.may(proven.actor, action, hostkeys.resource(other.id)) and not roci.may(proven.actor, action)
    assert not roci.may(proven.actor, "hosts.remove", hostkeys.resource(host.id))
    agent = Api(nobody.client, key=(await made(admin, host, name="admin"))["key"])
    assert said(await agent("GET", f"/api-keys/server/{host.id}"))[0] == 403
    assert said(await agent("GET", "/auth/me")) == (403, "the key of a host is not for this")


async def test_a_key_that_is_switched_off_is_nothing_at_once(admin: Api, nobody: Api, host: Host) -> None:
    body = await made(admin, host)
    agent = Api(nobody.client, key=body["key"])
    await agent.ok("GET", "/api-keys/me")
    off = await admin.ok("POST", f"/api-keys/{body['id']}/deactivate")
    assert off["is_active"] is False and off["last_used"] is not None
    assert said(await agent("GET", "/api-keys/me"))[0] == 401
    assert await admin.ok("POST", f"/api-keys/{body['id']}/deactivate") == off
    assert await admin.ok("GET", f"/api-keys/server/{host.id}?active_only=true") == []
    assert len(await admin.ok("GET", f"/api-keys/server/{host.id}")) == 1


async def test_a_removed_key_is_gone(admin: Api, nobody: Api, host: Host) -> None:
    body = await made(admin, host)
    agent = Api(nobody.client, key=body["key"])
    await agent.ok("GET", "/api-keys/me")
    assert await admin("DELETE", f"/api-keys/{body['id']}") == (204, None)
    assert said(await agent("GET", "/api-keys/me"))[0] == 401
    assert said(await admin("DELETE", f"/api-keys/{body['id']}"))[0] == 404


async def test_a_key_ends_when_it_says(admin: Api, host: Host, roci: Roci) -> None:
    soon = now() + datetime.timedelta(days=1)
    body = await made(admin, host, expires_at=soon.isoformat())
    assert body["expires_at"].startswith(soon.isoformat()[:19]) and body["is_active"]
    ended = hostkeys.HostKey.update(expires_at=now()).where(hostkeys.HostKey.id == body["id"])
    await roci.write(ended.execute)
    assert await roci.read(hostkeys.verify, body["key"]) is None
    assert (await admin.ok("GET", "/api-keys/me"))[0]["is_active"] is False


async def test_keys_go_with_their_host(admin: Api, nobody: Api, host: Host, roci: Roci) -> None:
    agent = Api(nobody.client, key=(await made(admin, host))["key"])
    await agent.ok("GET", "/api-keys/me")
    await roci.write(hosts.remove, host.id)
    assert said(await agent("GET", "/api-keys/me"))[0] == 401
    assert said(await admin("GET", f"/api-keys/server/{host.id}"))[0] == 404


FOR_PEOPLE = [
    "/rootcx/api/v1/users",
    "/rootcx/api/v1/roles",
    "/rootcx/api/v1/permissions",
    "/api/v0/auth/me",
    "/account",
]
FOR_PEOPLE += ["/api/v1/me", "/api/v1/tokens", "/api/v1/access/permissions", "/api/v1/secrets"]


@pytest.mark.parametrize("path", FOR_PEOPLE)
async def test_a_key_opens_nothing_that_is_for_everybody_who_signs_in(
    admin: Api, nobody: Api, host: Host, path: str
) -> None:
    agent = Api(nobody.client, key=(await made(admin, host))["key"])
    response = await nobody.client.get(path, headers=agent.headers)
    assert response.status_code == 403


async def test_a_key_that_cannot_be(admin: Api, host: Host) -> None:
    assert wrong(await admin("POST", "/api-keys", {})) == [["body", "server_id"]]
    assert wrong(await admin("POST", "/api-keys", {"server_id": "x"})) == [["body", "server_id"]]
    assert wrong(await admin("POST", "/api-keys", {"server_id": host.id, "name": 5})) == [["body", "name"]]
    past = {"server_id": host.id, "expires_at": "2020-01-01T00:00:00Z"}
    assert wrong(await admin("POST", "/api-keys", past)) == [["body", "expires_at"]]
    assert wrong(await admin("POST", "/api-keys", past | {"expires_at": "soon"})) == [["body", "expires_at"]]
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        assert wrong(await admin("POST", "/api-keys", past | {"expires_at": text})) == [["body", "expires_at"]]
    assert said(await admin("POST", "/api-keys", {"server_id": NOBODY})) == (404, "Server not found")
    assert wrong(await admin("POST", "/api-keys", "{")) == [["body", 0]]
    assert wrong(await admin("GET", "/api-keys/server/nope")) == [["path", "server_id"]]
    of_host = f"/api-keys/server/{host.id}"
    assert wrong(await admin("GET", f"{of_host}?active_only=maybe")) == [["query", "active_only"]]
    assert wrong(await admin("DELETE", "/api-keys/nope")) == [["path", "key_id"]]


async def test_who_may_not_make_keys_does_not(admin: Api, nobody: Api, host: Host, roci: Roci) -> None:
    await person(roci, "bob")
    bob = await nobody.as_("bob")
    key = await made(admin, host)
    for method, path, body in (
        ("POST", "/api-keys", {"server_id": host.id}),
        ("GET", f"/api-keys/server/{host.id}", None),
        ("POST", f"/api-keys/{key['id']}/deactivate", None),
        ("DELETE", f"/api-keys/{key['id']}", None),
        ("DELETE", f"/api-keys/{NOBODY}", None),
    ):
        assert said(await bob(method, path, body)) == (403, "Not enough permissions")
    assert await bob.ok("GET", "/api-keys/me") == []


async def test_the_right_for_one_host_is_for_that_host(admin: Api, nobody: Api, host: Host, roci: Roci) -> None:
    await person(roci, "bob")
    rule = Rule("hostkeys.*", hostkeys.resource(host.id))
    await roci.write(access.add_role, NewRole("keys-of-nas", [rule]))
    await roci.write(access.bind, "bob", "keys-of-nas")
    other = await roci.write(lambda: hostcards.add("pi").host)
    bob = await nobody.as_("bob")
    key = await made(bob, host)
    assert said(await bob("POST", "/api-keys", {"server_id": other.id}))[0] == 403
    assert await bob("DELETE", f"/api-keys/{key['id']}") == (204, None)
