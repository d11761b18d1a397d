"""Who may do what: the reference results, and what is checked before what."""

from __future__ import annotations

from typing import Any

import pytest_asyncio

from .conftest import PASSWORD, Api, code

SECRET = {"key_name": "A", "value": "x"}
FORBIDDEN = (403, "FORBIDDEN")


@pytest_asyncio.fixture
async def staged(admin: Api) -> Api:
    await admin.ok("POST", "/spaces", {"name": "staging"})
    return admin


async def allowed(api: Api, method: str, path: str, body: Any = None) -> bool:
    status, answered = await api(method, path, body)
    assert status in (200, 403), answered
    return status == 200


async def test_an_account_without_bindings_sees_itself_and_no_more(staged: Api) -> None:
    user = await staged.account("u")
    for path in ("/spaces", "/roles", "/role-bindings", "/service-accounts", "/spaces/default/secrets", "/roles/admin"):
        assert code(await user("GET", path)) == FORBIDDEN, path
    assert (await user.ok("GET", "/auth/me"))["user"] == "u"
    own = await user.ok("GET", "/service-accounts/u")
    assert await user.ok("GET", f"/service-accounts/{own['id']}") == own
    assert code(await user("GET", "/service-accounts/admin")) == FORBIDDEN
    body = {"current_password": PASSWORD, "new_password": "n"}
    assert (await user("PUT", "/service-accounts/u/password", body))[0] == 200


async def test_a_developer_of_a_space(staged: Api) -> None:
    user = await staged.account("u", ("developer", "staging"))
    assert await allowed(user, "GET", "/spaces/staging/secrets")
    assert not await allowed(user, "POST", "/spaces/staging/secrets", SECRET)
    assert not await allowed(user, "GET", "/spaces/default/secrets")
    assert not await allowed(user, "GET", "/service-accounts")
    assert not await allowed(user, "GET", "/spaces")


async def test_an_operator_of_a_space(staged: Api) -> None:
    user = await staged.account("u", ("operator", "staging"))
    assert await allowed(user, "GET", "/spaces")
    assert await allowed(user, "POST", "/spaces/staging/secrets", SECRET)
    assert not await allowed(user, "GET", "/spaces/staging/secrets/A?show_values=1")
    assert not await allowed(user, "POST", "/spaces/default/secrets", SECRET)
    assert not await allowed(user, "POST", "/spaces", {"name": "more"})
    assert not await allowed(user, "PUT", "/spaces/staging", {"description": "x"})


async def test_an_operator_everywhere(staged: Api) -> None:
    user = await staged.account("u", ("operator", None))
    assert await allowed(user, "POST", "/spaces/staging/secrets", SECRET)
    assert await allowed(user, "POST", "/spaces/default/secrets", SECRET)
    assert not await allowed(user, "GET", "/roles")


async def test_an_administrator_of_one_space_is_none_elsewhere(staged: Api) -> None:
    user = await staged.account("u", ("admin", "staging"))
    assert not await allowed(user, "POST", "/spaces", {"name": "more"})
    assert not await allowed(user, "POST", "/service-accounts", {"user": "x", "pass": "x"})
    assert await allowed(user, "POST", "/spaces/staging/secrets", SECRET)
    assert await allowed(user, "GET", "/spaces/staging/secrets/A?show_values=1")
    assert not await allowed(user, "GET", "/spaces/default/secrets")
    assert await allowed(user, "GET", "/spaces")
    assert await allowed(user, "PUT", "/spaces/staging", {"description": "x"})
    assert not await allowed(user, "PUT", "/spaces/default", {"description": "x"})
    assert not await allowed(user, "GET", "/roles")


async def test_an_administrator_of_one_space_gives_roles_in_it_only(staged: Api) -> None:
    user = await staged.account("u", ("admin", "staging"))
    inside = {"subject": "x", "role_ref": "developer", "space": "staging"}
    made = await user.ok("POST", "/role-bindings", inside)
    assert code(await user("POST", "/role-bindings", {**inside, "space": "default"})) == FORBIDDEN
    assert code(await user("POST", "/role-bindings", {**inside, "space": None})) == FORBIDDEN
    other = await staged.ok("POST", "/role-bindings", {**inside, "space": "default"})
    assert code(await user("DELETE", f"/role-bindings/{other['id']}")) == FORBIDDEN
    assert code(await user("DELETE", "/role-bindings/admin-binding")) == FORBIDDEN
    assert code(await user("DELETE", "/role-bindings/nope")) == FORBIDDEN
    await user.ok("DELETE", f"/role-bindings/{made['id']}")


async def test_an_account_of_one_space_does_not_leave_it(staged: Api) -> None:
    await staged.ok("POST", "/service-accounts", {"user": "u", "pass": PASSWORD, "space": "staging"})
    await staged.ok("POST", "/role-bindings", {"subject": "u", "role_ref": "admin"})
    user = await staged.as_("u")
    assert await allowed(user, "POST", "/spaces/staging/secrets", SECRET)
    assert await allowed(user, "GET", "/spaces")
    assert not await allowed(user, "GET", "/spaces/default/secrets")
    assert not await allowed(user, "POST", "/spaces", {"name": "more"})


