"""/api/v1/users, /me and /tokens: who exists, what proves it, and that nobody gets more than they have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyotp
import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive, Settings, core
from roci_plugins.domain import access, credentials, factors, keyring, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, People, code

PASSWORD = "correct horse battery"
USER = {"id", "name", "kind", "email", "display_name", "description", "administrator", "disabled", "space"}
HELPDESK = (Rule("principals.*"), Rule("tokens.*"))
OPERATOR = Rule("hosts.*")


async def id_of(api: Api, name: str) -> str:
    return next(row["id"] for row in (await api("GET", "/users"))[1]["users"] if row["name"] == name)


async def test_a_person_is_added_changed_disabled_enabled_and_removed(api: Api) -> None:
    status, ann = await api("POST", "/users", {"name": "ann", "email": "Ann@Example.org", "display_name": "Ann"})
    assert status == 201 and ann.keys() >= USER and ann["email"] == "ann@example.org" and not ann["has_password"]
    path = f"/users/{ann['id']}"
    changed = {"display_name": "Ann B.", "description": None}
    assert (await api("PATCH", path, changed)) == (200, {**ann, "display_name": "Ann B."})
    for word, is_disabled in (("disable", True), ("enable", False)):
        assert (await api("POST", f"{path}/{word}"))[0] == 200
        assert (await api("GET", path))[1]["disabled"] is is_disabled
    assert [row["name"] for row in (await api("GET", "/users"))[1]["users"]] == ["admin", "ann"]
    assert (await api("GET", "/users?kind=service"))[1] == {"users": [], "total": 0}
    assert (await api("DELETE", path))[0] == 200
    assert code(await api("GET", path)) == (404, "not_found")


async def test_only_who_may_change_people_vouches_for_an_address(api: Api, people: People, roci: Roci) -> None:
    _, ann = await api("POST", "/users", {"name": "ann", "email": "ann@example.org", "password": PASSWORD})
    own = await people("ann")
    for caller, path, email, is_vouched in (
        (own, "/me", "other@example.org", False),
        (api, f"/users/{ann['id']}", "other@example.org", True),
    ):
        assert (await caller("PATCH", path, {"email": email}))[0] == 200
        assert (await roci.read(principals.get, ann["id"])).email_vouched is is_vouched


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"name": "a b"}, (400, "validation_error")),
        ({"name": ""}, (400, "validation_error")),
        ({"name": 5}, (400, "validation_error")),
        ({"kind": "agent"}, (400, "validation_error")),
        ({"email": "nothing"}, (400, "validation_error")),
        ({"password": "short"}, (400, "validation_error")),
        ({"password": 12345678901}, (400, "validation_error")),
        ({"name": "ADMIN"}, (409, "conflict")),
    ],
)
async def test_what_is_wrong_with_somebody_is_said(api: Api, fields: dict[str, Any], expected: Any) -> None:
    assert code(await api("POST", "/users", {"name": "bob", **fields})) == expected
    assert (await api("GET", "/users"))[1]["total"] == 1


async def test_a_name_stays_and_a_kind_is_one_of_those_there_are(api: Api) -> None:
    id = await id_of(api, "admin")
    for path, fields in ((f"/users/{id}", {"name": "eve"}), ("/me", {"name": "eve", "display_name": "Eve"})):
        status, body = await api("PATCH", path, fields)
        assert (status, body["error"]["message"]) == (400, "name: cannot be changed")
    await api("POST", "/roles", {"name": "mine"})
    assert code(await api("PATCH", "/roles/mine", {"name": "yours"})) == (400, "validation_error")
    assert (await api("PATCH", "/me", {"display_name": "Ada"}))[1]["name"] == "admin"
    assert code(await api("GET", "/users?kind=zip")) == (400, "validation_error")


async def test_a_password_is_set_works_and_is_nowhere_shown(
    api: Api, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    _, made = await api("POST", "/users", {"name": "ann", "password": PASSWORD})
    shown = [made, (await api("GET", "/users"))[1], (await api("PUT", f"/users/{made['id']}/password", {}))[1]]
    shown.append((await api("PUT", f"/users/{made['id']}/password", {"password": [PASSWORD]}))[1])
    assert made["has_password"] and PASSWORD not in f"{shown} {caplog.text}"
    signed = await client.app.test_client().post("/login", json={"username": "ann", "password": PASSWORD})
    assert signed.status_code == 200


async def test_the_last_administrator_stays(api: Api) -> None:
    path = f"/users/{await id_of(api, 'admin')}"
    for method, end in (("POST", "/disable"), ("DELETE", "")):
        status, body = await api(method, path + end)
        assert status == 409 and "last enabled administrator" in body["error"]["message"]


# --- nobody gets more than they have -----------------------------------------


async def test_whoever_may_manage_people_cannot_become_an_administrator(api: Api, people: People) -> None:
    desk, admin = await people("desk", *HELPDESK), await id_of(api, "admin")
    attempts: list[tuple[str, str, Any]] = [
        ("PUT", f"/users/{admin}/password", {"password": PASSWORD}),
        ("PATCH", f"/users/{admin}", {"email": "desk@example.org"}),
        ("POST", f"/users/{admin}/enable", None),
        ("POST", "/tokens", {"name": "mine", "user": "admin"}),
        ("POST", "/bindings", {"subject": "desk", "role": "admin"}),
        ("POST", "/roles", {"name": "more", "rules": [{"action": "*"}]}),
        ("POST", "/roles", {"name": "more", "inherits": ["admin"]}),
        ("PATCH", "/roles/of-desk", {"rules": [{"action": "*"}]}),
    ]
    for method, path, body in attempts:
        assert code(await desk(method, path, body)) == (403, "forbidden"), (method, path)
    assert (await api("GET", "/me"))[1]["email"] == ""


async def test_whoever_may_manage_people_helps_those_who_hold_no_more(people: People) -> None:
    desk = await people("desk", *HELPDESK, OPERATOR)
    await people("ann", OPERATOR)
    ann = await id_of(desk, "ann")
    assert (await desk("PUT", f"/users/{ann}/password", {"password": PASSWORD}))[0] == 200
    assert (await desk("PATCH", f"/users/{ann}", {"email": "ann@example.org"}))[0] == 200
    assert (await desk("POST", "/tokens", {"name": "script", "user": "ann"}))[0] == 201


async def test_second_factors_are_reset_by_those_who_hold_no_less(people: People, api: Api, roci: Roci) -> None:
    desk = await people("desk", *HELPDESK)
    ann = await roci.write(principals.add, NewPrincipal("ann"))
    admin = await id_of(api, "admin")
    secret = factors.new_totp()
    code_now = pyotp.TOTP(secret).now()
    await roci.write(factors.add_totp, keyring.of(roci), ann.id, Sensitive(secret), code_now)
    assert (await roci.read(factors.held, ann.id)).totp
    assert (await desk("DELETE", f"/users/{ann.id}/factors"))[0] == 200
    assert not (await roci.read(factors.held, ann.id)).any
    assert code(await desk("DELETE", f"/users/{admin}/factors")) == (403, "forbidden")


async def test_a_name_that_a_role_waits_for_is_not_to_be_had_by_those_who_hold_less(api: Api, people: People) -> None:
    desk = await people("desk", *HELPDESK)
    assert (await api("POST", "/bindings", {"subject": "boss", "role": "admin"}))[0] == 201
    assert code(await desk("POST", "/users", {"name": "boss", "password": PASSWORD})) == (403, "forbidden")
    assert (await desk("GET", "/users"))[1]["total"] == 2  # nothing was made


async def test_a_credential_for_less_makes_none_for_more(api: Api, people: People) -> None:
    narrow = await people("admin", scopes=["hosts.*", "tokens.create"])
    for scopes in (None, ["*"], ["hosts.*", "policies.read"]):
        assert code(await narrow("POST", "/tokens", {"name": "wide", "scopes": scopes})) == (403, "forbidden")
    status, made = await narrow("POST", "/tokens", {"name": "narrow", "scopes": ["hosts.read"]})
    assert status == 201 and made["scopes"] == ["hosts.read"]
    new = {"password": PASSWORD, "current_password": PASSWORD}
    assert code(await narrow("PUT", f"/users/{narrow.id}/password", new)) == (403, "forbidden")
    assert code(await narrow("PATCH", "/me", {"email": "other@example.org"})) == (403, "forbidden")


async def test_a_first_password_is_set_in_a_browser_and_not_with_a_token(people: People, roci: Roci) -> None:
    ann = await people("ann")
    path, new = f"/users/{ann.id}/password", {"password": PASSWORD}
    assert code(await ann("PUT", path, new)) == (403, "forbidden")
    row = await roci.read(principals.get, ann.id)
    assert row.password_hash is None
    browser = Api(people.app.test_client())
    browser.client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, row, "oidc:home"))
    assert (await browser("PUT", path, new))[0] == 200


async def test_a_credential_that_is_not_for_tokens_makes_and_revokes_none_but_itself(people: People) -> None:
    whole, narrow = await people("ann"), await people("ann", scopes=["hosts.*"])
    assert code(await narrow("POST", "/tokens", {"name": "next", "scopes": ["hosts.*"]})) == (403, "forbidden")
    own, other = (row["id"] for row in (await whole("GET", "/tokens"))[1]["tokens"])
    assert code(await narrow("DELETE", f"/tokens/{other}")) == (403, "forbidden")
    assert (await narrow("DELETE", f"/tokens/{own}"))[0] == 200
    assert (await whole("DELETE", f"/tokens/{other}"))[0] == 200


async def test_a_narrow_credential_with_the_right_word_still_does_not_reach_its_owners_password(people: People) -> None:
    narrow = await people("admin", scopes=["principals.update", "tokens.create"])
    new = {"password": PASSWORD, "current_password": PASSWORD}
    assert code(await narrow("PUT", f"/users/{narrow.id}/password", new)) == (403, "forbidden")
    assert code(await narrow("POST", "/tokens", {"name": "wide"})) == (403, "forbidden")


# --- one's own ---------------------------------------------------------------


async def test_everybody_may_ask_who_they_are(people: People, api: Api) -> None:
    ann = await people("ann", Rule("hosts.read"), Rule("secrets.*", "app/1"))
    _, me = await ann("GET", "/me")
    assert (me["name"], me["kind"], me["via"], me["administrator"]) == ("ann", "person", "token", False)
    assert me["permissions"] == ["hosts.read"] and me["scopes"] is None
    assert {"action": "secrets.*", "resource": "app/1", "space": None} in me["grants"]
    assert (await ann("PATCH", "/me", {"display_name": "Ann"}))[1]["display_name"] == "Ann"
    assert code(await ann("PATCH", "/me", {"email": "none"})) == (400, "validation_error")
    _, admin = await api("GET", "/me")
    assert admin["administrator"] and admin["via"] == "cookie" and "principals.create" in admin["permissions"]


async def test_ones_own_password_takes_the_current_one(people: People) -> None:
    ann = await people("ann", password=PASSWORD)
    path, new = f"/users/{ann.id}/password", "another horse entirely"
    assert code(await ann("PUT", path, {"password": new})) == (400, "validation_error")
    wrong = {"password": new, "current_password": "wrong"}
    assert code(await ann("PUT", path, wrong)) == (403, "forbidden")
    assert (await ann("PUT", path, {"password": new, "current_password": PASSWORD}))[0] == 200
    assert code(await ann("PUT", f"/users/{NOBODY}/password", {"password": new})) == (403, "forbidden")


async def test_a_new_password_ends_other_logins_but_not_this_one(people: People, roci: Roci, client: Client) -> None:
    ann = await people("ann", password=PASSWORD)
    cookies = [await roci.write(lambda: credentials.log_in(principals.by_name("ann"))) for _ in range(2)]
    here, there = (Api(client.app.test_client(), {"Cookie": f"roci_session={cookie}"}) for cookie in cookies)
    body = {"password": "another horse entirely", "current_password": PASSWORD}
    assert (await here("PUT", f"/users/{ann.id}/password", body))[0] == 200
    assert (await here("GET", "/me"))[0] == 200 and (await there("GET", "/me"))[0] == 401


async def test_whoever_is_disabled_or_removed_is_out_at_once(people: People, api: Api) -> None:
    ann = await people("ann")
    assert (await ann("GET", "/me"))[0] == 200
    await api("POST", f"/users/{ann.id}/disable")
    assert code(await ann("GET", "/me")) == (401, "unauthorized")
    await api("POST", f"/users/{ann.id}/enable")
    assert (await ann("GET", "/me"))[0] == 200
    await api("DELETE", f"/users/{ann.id}")
    assert code(await ann("GET", "/me")) == (401, "unauthorized")
    assert (await api("GET", "/tokens?all=true"))[1]["total"] == 0


# --- tokens ------------------------------------------------------------------


async def test_a_token_is_shown_once_works_and_is_revoked(api: Api, people: People, client: Client) -> None:
    ann = await people("ann", Rule("hosts.read"))
    status, made = await ann("POST", "/tokens", {"name": "script", "expires_at": "2999-01-01T00:00:00Z"})
    assert status == 201 and made["token"].startswith("roci_") and made["user"] == "ann"
    assert made["expires_at"] == "2999-01-01T00:00:00.000Z" and made["state"] == "valid"
    script = Api(client.app.test_client(), {"Authorization": f"Bearer {made['token']}"})
    assert (await script("GET", "/agents"))[0] == 200
    listed = (await ann("GET", "/tokens"))[1]
    assert [row["name"] for row in listed["tokens"]] == ["script", "test 0"] and made["token"] not in str(listed)
    assert (await ann("DELETE", f"/tokens/{made['id']}"))[0] == 200
    assert code(await script("GET", "/agents")) == (401, "unauthorized")
    assert (await ann("GET", "/tokens"))[1]["tokens"][0]["state"] == "revoked"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"scopes": []},
        {"scopes": ["a b"]},
        {"scopes": "hosts.*"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"expires_at": "soon"},
    ],
)
async def test_what_is_wrong_with_a_token_is_said(api: Api, fields: dict[str, Any]) -> None:
    assert code(await api("POST", "/tokens", {"name": "script", **fields})) == (400, "validation_error")


async def test_others_tokens_are_none_of_ones_business(api: Api, people: People) -> None:
    ann, bob = await people("ann"), await people("bob")
    of_bob = (await bob("GET", "/tokens"))[1]["tokens"][0]["id"]
    for path in ("/tokens?all=true", "/tokens?user=bob", "/tokens?user=nobody"):
        assert code(await ann("GET", path)) == (403, "forbidden")
    for id in (of_bob, NOBODY):
        assert code(await ann("DELETE", f"/tokens/{id}")) == (403, "forbidden")
    assert code(await ann("POST", "/tokens", {"name": "x", "user": "bob"})) == (403, "forbidden")
    assert [row["id"] for row in (await api("GET", "/tokens?user=bob"))[1]["tokens"]] == [of_bob]
    assert (await api("GET", "/tokens?all=true"))[1]["total"] == 2
    assert (await api("DELETE", f"/tokens/{of_bob}"))[0] == 200
    assert code(await api("GET", "/tokens?user=nobody")) == (404, "not_found")
    assert code(await api("GET", "/tokens?all=maybe")) == (400, "bad_request")


async def test_scopes_narrow_what_a_token_may_do(api: Api, people: People, roci: Roci) -> None:
    narrow = await people("admin", scopes=["hosts.*"])
    assert (await narrow("GET", "/agents"))[0] == 200
    assert code(await narrow("GET", "/policies")) == (403, "forbidden")
    _, me = await narrow("GET", "/me")
    words = {word for word in roci.permissions if word.startswith("hosts.")}
    assert me["scopes"] == ["hosts.*"] and set(me["permissions"]) == words >= {"hosts.read", "hosts.exec"}


async def test_a_narrow_token_is_not_told_of_its_owners_other_tokens(api: Api, people: People) -> None:
    await people("admin")
    narrow = await people("admin", scopes=["metrics.read"])
    assert code(await narrow("GET", "/tokens")) == (403, "forbidden")
    status, listed = await (await people("admin", scopes=["tokens.list"]))("GET", "/tokens")
    assert status == 200 and listed["total"] == 3


async def test_rights_given_and_taken_hold_from_the_next_request(api: Api, people: People, roci: Roci) -> None:
    ann = await people("ann")
    assert code(await ann("GET", "/agents")) == (403, "forbidden")
    await api("POST", "/roles", {"name": "watcher", "rules": [{"action": "hosts.read"}]})
    _, bound = await api("POST", "/bindings", {"subject": "ann", "role": "watcher"})
    assert (await ann("GET", "/agents"))[0] == 200
    await api("DELETE", f"/bindings/{bound['id']}")
    assert code(await ann("GET", "/agents")) == (403, "forbidden")
    assert not await roci.read(lambda: access.grants(principals.by_name("ann")))


async def test_where_sign_in_is_switched_off_anybody_is_told_so(tmp_path: Path) -> None:
    roci = Roci(Settings(data_dir=str(tmp_path), local_agent=False, auth="disabled"))
    async with roci.running():
        api = Api(core("app").create_app(roci).test_client())
        _, me = await api("GET", "/me")
        assert (me["id"], me["via"], me["administrator"], me["grants"]) == ("anybody", "open", True, [])
        assert "principals.create" in me["permissions"]
        assert (await api("GET", "/access/explain?action=hosts.read"))[1]["allowed"] is True
        assert await api("GET", "/tokens") == (200, {"tokens": [], "total": 0})
        assert code(await api("POST", "/tokens", {"name": "x"})) == (404, "not_found")
        assert code(await api("PATCH", "/me", {"display_name": "x"})) == (404, "not_found")
        assert (await api("POST", "/users", {"name": "ann"}))[0] == 201
        assert (await api("POST", "/bindings", {"subject": "ann", "role": "admin"}))[0] == 201
        assert (await api("POST", "/tokens", {"name": "x", "user": "ann"}))[0] == 201
