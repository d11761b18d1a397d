"""Who is let in, in which order that is decided, and what a refusal leaves behind: a line in the audit trail."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, now
from roci_plugins.agent.scripted import until
from roci_plugins.auth.automation import AutomationKeys
from roci_plugins.domain import access, automation, credentials, events, principals, roles
from roci_plugins.domain.automation import AutomationKey, NewKey
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.rules import Rule
from roci_plugins.work.refusals import flush

from .conftest import BASE, NOBODY, Api, Native, ShellAgent, detail, gone

MADE_UP = "rca_" + "x" * 43


async def refused(roci: Roci) -> list[Any]:
    await flush(roci, everything=True)
    rows, _ = await roci.read(events.list_, 1000, 0, "AttemptRefused")
    return list(rows)


def run(host: ShellAgent, **more: Any) -> dict[str, Any]:
    return {"server_id": host.id, "command": "true", **more}


# --- 401 ---


@pytest.mark.parametrize("header", ["", "Basic eA==", "Bearer", "Bearer ", "Bearer nothing", f"Bearer {MADE_UP}"])
async def test_without_a_key_that_holds_nobody_is_let_in(api: Api, app: Quart, host: ShellAgent, header: str) -> None:
    nobody = Api(app, None)
    answers = [
        await nobody(method, path, {}, **({"Authorization": header} if header else {}))
        for method, path in [("POST", "/exec"), ("POST", "/registry-auth/logout"), ("GET", f"/operations/{NOBODY}")]
    ]
    assert [detail(each) for each in answers] == [401] * 3
    assert len({each[1]["detail"] for each in answers}) == 1, "one text for all causes"
    assert nobody.response.headers["WWW-Authenticate"] == "Bearer"


async def test_keys_that_ended_hear_the_same_as_keys_that_never_were(
    roci: Roci, app: Quart, native: Native, host: ShellAgent
) -> None:
    soon = (now() + datetime.timedelta(hours=1)).isoformat()
    revoked, expiring = await native.key(name="old"), await native.key(name="brief", expires_at=soon)
    api = Api(app, expiring["key"])
    assert (await api("POST", "/exec", run(host)))[0] == 200
    await native.ok("DELETE", f"/automation/keys/{revoked['id']}")
    await roci.write(_expire, expiring["id"])
    roci.part(AutomationKeys).recall.forget()
    words = set()
    for secret in (revoked["key"], expiring["key"], MADE_UP):
        answer = await Api(app, secret)("POST", "/exec", run(host))
        assert detail(answer) == 401
        words.add(answer[1]["detail"])
    assert len(words) == 1
    tried = {row.data["tried"] for row in await refused(roci)}
    assert tried == {f"old ({revoked['key_prefix']}…)", f"brief ({expiring['key_prefix']}…)", ""}


def _expire(id: str) -> None:
    AutomationKey.update(expires_at=now()).where(AutomationKey.id == id).execute()


async def test_the_moment_a_key_expires_counts_even_if_it_was_just_used(
    app: Quart, native: Native, host: ShellAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = now() + datetime.timedelta(hours=1)
    api = Api(app, (await native.key(expires_at=soon.isoformat()))["key"])
    assert (await api("POST", "/exec", run(host)))[0] == 200
    monkeypatch.setattr("roci_plugins.auth.automation.now", lambda: soon)
    assert detail(await api("POST", "/exec", run(host))) == 401


async def test_a_key_dies_with_its_owner(roci: Roci, app: Quart, api: Api, host: ShellAgent) -> None:
    bob = await roci.write(access.add_administrator, NewPrincipal("bob"))
    _, secret = await roci.write(automation.issue, bob.id, NewKey("bobs"))
    his = Api(app, str(secret))
    assert (await his("POST", "/exec", run(host)))[0] == 200
    await roci.write(principals.disable, bob.id)
    assert detail(await his("POST", "/exec", run(host))) == 401
    await roci.write(principals.enable, bob.id)
    assert (await his("POST", "/exec", run(host)))[0] == 200
    await roci.write(principals.remove, bob.id)
    assert detail(await his("POST", "/exec", run(host))) == 401


async def test_cookies_are_for_people(client: Client, host: ShellAgent) -> None:
    response = await client.post(f"{BASE}/exec", json=run(host))
    assert response.status_code == 401 and set(await response.get_json()) == {"detail"}


async def test_the_scheme_is_read_in_any_case(app: Quart, api: Api, host: ShellAgent) -> None:
    shout = api.headers["Authorization"].replace("Bearer", "BEARER")
    assert (await Api(app, None)("POST", "/exec", run(host), Authorization=shout))[0] == 200


async def test_a_key_is_for_this_surface_only(api: Api, app: Quart) -> None:
    for path in ("/api/v1/me", "/api/v1/agents", "/api/v1/automation/keys", "/api/v0/roles"):
        response = await app.test_client().get(path, headers=api.headers)
        assert response.status_code == 401, path


# --- 403: where from ---


async def test_a_key_is_good_from_its_addresses_only(roci: Roci, with_key: Any, host: ShellAgent) -> None:
    api = await with_key(ip_allowlist=["203.0.113.0/24", "2001:db8::/32"])
    forged = {"X_Forwarded_For": "203.0.113.9"}
    assert detail(await api("POST", "/exec", run(host))) == 403
    assert detail(await api("POST", "/exec", run(host), **forged)) == 403
    roci.settings.trusted_proxies = ["127.0.0.1"]
    assert (await api("POST", "/exec", run(host), **forged))[0] == 200
    assert (await api("POST", "/exec", run(host), X_Forwarded_For="2001:DB8::7"))[0] == 200
    assert detail(await api("POST", "/exec", run(host), X_Forwarded_For="203.0.113.9, 198.51.100.1")) == 403
    assert detail(await api("GET", f"/operations/{NOBODY}")) == 403
    rows = await refused(roci)
    assert {row.actor_name for row in rows} == {"admin"} and {row.data["status"] for row in rows} == {403}
    assert all(row.credential and row.via == automation.VIA for row in rows)


async def test_an_address_within_an_ipv6_one_is_that_address(with_key: Any, host: ShellAgent) -> None:
    api = await with_key(peer="::ffff:203.0.113.9", ip_allowlist=["203.0.113.9"])
    assert (await api("POST", "/exec", run(host)))[0] == 200


# --- 429 ---


async def test_the_sixth_request_waits_and_questions_do_not_count(roci: Roci, with_key: Any, host: ShellAgent) -> None:
    api = await with_key(rate_limit_per_minute=5)
    first = await api.ok("/exec", run(host))
    assert api.response.headers["X-RateLimit-Limit"] == "5" and api.response.headers["X-RateLimit-Remaining"] == "4"
    for _ in range(4):
        assert (await api("POST", "/exec", run(host)))[0] == 200
    for _ in range(3):
        assert detail(await api("POST", "/exec", run(host))) == 429
        assert 1 <= int(api.response.headers["Retry-After"]) <= 60
        assert api.response.headers["X-RateLimit-Remaining"] == "0"
    for _ in range(10):
        assert (await api("GET", f"/operations/{first['operation_id']}"))[0] == 200
    assert len(host.sent("exec")) == 5
    (row,) = await refused(roci)
    assert (row.data["status"], row.data["count"], row.actor_name) == (429, 3, "admin")
    roci.part(AutomationKeys).rates.window = 0.1
    await until(lambda: roci.part(AutomationKeys).rates)
    for _ in range(200):
        if (await api("POST", "/exec", run(host)))[0] == 200:
            break
    else:
        raise AssertionError("the window never passed")


async def test_how_often_is_looked_at_before_what_for_and_what_for_before_the_body(with_key: Any) -> None:
    api = await with_key(rate_limit_per_minute=1, allowed_operations=["deploy"])
    assert [detail(await api("POST", "/exec", "{")) for _ in range(2)] == [403, 429]


async def test_questions_have_a_limit_of_their_own(with_key: Any) -> None:
    api = await with_key(rate_limit_per_minute=1)
    statuses = [(await api("GET", f"/operations/{NOBODY}"))[0] for _ in range(11)]
    assert statuses == [404] * 10 + [429]


async def test_whoever_is_elsewhere_cannot_use_up_a_keys_requests(
    roci: Roci, app: Quart, native: Native, host: ShellAgent
) -> None:
    key = (await native.key(rate_limit_per_minute=2, ip_allowlist=["203.0.113.9"]))["key"]
    thief, owner = Api(app, key, "198.51.100.1"), Api(app, key, "203.0.113.9")
    for _ in range(5):
        assert detail(await thief("POST", "/exec", run(host))) == 403
    assert (await owner("POST", "/exec", run(host)))[0] == 200


# --- 403: what for ---


async def test_a_key_is_good_for_its_operations_only(with_key: Any, host: ShellAgent) -> None:
    api = await with_key(allowed_operations=["deploy"])
    assert detail(await api("POST", "/exec", run(host))) == 403
    assert detail(await api("POST", "/exec", "{")) == 403, "before the body is looked at"
    for path in ("/restart", "/reboot", "/registry-auth/login", "/registry-auth/login-direct", "/registry-auth/logout"):
        assert detail(await api("POST", path, {})) == 403
    assert detail(await api("POST", "/deploy", {})) == 422


async def test_servers_out_of_reach_look_like_servers_that_are_not(with_key: Any, host: ShellAgent) -> None:
    api = await with_key(allowed_server_ids=["11111111-1111-4111-8111-111111111111"])
    there, nowhere = (
        await api("POST", "/exec", run(host)),
        await api("POST", "/exec", {**run(host), "server_id": NOBODY}),
    )
    assert detail(there) == detail(nowhere) == 403
    assert there[1] == nowhere[1]
    assert detail(await api("POST", "/exec", {**run(host), "command": ""})) == 422, "the body is looked at before"
    own = await with_key(allowed_server_ids=[host.id.upper()])
    assert (await own("POST", "/exec", run(host)))[0] == 200


async def test_a_server_that_is_not_there_is_not_found(api: Api, host: ShellAgent) -> None:
    for path, body in [
        ("/exec", {"command": "true"}),
        ("/restart", {"container_name": "web"}),
        ("/reboot", {}),
        ("/registry-auth/login", {"credential_id": NOBODY}),
        ("/registry-auth/login-direct", {"registry_url": "ghcr.io", "username": "me", "access_token": "x"}),
        ("/registry-auth/logout", {"registry_url": "ghcr.io"}),
    ]:
        answer = await api("POST", path, {"server_id": NOBODY, **body})
        assert detail(answer) == 404 and answer[1]["detail"] == "Server not found", path


async def test_a_server_that_is_not_connected_is_unavailable(roci: Roci, api: Api, host: ShellAgent) -> None:
    await gone(host, roci)
    answer = await api("POST", "/exec", run(host))
    assert detail(answer) == 503 and "nas" in answer[1]["detail"]


async def test_a_key_does_no_more_than_its_owner_may(roci: Roci, app: Quart, api: Api, host: ShellAgent) -> None:
    def make() -> str:
        bob = principals.add(NewPrincipal("bob"))
        access.add_role(roles.NewRole("runner", [Rule("hosts.exec", f"host/{host.id}")]))
        access.bind("bob", "runner")
        limits = NewKey("bobs", allowed_operations=["exec"], allowed_server_ids=[host.id])
        return str(automation.issue(bob.id, limits)[1])

    bobs = Api(app, await roci.write(make))
    assert (await bobs("POST", "/exec", run(host)))[0] == 200
    assert detail(await bobs("POST", "/restart", {"server_id": host.id, "container_name": "web"})) == 403
    await roci.write(lambda: access.unbind(next(row.id for row in roles.bindings("bob"))))
    assert detail(await bobs("POST", "/exec", run(host))) == 403


# --- a refusal leaves nothing behind ---


async def test_a_request_that_is_sent_again_after_403_does_nothing_twice(
    roci: Roci, with_key: Any, host: ShellAgent, native: Native
) -> None:
    api = await with_key(allowed_operations=["deploy"])
    secret = {"env": {"TOKEN": "verysecret1"}}
    assert detail(await api("POST", "/exec", run(host, **secret))) == 403
    assert detail(await api("GET", "/auth/me/capabilities")) == 404
    assert detail(await api("POST", "/exec", run(host, **secret))) == 403
    assert host.sent("exec") == [] and await native.audit() == []
    rows = await refused(roci)
    assert [row.subject_id for row in rows] == ["hosts.exec"] * 2
    assert all("verysecret1" not in str(row.data) for row in rows)


# --- API tokens ---


async def token_of(roci: Roci, name: str, scopes: list[str] | None, *rules: Rule) -> str:
    def make() -> str:
        row = principals.find(name) or principals.add(NewPrincipal(name))
        if rules:
            access.add_role(roles.NewRole(f"of-{name}", list(rules)))
            access.bind(name, f"of-{name}")
        return str(credentials.issue(row.id, f"t{len(credentials.tokens())}", scopes)[1])

    return await roci.write(make)


async def test_an_api_token_is_a_key_without_limits_of_its_own(roci: Roci, app: Quart, host: ShellAgent) -> None:
    api = Api(app, await token_of(roci, "bob", None, Rule("hosts.exec")))
    done = await api.ok("/exec", run(host))
    assert "X-RateLimit-Limit" not in api.response.headers
    again = Api(app, await token_of(roci, "bob", None))
    assert (await again("GET", f"/operations/{done['operation_id']}"))[0] == 200, "the same principal's"
    assert detail(await api("POST", "/reboot", {"server_id": host.id})) == 403
    narrow = Api(app, await token_of(roci, "bob", ["hosts.read"]))
    assert detail(await narrow("POST", "/exec", "{")) == 403
    alice = Api(app, await token_of(roci, "alice", None, Rule("*")))
    assert detail(await alice("GET", f"/operations/{done['operation_id']}")) == 404


async def test_a_token_for_other_things_is_not_told_of_what_another_has_run(
    roci: Roci, app: Quart, host: ShellAgent
) -> None:
    api = Api(app, await token_of(roci, "bob", None, Rule("*")))
    body = {**run(host), "command": "echo $S", "env": {"S": "verysecret1"}}
    path = f"/operations/{(await api.ok('/exec', body))['operation_id']}"

    async def printed(scopes: list[str] | None) -> str | int:
        other = Api(app, await token_of(roci, "bob", scopes))
        status, found = await other("GET", path)
        return str(found["result"]["stdout"]) if status == 200 else status

    assert [await printed(scopes) for scopes in (["metrics.read"], ["containers.control"], [])] == [404] * 3
    assert [await printed(scopes) for scopes in (["hosts.exec"], ["operations.*"], None)] == ["***\n"] * 3
    assert (await api("GET", path))[1]["result"]["stdout"] == "verysecret1\n", "the token that gave the value"
