from __future__ import annotations

import re
from typing import Any

import pytest

from roci import Roci, Sensitive
from roci_plugins.auth.passwords import hashed
from roci_plugins.domain import credentials, principals
from roci_plugins.domain.principals import NewPrincipal, Principal

from .conftest import HASH, PASSWORD, Api, code

# As the reference prints it.
PRINTED = {"user": "api-user", "pass": "secure-password", "space": None, "description": "API access user"}
FIELDS = ["id", "user", "space", "description", "active", "created_at", "updated_at", "last_login_at"]


async def test_an_account_as_the_reference_makes_it(admin: Api) -> None:
    made = await admin.ok("POST", "/service-accounts", PRINTED)
    assert list(made) == FIELDS
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["id"])
    assert (made["user"], made["space"], made["description"]) == ("api-user", None, "API access user")
    assert made["active"] is True and made["last_login_at"] is None and made["created_at"].endswith("Z")
    assert code(await admin("POST", "/service-accounts", PRINTED)) == (409, "CONFLICT")


async def test_an_account_is_found_by_id_and_by_name(admin: Api) -> None:
    made = await admin.ok("POST", "/service-accounts", PRINTED)
    assert await admin.ok("GET", f"/service-accounts/{made['id']}") == made
    assert await admin.ok("GET", "/service-accounts/api-user") == made
    assert code(await admin("GET", "/service-accounts/nobody")) == (404, "NOT_FOUND")


async def test_accounts_are_listed_newest_first_with_people_among_them(admin: Api) -> None:
    for user in ("one", "two"):
        await admin.ok("POST", "/service-accounts", {"user": user, "pass": "x"})
    assert [each["user"] for each in await admin.ok("GET", "/service-accounts")] == ["two", "one", "admin"]


async def test_a_sign_in_is_noted(admin: Api) -> None:
    made = await admin.ok("POST", "/service-accounts", PRINTED)
    await admin.as_("api-user", "secure-password")
    assert (await admin.ok("GET", f"/service-accounts/{made['id']}"))["last_login_at"] is not None


async def test_an_account_that_cannot_be(admin: Api) -> None:
    for wrong in [
        {"user": "a b"},
        {"user": ""},
        {"user": "a/b"},
        {"user": None},
        {"pass": ""},
        {"pass": "x" * 1025},
        {"space": 5},
    ]:
        assert code(await admin("POST", "/service-accounts", PRINTED | wrong)) == (400, "BAD_REQUEST")


async def test_a_change_leaves_what_it_does_not_name(admin: Api) -> None:
    made = await admin.ok("POST", "/service-accounts", PRINTED)
    printed = {"space": "production", "description": "Updated description", "active": True}
    changed = await admin.ok("PUT", f"/service-accounts/{made['id']}", printed)
    assert {name: changed[name] for name in printed} == printed and changed["updated_at"] > made["updated_at"]
    assert (await admin.ok("PUT", "/service-accounts/api-user", {"space": None}))["description"] is not None
    assert (await admin.ok("PUT", "/service-accounts/api-user", {"description": None}))["description"] is None


async def test_a_change_of_nothing_is_refused(admin: Api) -> None:
    await admin.ok("POST", "/service-accounts", PRINTED)
    for body in ({}, {"colour": "red"}, {"active": None}, {"active": "yes"}):
        assert code(await admin("PUT", "/service-accounts/api-user", body)) == (400, "BAD_REQUEST")


async def test_an_inactive_account_is_out_at_once(admin: Api) -> None:
    user = await admin.account("api-user")
    assert (await admin.ok("PUT", "/service-accounts/api-user", {"active": False}))["active"] is False
    assert code(await user("GET", "/auth/me")) == (401, "JWT_ERROR")
    assert code(await admin("POST", "/auth/login", {"user": "api-user", "pass": PASSWORD})) == (401, "UNAUTHORIZED")
    await admin.ok("PUT", "/service-accounts/api-user", {"active": True})
    assert (await (await admin.as_("api-user")).ok("GET", "/auth/me"))["user"] == "api-user"


async def test_a_removed_account_is_gone_with_its_bindings(admin: Api) -> None:
    user = await admin.account("api-user", ("developer", None))
    assert await admin.ok("DELETE", "/service-accounts/api-user") == {"success": True}
    assert code(await admin("DELETE", "/service-accounts/api-user")) == (404, "NOT_FOUND")
    assert code(await user("GET", "/auth/me")) == (401, "JWT_ERROR")
    assert [each["subject"] for each in await admin.ok("GET", "/role-bindings")] == ["admin"]


async def test_the_last_administrator_stays(admin: Api) -> None:
    assert code(await admin("PUT", "/service-accounts/admin", {"active": False})) == (409, "CONFLICT")
    assert code(await admin("PUT", "/service-accounts/admin", {"space": "default"})) == (409, "CONFLICT")
    assert code(await admin("DELETE", "/service-accounts/admin")) == (409, "CONFLICT")
    assert code(await admin("DELETE", "/role-bindings/admin-binding")) == (409, "CONFLICT")
    assert (await admin.ok("GET", "/service-accounts/admin"))["space"] is None


# --- passwords ---


