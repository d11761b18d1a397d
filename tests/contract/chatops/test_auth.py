from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from roci import Roci, Settings
from roci_plugins.auth.passwords import Passwords
from roci_plugins.domain import access, credentials, events, principals
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.surfaces.chatops.auth import ChatopsSettings

from .conftest import NOBODY, PASSWORD, Api, person, said, wrong

NEW = {
    "email": "Alice@Example.org",
    "username": "alice",
    "password": "eight-ch",
    "password_confirm": "eight-ch",
    "full_name": "Alice A.",
}
USER = ["id", "email", "username", "full_name", "is_active", "created_at"]
REFUSED = (401, "Could not validate credentials")


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


# --- registering ---


async def test_the_first_person_registers_and_administers(nobody: Api, roci: Roci) -> None:
    body = await nobody.ok("POST", "/auth/register", NEW, 201)
    assert set(body) == {"access_token", "refresh_token", "token_type", "user"} and body["token_type"] == "bearer"
    assert list(body["user"]) == USER and body["user"]["email"] == "alice@example.org"
    assert (body["user"]["username"], body["user"]["full_name"]) == ("alice", "Alice A.")
    assert (await Api(nobody.client, body["access_token"]).ok("GET", "/auth/me")) == body["user"]
    assert (await roci.read(principals.by_name, "alice")).administrator


async def test_nobody_registers_once_there_is_somebody(nobody: Api, roci: Roci) -> None:
    await person(roci, "bob")
    status, text = said(await nobody("POST", "/auth/register", NEW))
    assert status == 403 and "closed" in text
    assert wrong(await nobody("POST", "/auth/register", {})) == [
        ["body", name] for name in ("email", "username", "password", "password_confirm")
    ]


async def test_of_two_who_come_first_one_is(nobody: Api, roci: Roci) -> None:
    other = NEW | {"email": "b@example.org", "username": "bob"}
    answers = await asyncio.gather(nobody("POST", "/auth/register", NEW), nobody("POST", "/auth/register", other))
    assert sorted(status for status, _ in answers) == [201, 403]


@pytest.mark.parametrize(
    "change, where",
    [
        ({"password": "short", "password_confirm": "short"}, "password"),
        ({"password_confirm": "different"}, "password_confirm"),
        ({"email": "nothing"}, "email"),
        ({"username": "a b"}, "username"),
        ({"full_name": 5}, "full_name"),
    ],
)
async def test_a_registration_that_cannot_be(nobody: Api, change: dict[str, Any], where: str) -> None:
    answer = await nobody("POST", "/auth/register", NEW | change)
    assert wrong(answer) == [["body", where]] and "eight-ch" not in str(answer)


class TestOpen:
    """Where the settings let everybody register."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        settings.sections = {"chatops": {"registration": "open"}}
        return settings

    async def test_who_comes_later_may_do_nothing(self, admin: Api, nobody: Api, roci: Roci) -> None:
        assert roci.section(ChatopsSettings).registration == "open"
        body = await nobody.ok("POST", "/auth/register", NEW, 201)
        user = Api(nobody.client, body["access_token"])
        assert (await user("GET", f"/api-keys/server/{NOBODY}"))[0] == 403

    async def test_a_name_or_an_address_that_is_taken(self, admin: Api, nobody: Api, roci: Roci) -> None:
        assert (await nobody("POST", "/auth/register", NEW | {"username": "ADMIN"}))[0] == 400
        assert (await nobody("POST", "/auth/register", NEW | {"email": "admin@example.org"}))[0] == 400
        await roci.write(access.bind, "ghost", "admin")
        assert said(await nobody("POST", "/auth/register", NEW | {"username": "ghost"}))[0] == 400


class TestSecondFactor:
    """Where everybody needs one."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        settings.sections = {"sign_in": {"second_factor": "required"}}
        return settings

    async def test_registering_says_where_to_set_one_up_and_signs_nobody_in(self, nobody: Api, roci: Roci) -> None:
        status, text = said(await nobody("POST", "/auth/register", NEW))
        assert status == 401 and "Your account is made" in text and "/login" in text
        alice = await roci.read(principals.by_name, "alice")
        assert alice.administrator and await roci.read(credentials.logins, alice.id) == []