async def test_nobody_grants_what_they_lack(staged: Api) -> None:
    rules = [{"resources": ["roles", "role-bindings"], "verbs": ["*"], "scope": "global"}]
    await staged.ok("POST", "/roles", {"id": "granter", "rules": rules})
    user = await staged.account("u", ("granter", None))
    assert code(await user("POST", "/role-bindings", {"subject": "u", "role_ref": "admin"})) == FORBIDDEN
    more = [{"resources": ["secrets"], "verbs": ["get"], "scope": "space"}]
    assert code(await user("POST", "/roles", {"id": "more", "rules": more})) == FORBIDDEN
    assert code(await user("POST", "/roles", {"id": "developer", "rules": more})) == FORBIDDEN
    assert code(await staged("GET", "/roles/more")) == (404, "NOT_FOUND")
    await user.ok("POST", "/roles", {"id": "same", "rules": rules})


# --- who asks, then the form of the body, then whether they may, then whether there is such a thing ---

WITH_BODY = [
    ("POST", "/service-accounts"),
    ("PUT", "/service-accounts/admin"),
    ("POST", "/roles"),
    ("POST", "/role-bindings"),
    ("POST", "/spaces"),
    ("PUT", "/spaces/nope"),
    ("POST", "/spaces/nope/secrets"),
    ("PUT", "/spaces/nope/secrets/A"),
]
WITHOUT = [
    ("GET", "/service-accounts"),
    ("GET", "/service-accounts/nope"),
    ("DELETE", "/service-accounts/nope"),
    ("GET", "/roles"),
    ("GET", "/roles/nope"),
    ("DELETE", "/roles/nope"),
    ("GET", "/role-bindings"),
    ("GET", "/role-bindings/nope"),
    ("DELETE", "/role-bindings/nope"),
    ("GET", "/spaces"),
    ("GET", "/spaces/nope"),
    ("DELETE", "/spaces/nope"),
    ("GET", "/spaces/nope/secrets"),
    ("GET", "/spaces/nope/secrets/A"),
    ("DELETE", "/spaces/nope/secrets/A"),
]


async def test_nobody_hears_of_the_body(admin: Api, nobody: Api) -> None:
    user = await admin.account("u")
    for method, path in WITH_BODY:
        assert code(await nobody(method, path, "{")) == (401, "UNAUTHORIZED")
        for broken in ("{", "[]", {"name": 5, "user": 5, "id": 5, "subject": 5, "description": 5}):
            assert code(await user(method, path, broken)) == (400, "BAD_REQUEST"), path


async def test_names_do_not_leak_to_who_may_not(admin: Api, nobody: Api) -> None:
    user = await admin.account("u")
    for method, path in WITHOUT:
        assert code(await nobody(method, path)) == (401, "UNAUTHORIZED")
        answer = await user(method, path)
        assert code(answer) == FORBIDDEN and answer[1]["error"]["message"] == "Insufficient permissions", path


async def test_what_is_not_there_is_called_as_the_reference_calls_it(admin: Api) -> None:
    for path, text in {
        "/service-accounts/nope": "Service account not found",
        "/roles/nope": "Role not found",
        "/role-bindings/nope": "Role binding not found",
        "/spaces/nope": "Space not found",
        "/spaces/nope/secrets/A": "Space not found",
        "/spaces/default/secrets/A": "Secret not found",
    }.items():
        for method in ("GET", "DELETE"):
            status, body = await admin(method, path)
            assert (status, body["error"]["message"]) == (404, text), path
    for method, path, body in (
        ("POST", "/role-bindings", {"subject": "x", "role_ref": "nope"}),
        ("GET", "/spaces/default/secrets/A?show_values=true", None),
    ):
        status, answered = await admin(method, path, body)
        assert status == 404 and answered["error"]["message"] in ("Role not found", "Secret not found"), path


async def test_a_well_formed_body_is_judged_by_rights(admin: Api) -> None:
    user = await admin.account("u")
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/service-accounts"): {"user": "x", "pass": "x"},
        ("PUT", "/service-accounts/nope"): {"active": True},
        ("POST", "/roles"): {"id": "x", "rules": [{"resources": ["x"], "verbs": ["x"]}]},
        ("POST", "/role-bindings"): {"subject": "x", "role_ref": "nope"},
        ("POST", "/spaces"): {"name": "x"},
        ("PUT", "/spaces/nope"): {"active": True},
        ("POST", "/spaces/nope/secrets"): SECRET,
        ("PUT", "/spaces/nope/secrets/A"): {"value": "x"},
    }
    for (method, path), body in bodies.items():
        assert code(await user(method, path, body)) == FORBIDDEN, path
