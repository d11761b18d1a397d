"""Registering, signing in and out, tokens: the seed's examples as printed, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from quart import Quart

from roci import Roci, Settings
from roci_plugins.domain import access, credentials, events, factors, keyring, principals
from roci_plugins.domain.principals import NewPrincipal

from .conftest import PASSWORD, Api, error

ALICE = {"email": "alice@example.com", "password": PASSWORD, "displayName": "Alice Martin"}
JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def is_alice(user: Any) -> bool:
    assert set(user) == {"id", "email", "displayName", "createdAt"}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", user["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", user["createdAt"])
    return user["email"] == "alice@example.com" and user["displayName"] == "Alice Martin"


async def test_the_seeds_registration_sign_in_and_mode(nobody: Api):
    status, body = await nobody("POST", "/auth/register", ALICE)
    assert status == 201 and set(body) == {"user"} and is_alice(body["user"])
    status, body = await nobody("POST", "/auth/login", {"email": "alice@example.com", "password": PASSWORD})
    assert status == 200 and set(body) == {"accessToken", "refreshToken", "expiresIn", "user"}
    assert body["expiresIn"] == 900 and is_alice(body["user"])
    assert JWT.fullmatch(body["accessToken"]) and JWT.fullmatch(body["refreshToken"])
    status, mode = await nobody("GET", "/auth/mode")
    assert status == 200 and set(mode) >= {"authRequired", "setupRequired", "passwordLoginEnabled", "providers"}


async def test_the_first_person_ends_the_setup(nobody: Api):
    _, before = await nobody("GET", "/auth/mode")
    await nobody.register("alice@example.com")
    _, after = await nobody("GET", "/auth/mode")
    assert (before["setupRequired"], before["authRequired"], before["passwordLoginEnabled"]) == (True, True, True)
    assert after["setupRequired"] is False


async def test_the_first_person_administers_which_is_said_loudly_and_the_second_may_do_nothing(
    nobody: Api, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        admin = await nobody.signed_in("alice@example.com")
    assert "the first person registered, alice@example.com from" in caplog.text
    bob = await nobody.signed_in("bob@example.com")
    assert await admin("GET", "/permissions") == (200, {"roles": ["admin"], "permissions": ["*"]})
    assert await bob("GET", "/permissions") == (200, {"roles": [], "permissions": []})


async def test_who_registers_beside_an_administrator_made_otherwise_is_not_one(roci: Roci, nobody: Api):
    await roci.write(access.add_administrator, NewPrincipal("admin"))
    assert (await nobody("GET", "/auth/mode"))[1]["setupRequired"] is False
    alice = await nobody.signed_in("alice@example.com")
    assert (await alice("GET", "/permissions"))[1]["permissions"] == []


async def test_the_setup_link_is_good_for_nothing_once_somebody_registered(roci: Roci, app: Quart, nobody: Api):
    link = await roci.write(credentials.make_setup_link)
    assert (await app.test_client().get(f"/setup/{link}")).status_code == 200
    await nobody.register("alice@example.com")
    assert (await app.test_client().get(f"/setup/{link}")).status_code == 404


async def test_a_weak_password_or_an_endless_one_is_refused(nobody: Api):
    for password in ("Short1A", "alllowercase1", "ALLUPPER123", "NoDigitsHere", "A1" + "b" * 2000):
        assert error(await nobody.register("alice@example.com", password=password))[0] == 400, password
    assert (await nobody("GET", "/auth/mode"))[1]["setupRequired"] is True


UNREADABLE: list[Any] = [
    {},
    {"email": "alice@example.com"},
    {"password": PASSWORD},
    {"email": "", "password": PASSWORD},
    {"email": "alice", "password": PASSWORD},
    {"email": 5, "password": PASSWORD},
    {"email": "alice@example.com", "password": PASSWORD, "displayName": 5},
    {"email": "alice@example.com", "password": PASSWORD, "displayName": "x" * 201},
    [],
    "{",
    b"\xff",
    "",
]


async def test_a_registration_that_cannot_be_read_is_refused(nobody: Api):
    for body in UNREADABLE:
        assert error(await nobody("POST", "/auth/register", body))[0] == 400, body


async def test_an_address_is_registered_once(nobody: Api, admin: Api):
    assert error(await nobody.register("Alice@example.com")) == (400, "email: this address is registered already")


async def test_of_two_who_register_one_address_at_once_one_succeeds(nobody: Api):
    answers = await asyncio.gather(*(nobody.register("alice@example.com") for _ in range(4)))
    assert sorted(status for status, _ in answers) == [201, 400, 400, 400]


async def test_of_several_first_people_at_once_one_administers(roci: Roci, nobody: Api):
    await asyncio.gather(*(nobody.register(f"p{number}@example.com") for number in range(4)))
    people = await roci.read(principals.all_)
    assert sorted(person.administrator for person in people) == [False, False, False, True]


async def test_the_first_person_does_not_come_from_outside(nobody: Api, roci: Roci):
    new = {"email": "alice@example.com", "password": PASSWORD}
    for headers in ({"X-Forwarded-For": "10.0.0.1"}, {"X-Real-IP": "10.0.0.1"}):
        status, said = error(await nobody("POST", "/auth/register", new, headers=headers))
        assert status == 403 and "setup link" in said
    stranger = {"scope_base": {"client": ("93.184.216.34", 5000)}}
    assert error(await nobody("POST", "/auth/register", new, **stranger))[0] == 403
    assert await roci.read(principals.all_) == [], "and nothing is left of it"
    neighbour = {"scope_base": {"client": ("192.168.1.9", 5000)}}
    assert (await nobody("POST", "/auth/register", new, **neighbour))[0] == 201
    status, body = await nobody("POST", "/auth/register", {**new, "email": "bob@example.com"}, **stranger)
    assert status == 201 and not (await roci.read(principals.get, body["user"]["id"])).administrator


async def test_both_spellings_of_the_display_name_are_read(nobody: Api):
    _, body = await nobody.register("alice@example.com", display_name="Alice Martin")
    assert body["user"]["displayName"] == "Alice Martin"
    _, body = await nobody.register("bob@example.com")
    assert body["user"]["displayName"] is None


async def test_an_address_may_not_register_people_without_end(nobody: Api):
    statuses = [(await nobody.register("alice@example.com", password="weak"))[0] for _ in range(61)]
    assert statuses == [400] * 60 + [429]


class TestWhereRegistrationIsClosed:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        settings.sections["rootcx"] = {"registration": "closed"}
        return settings

    async def test_nobody_registers(self, nobody: Api):
        assert error(await nobody.register("alice@example.com"))[0] == 403


# --- signing in --------------------------------------------------------------


async def test_why_a_sign_in_failed_is_not_told(roci: Roci, nobody: Api, admin: Api):
    await roci.write(principals.add, NewPrincipal("ci", kind="service", email="ci@example.com"))
    for email, password in (
        ("alice@example.com", "wrong"),
        ("carol@example.com", PASSWORD),
        ("ci@example.com", PASSWORD),
    ):
        answer = await nobody("POST", "/auth/login", {"email": email, "password": password})
        assert error(answer) == (401, "invalid credentials")


async def test_a_disabled_person_does_not_sign_in_and_their_token_is_over(
    roci: Roci, nobody: Api, admin: Api, bob: Api
):
    await roci.write(principals.disable, bob.id)
    answer = await nobody("POST", "/auth/login", {"email": "bob@example.com", "password": PASSWORD})
    assert error(answer) == (401, "invalid credentials")
    assert error(await bob("GET", "/auth/me"))[0] == 401
    assert error(await nobody("POST", "/auth/refresh", {"refreshToken": bob.refresh}))[0] == 401


async def test_the_case_of_an_address_does_not_matter(nobody: Api, admin: Api):
    status, _ = await nobody("POST", "/auth/login", {"email": " ALICE@Example.com", "password": PASSWORD})
    assert status == 200


async def test_a_sign_in_that_cannot_be_read_is_refused(nobody: Api):
    for body in ({}, {"email": "alice@example.com"}, {"email": "a", "password": 5}, "x", [1]):
        assert error(await nobody("POST", "/auth/login", body))[0] == 400, body


async def test_a_person_is_told_who_they_are(admin: Api, nobody: Api):
    status, user = await admin("GET", "/auth/me")
    assert status == 200 and user["id"] == admin.id
    assert error(await nobody("GET", "/auth/me"))[0] == 401


async def test_who_has_a_second_factor_sends_its_code_too(roci: Roci, nobody: Api, admin: Api):
    secret = factors.new_totp()
    codes = [pyotp.TOTP(str(secret)).at(int(time.time()) + later) for later in (0, factors.STEP)]
    await roci.write(factors.add_totp, keyring.of(roci), admin.id, secret, codes[0])
    given = {"email": "alice@example.com", "password": PASSWORD}
    status, text = error(await nobody("POST", "/auth/login", given))
    assert status == 401 and "second factor" in text
    assert error(await nobody("POST", "/auth/login", {**given, "otp": codes[0]})) == (401, "invalid credentials")
    assert error(await nobody("POST", "/auth/login", {**given, "password": "x"})) == (401, "invalid credentials")
    assert (await nobody("POST", "/auth/login", {**given, "otp": codes[1]}))[0] == 200


# --- tokens ------------------------------------------------------------------


async def test_a_refresh_token_gives_access_tokens_until_it_is_logged_out(nobody: Api, admin: Api):
    status, body = await nobody("POST", "/auth/refresh", {"refreshToken": admin.refresh})
    assert status == 200 and set(body) == {"accessToken", "expiresIn"} and body["expiresIn"] == 900
    assert (await Api(nobody.client, token=body["accessToken"])("GET", "/auth/me"))[0] == 200
    assert await nobody("POST", "/auth/logout", {"refreshToken": admin.refresh}) == (200, {"message": "logged out"})
    assert error(await nobody("POST", "/auth/refresh", {"refreshToken": admin.refresh}))[0] == 401
    assert await nobody("POST", "/auth/logout", {"refreshToken": admin.refresh}) == (200, {"message": "logged out"})


async def test_a_logout_is_recorded_as_the_act_of_who_left(roci: Roci, nobody: Api, admin: Api):
    await nobody("POST", "/auth/logout", {"refreshToken": admin.refresh})
    (row,), _ = await roci.read(events.list_, 10, 0, "LoginRevoked")
    assert (row.actor_id, row.actor_kind) == (row.data["principal_id"], "person") and row.address


async def test_an_access_token_outlives_the_logout_by_its_minutes(nobody: Api, admin: Api):
    await nobody("POST", "/auth/logout", {"refreshToken": admin.refresh})
    assert (await admin("GET", "/auth/me"))[0] == 200


async def test_neither_token_does_the_others_work(nobody: Api, admin: Api):
    for path in ("/auth/refresh", "/auth/logout"):
        assert error(await nobody("POST", path, {"refreshToken": admin.token}))[0] == 401
    assert error(await Api(nobody.client, token=admin.refresh)("GET", "/auth/me"))[0] == 401


def truncated(token: str) -> str:
    return token[:-4]


def resigned(token: str) -> str:
    return token.rpartition(".")[0] + "." + "A" * 43


def unsigned(token: str) -> str:
    return "eyJhbGciOiJub25lIn0." + token.split(".")[1] + "."


SPOIL: list[Callable[[str], str]] = [truncated, resigned, unsigned, str.upper, lambda _: "a.b.c", lambda _: "x"]


async def test_a_spoilt_token_is_refused_everywhere(nobody: Api, admin: Api):
    for spoil in SPOIL:
        assert error(await Api(nobody.client, token=spoil(admin.token))("GET", "/auth/me"))[0] == 401
        for path in ("/auth/refresh", "/auth/logout"):
            assert error(await nobody("POST", path, {"refreshToken": spoil(admin.refresh)}))[0] == 401
            assert error(await nobody("POST", path, {}))[0] == 400


# --- whose route it is -------------------------------------------------------


async def test_without_any_sign_of_a_dialect_signing_in_is_this_ones(app: Quart):
    client = app.test_client()
    response = await client.post("/api/v1/auth/register", data=json.dumps(ALICE))
    assert response.status_code == 201 and set(await response.get_json()) == {"user"}
    response = await client.get("/api/v1/auth/me")
    assert response.status_code == 401 and isinstance((await response.get_json())["error"], str)


async def test_it_is_also_served_alone_under_its_own_base_address(app: Quart):
    alone = Api(app.test_client(), prefix="/rootcx/api/v1")
    admin = await alone.signed_in("alice@example.com")
    response = await app.test_client().get(
        "/rootcx/api/v1/users", headers={"Authorization": f"Bearer {admin.token}", "Accept": "application/json"}
    )
    assert [user["email"] for user in await response.get_json()] == ["alice@example.com"]
    response = await app.test_client().get("/rootcx/api/v1/nothing")
    assert response.status_code == 401 and isinstance((await response.get_json())["error"], str)


SIGNS = {"rootcx": "application/vnd.rootcx.v1+json", "native": "application/vnd.roci.v1+json"}


async def test_a_shared_path_answers_in_the_dialect_it_is_asked_in(app: Quart, admin: Api):
    """People and roles are listed natively for a session's cookie or any token of ours, and here for our signed one."""
    client, bearer = app.test_client(), {"Authorization": f"Bearer {admin.token}"}
    for path in ("/users", "/roles", "/audit"):
        for headers, dialect in (
            ({"Accept": "*/*", **bearer}, "rootcx"),
            ({"Accept": SIGNS["native"], **bearer}, "native"),
            ({"Accept": SIGNS["rootcx"]}, "rootcx"),
            ({"Accept": "*/*"}, "native"),
        ):
            response = await client.get(f"/api/v1{path}", headers=headers)
            assert response.headers["X-ROCI-Dialect"] == dialect, (path, headers)
            assert response.headers["Vary"] == "Authorization, Cookie, Accept"
            body = await response.get_json()
            if response.status_code == 200:
                assert isinstance(body, list) is (dialect == "rootcx")
            else:
                assert response.status_code == 401 and isinstance(body["error"], str) is (dialect == "rootcx")


async def test_a_token_of_this_dialect_is_as_good_on_native_routes(admin: Api, bob: Api):
    assert (await admin("GET", "/policies"))[0] == 200
    status, body = await bob("GET", "/policies")
    assert status == 403 and body["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"issuerUrl": "http://example.org"}, "issuerUrl: https"),
        ({"defaultRole": "nothing"}, "defaultRole: there is no role"),
        ({"displayName": ""}, "displayName: "),
        ({"clientId": 5}, "clientId: "),
        ({"issuerUrl": "http://localhost:1"}, "issuerUrl: "),
    ],
)
async def test_what_is_wrong_with_a_provider_is_said_in_the_clients_words(admin: Api, fields: Any, names: str):
    sent = {"id": "home", "displayName": "Home", "issuerUrl": "https://id.example.org", "clientId": "roci"}
    status, said = error(await admin("POST", "/auth/oidc/providers", sent | fields))
    assert status == 400 and said.startswith(names)