class TestClosed:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        settings.sections = {"chatops": {"registration": "closed"}}
        return settings

    async def test_not_even_the_first_registers(self, nobody: Api) -> None:
        assert (await nobody("POST", "/auth/register", NEW))[0] == 403


# --- signing in ---


async def test_signing_in_by_name_and_by_address(admin: Api, nobody: Api) -> None:
    for name in ("admin", "admin@example.org", "Admin@Example.org"):
        status, body = await nobody.log_in(name)
        assert status == 200 and set(body) == {"access_token", "refresh_token", "token_type", "user"}
    access_claims, refresh_claims = claims(body["access_token"]), claims(body["refresh_token"])
    assert (access_claims["type"], refresh_claims["type"]) == ("access", "refresh")
    assert access_claims["sub"] == body["user"]["id"] and access_claims["email"] == "admin@example.org"
    assert access_claims["exp"] - access_claims["iat"] == 30 * 60
    assert refresh_claims["exp"] - refresh_claims["iat"] == 7 * 24 * 3600


async def test_a_sign_in_that_fails(admin: Api, nobody: Api) -> None:
    assert said(await nobody.log_in("admin", "wrong"))[0] == 401
    assert said(await nobody.log_in("nobody", "wrong"))[0] == 401
    assert wrong(await nobody("POST", "/auth/login")) == [["body", "username"], ["body", "password"]]
    assert wrong(await nobody("POST", "/auth/login", form={"username": "admin"})) == [["body", "password"]]
    assert wrong(await nobody("POST", "/auth/login", b"\xff=\xfe&\xff" * 30)) == [["body", 0]]


async def test_a_refresh_token_gives_access_and_an_access_token_does_not(admin: Api, nobody: Api) -> None:
    body = await nobody.ok("POST", "/auth/refresh", {"refresh_token": admin.refresh})
    assert set(body) == {"access_token", "token_type"}
    assert (await Api(nobody.client, body["access_token"]).ok("GET", "/auth/me"))["username"] == "admin"
    access_token = admin.headers["Authorization"].removeprefix("Bearer ")
    for bad in (access_token, "junk", admin.refresh[:-4]):
        assert said(await nobody("POST", "/auth/refresh", {"refresh_token": bad})) == REFUSED
    assert said(await Api(nobody.client, admin.refresh)("GET", "/auth/me")) == REFUSED
    assert wrong(await nobody("POST", "/auth/refresh", {})) == [["body", "refresh_token"]]


async def test_signing_out_ends_both_tokens(admin: Api, nobody: Api) -> None:
    other = await nobody.as_("admin")
    assert set(await admin.ok("POST", "/auth/logout")) == {"message"}
    assert said(await admin("GET", "/auth/me")) == REFUSED
    assert said(await nobody("POST", "/auth/refresh", {"refresh_token": admin.refresh})) == REFUSED
    await other.ok("GET", "/auth/me")


# --- one's own account ---


async def test_a_profile_changes_in_its_full_name_only(admin: Api) -> None:
    changed = await admin.ok("PUT", "/auth/me", {"full_name": "The Boss", "email": "x@y.z", "is_active": False})
    assert (changed["full_name"], changed["email"], changed["is_active"]) == ("The Boss", "admin@example.org", True)
    assert await admin.ok("PUT", "/auth/me", {}) == changed == await admin.ok("GET", "/auth/me")


async def test_a_password_changes_by_the_present_one(admin: Api, nobody: Api) -> None:
    other = await nobody.as_("admin")
    body = {"current_password": "wrong", "new_password": "new-password", "new_password_confirm": "new-password"}
    assert said(await admin("POST", "/auth/change-password", body))[0] == 400
    differ = body | {"current_password": PASSWORD, "new_password_confirm": "other"}
    assert wrong(await admin("POST", "/auth/change-password", differ)) == [["body", "new_password_confirm"]]
    await admin.ok("POST", "/auth/change-password", body | {"current_password": PASSWORD})
    await admin.ok("GET", "/auth/me")
    assert said(await other("GET", "/auth/me")) == REFUSED
    assert (await nobody.log_in("admin"))[0] == 401
    await nobody.as_("admin", "new-password")