async def test_ones_own_password_takes_the_present_one(admin: Api) -> None:
    user = await admin.account("api-user")
    other = await admin.as_("api-user")
    path = "/service-accounts/api-user/password"
    wrong = {"current_password": "wrong", "new_password": "new-secure-password"}
    assert code(await user("PUT", path, wrong))[0] == 401
    assert code(await user("PUT", path, {"new_password": "n"})) == (400, "BAD_REQUEST")
    right = {"current_password": PASSWORD, "new_password": "new-secure-password"}
    assert await user.ok("PUT", path, right) == {"success": True}
    assert (await user.ok("GET", "/auth/me"))["user"] == "api-user"  # where it was changed
    assert code(await other("GET", "/auth/me"))[0] == 401  # elsewhere
    assert code(await admin("POST", "/auth/login", {"user": "api-user", "pass": PASSWORD}))[0] == 401
    await admin.as_("api-user", "new-secure-password")


async def test_anothers_password_takes_the_right_to(admin: Api) -> None:
    user = await admin.account("api-user")
    assert code(await user("PUT", "/service-accounts/admin/password", {"new_password": "n"})) == (403, "FORBIDDEN")
    path = "/service-accounts/api-user/password"
    assert code(await admin("PUT", path, {"current_password": "wrong", "new_password": "n"}))[0] == 401
    await admin.ok("PUT", path, {"new_password": "n"})
    assert code(await user("GET", "/auth/me"))[0] == 401
    await admin.as_("api-user", "n")
    assert code(await admin("PUT", "/service-accounts/nobody/password", {"new_password": "n"})) == (
        404,
        "NOT_FOUND",
    )


async def test_who_is_named_like_anothers_id_is_not_that_other(admin: Api, roci: Roci) -> None:
    victim = await roci.write(principals.add, NewPrincipal("bob", password_hash=Sensitive(HASH)))
    user = await admin.account("eve")
    renamed = Principal.update(name=victim.id, email="bob").where(Principal.name == "eve")  # from before it was refused
    await roci.write(renamed.execute)
    path = f"/service-accounts/{victim.id}"
    assert code(await user("GET", path)) == (403, "FORBIDDEN")
    body = {"current_password": PASSWORD, "new_password": "new-secure-password"}
    assert code(await user("PUT", f"{path}/password", body)) == (403, "FORBIDDEN")
    assert (await roci.read(principals.get, victim.id)).password_hash == HASH


async def test_the_present_password_is_ones_own_and_not_a_namesakes(admin: Api, roci: Roci) -> None:
    await roci.write(principals.add, NewPrincipal("bob", "service", password_hash=hashed("another horse")))
    user = await admin.account("eve")
    await roci.write(Principal.update(email="eve").where(Principal.name == "bob").execute)
    body = {"current_password": "another horse", "new_password": "new-secure-password"}
    assert code(await user("PUT", "/service-accounts/eve/password", body)) == (401, "UNAUTHORIZED")


async def test_people_keep_the_rule_for_their_passwords(admin: Api, roci: Roci) -> None:
    await roci.write(principals.add, NewPrincipal("bob", password_hash=Sensitive(HASH)))
    path, bob = "/service-accounts/bob/password", await admin.as_("bob")
    assert code(await bob("PUT", path, {"current_password": PASSWORD, "new_password": "a"})) == (400, "BAD_REQUEST")
    assert code(await admin("PUT", path, {"new_password": "nine-char"})) == (400, "BAD_REQUEST")
    await bob.ok("PUT", path, {"current_password": PASSWORD, "new_password": "ten-chars!"})


async def test_a_token_that_is_not_for_it_sets_no_password(admin: Api, roci: Roci) -> None:
    row = await roci.write(principals.add, NewPrincipal("ci", "service", password_hash=Sensitive(HASH)))
    _, secret = await roci.write(credentials.issue, row.id, "narrow", ["hosts.read"])
    body = {"current_password": PASSWORD, "new_password": "new-secure-password"}
    narrow = Api(admin.client, str(secret))
    assert code(await narrow("PUT", "/service-accounts/ci/password", body)) == (403, "FORBIDDEN")


# --- nobody rises by somebody else's account ---


@pytest.fixture
def keeper() -> dict[str, Any]:
    rules = [{"resources": ["service-accounts"], "verbs": ["*"], "scope": "global"}]
    return {"id": "keeper", "rules": rules}


async def test_nobody_takes_over_who_holds_more(admin: Api, roci: Roci, keeper: dict[str, Any]) -> None:
    await admin.ok("POST", "/roles", keeper)
    user = await admin.account("keeper", ("keeper", None))
    assert code(await user("PUT", "/service-accounts/admin/password", {"new_password": "n"})) == (403, "FORBIDDEN")
    await admin.ok("POST", "/role-bindings", {"subject": "ghost", "role_ref": "admin", "space": None})
    assert code(await user("POST", "/service-accounts", {"user": "ghost", "pass": "x"})) == (403, "FORBIDDEN")
    assert code(await admin("GET", "/service-accounts/ghost")) == (404, "NOT_FOUND")
    await user.ok("POST", "/service-accounts", {"user": "plain", "pass": "x"})


async def test_nobody_lets_in_again_who_holds_more(admin: Api, roci: Roci, keeper: dict[str, Any]) -> None:
    await admin.ok("POST", "/roles", keeper)
    user = await admin.account("keeper", ("keeper", None))
    row = await roci.write(principals.add, NewPrincipal("second", password_hash=Sensitive(HASH), space="default"))
    await admin.ok("POST", "/role-bindings", {"subject": "second", "role_ref": "admin"})
    await roci.write(principals.disable, row.id)
    assert code(await user("PUT", "/service-accounts/second", {"active": True})) == (403, "FORBIDDEN")
    assert code(await user("PUT", "/service-accounts/second", {"space": None})) == (403, "FORBIDDEN")
    assert code(await user("PUT", "/service-accounts/second", {"space": "other"})) == (403, "FORBIDDEN")