async def test_a_wrong_present_password_is_in_the_audit_trail(admin: Api, roci: Roci) -> None:
    body = {"current_password": "wrong", "new_password": "new-password", "new_password_confirm": "new-password"}
    assert said(await admin("POST", "/auth/change-password", body)) == (400, "Current password is incorrect")
    (row,), _ = await roci.read(events.list_, 10, 0, "AttemptRefused")
    assert (row.actor_name, row.data["path"]) == ("admin", "/chatops/api/v1/auth/change-password")


async def test_a_token_that_is_not_for_it_changes_nothing_of_its_owner(admin: Api, nobody: Api, roci: Roci) -> None:
    row = await person(roci, "bob")
    _, secret = await roci.write(credentials.issue, row.id, "narrow", ["hosts.read"])
    narrow = Api(nobody.client, str(secret))
    body = {"current_password": PASSWORD, "new_password": "new-password", "new_password_confirm": "new-password"}
    assert said(await narrow("PUT", "/auth/me", {"full_name": "x"}))[0] == 403
    assert said(await narrow("POST", "/auth/change-password", body))[0] == 403
    await nobody.as_("bob")


async def test_a_namesakes_password_is_not_ones_own(admin: Api, roci: Roci) -> None:
    hashed = await roci.part(Passwords).make("another horse")
    bob = await roci.write(principals.add, NewPrincipal("bob", password_hash=hashed))
    await roci.write(Principal.update(email="admin").where(Principal.id == bob.id).execute)  # before it was refused
    body = {"current_password": "another horse", "new_password": "new-password", "new_password_confirm": "new-password"}
    assert said(await admin("POST", "/auth/change-password", body))[0] == 400


# --- who asks comes first ---


async def test_nobody_hears_of_bodies_and_ids(nobody: Api) -> None:
    for method, path in (
        ("GET", "/auth/me"),
        ("PUT", "/auth/me"),
        ("POST", "/auth/logout"),
        ("POST", "/auth/change-password"),
        ("POST", "/api-keys"),
        ("GET", "/api-keys/me"),
        ("GET", "/api-keys/server/nope"),
        ("POST", "/api-keys/nope/deactivate"),
        ("DELETE", "/api-keys/nope"),
    ):
        assert said(await nobody(method, path, "{")) == REFUSED, path
    response = await nobody.client.get("/chatops/api/v1/auth/me")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_unknown_paths_and_wrong_methods(admin: Api) -> None:
    assert said(await admin("GET", "/nowhere"))[0] == 404
    assert said(await admin("DELETE", "/auth/me"))[0] == 405


# --- among other dialects ---


async def test_on_the_shared_path_a_form_or_its_token_tells_this_dialect(admin: Api, nobody: Api) -> None:
    shared = {"base": "/api/v1"}
    status, body = await nobody("POST", "/auth/login", form={"username": "admin", "password": PASSWORD}, **shared)
    assert status == 200 and body["token_type"] == "bearer"
    status, body = await admin("GET", "/auth/me", **shared)
    assert status == 200 and list(body) == USER
    status, body = await nobody("POST", "/auth/refresh", {"refresh_token": admin.refresh}, **shared)
    assert status == 200 and "access_token" in body
    assert said(await nobody("POST", "/auth/refresh", {"refresh_token": "junk"}, **shared)) == REFUSED
    spoken = {"Accept": "application/vnd.chatops.v1+json"}
    assert said(await nobody("GET", "/auth/me", headers=spoken, **shared)) == REFUSED


@pytest.mark.parametrize(
    "path", ["/servers", "/metrics/1/history", "/docker", "/commands", "/alerts", "/logs", "/api-keys"]
)
async def test_paths_that_nobody_else_has_are_answered_in_this_dialect(nobody: Api, path: str) -> None:
    for method in ("GET", "POST"):
        assert said(await nobody(method, path, base="/api/v1")) == REFUSED


async def test_below_its_own_address_everything_is_said_in_this_dialect(nobody: Api) -> None:
    assert (await nobody("GET", "/health", base="/chatops")) == (200, {"status": "ok"})
    assert (await nobody("HEAD", "/health", base="/chatops"))[0] == 200
    for path in ("", "/"):
        status, body = await nobody("GET", path, base="/chatops")
        assert status == 200 and set(body) == {"message", "version", "docs"}, path
    assert said(await nobody("GET", "/nowhere", base="/chatops"))[0] == 404
    assert said(await nobody("POST", "/health", base="/chatops"))[0] == 405
