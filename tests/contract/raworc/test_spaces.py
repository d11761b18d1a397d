from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api, code

# As the reference prints it.
STAGING = {"name": "staging", "description": "Staging environment", "settings": {"environment": "staging"}}


async def test_the_default_space_is_there_from_the_start(admin: Api) -> None:
    [only] = await admin.ok("GET", "/spaces")
    shown = {name: only[name] for name in ("name", "description", "settings", "active")}
    assert shown == {"name": "default", "description": "Default space", "settings": {}, "active": True}


async def test_a_space_as_the_reference_makes_it(admin: Api) -> None:
    made = await admin.ok("POST", "/spaces", STAGING)
    assert {name: made[name] for name in STAGING} == STAGING
    assert made["active"] is True and made["created_by"] == "admin" and made["created_at"].endswith("Z")
    assert await admin.ok("GET", "/spaces/staging") == made
    assert [each["name"] for each in await admin.ok("GET", "/spaces")] == ["staging", "default"]
    assert code(await admin("POST", "/spaces", STAGING)) == (409, "CONFLICT")


async def test_a_change_leaves_what_it_does_not_name(admin: Api) -> None:
    made = await admin.ok("POST", "/spaces", STAGING)
    changed = await admin.ok("PUT", "/spaces/staging", {"description": "Updated staging space"})
    assert changed["settings"] == STAGING["settings"] and changed["description"] == "Updated staging space"
    assert changed["updated_at"] > made["updated_at"] and changed["created_at"] == made["created_at"]
    assert (await admin.ok("PUT", "/spaces/staging", {"settings": {"a": 1}, "name": "staging"}))["settings"] == {"a": 1}


async def test_inactive_spaces_are_listed_where_they_are_asked_for(admin: Api) -> None:
    await admin.ok("POST", "/spaces", STAGING)
    await admin.ok("PUT", "/spaces/staging", {"active": False})

    async def names(query: str) -> list[str]:
        return [each["name"] for each in await admin.ok("GET", f"/spaces{query}")]

    assert await names("") == await names("?active=true") == ["default"]
    assert (await names("?active=false"), await names("?active=all")) == (["staging"], ["staging", "default"])
    assert code(await admin("GET", "/spaces?active=perhaps")) == (400, "BAD_REQUEST")


async def test_a_space_that_cannot_be(admin: Api) -> None:
    for wrong in [{"name": "a/b"}, {"name": ".."}, {"name": "."}, {"name": ""}, {"name": 5}, {"settings": []}]:
        assert code(await admin("POST", "/spaces", STAGING | wrong)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "wrong", [{}, {"name": "other"}, {"name": "default"}, {"active": None}, {"settings": None}, {"colour": "red"}]
)
async def test_a_change_that_cannot_be(admin: Api, wrong: dict[str, Any]) -> None:
    assert code(await admin("PUT", "/spaces/default", wrong)) == (400, "BAD_REQUEST")


async def test_spaces_that_are_not(admin: Api) -> None:
    assert code(await admin("GET", "/spaces/nope")) == (404, "NOT_FOUND")
    assert code(await admin("PUT", "/spaces/nope", {"active": True})) == (404, "NOT_FOUND")
    assert code(await admin("DELETE", "/spaces/nope")) == (404, "NOT_FOUND")


async def test_the_default_space_cannot_be_deleted(admin: Api) -> None:
    assert code(await admin("DELETE", "/spaces/default")) == (400, "BAD_REQUEST")


async def test_a_space_goes_with_its_secrets_and_bindings(admin: Api) -> None:
    await admin.ok("POST", "/spaces", STAGING)
    await admin.ok("POST", "/spaces/staging/secrets", {"key_name": "A", "value": "x"})
    await admin.ok("POST", "/role-bindings", {"subject": "u", "role_ref": "developer", "space": "staging"})
    assert await admin.ok("DELETE", "/spaces/staging") == {"success": True}
    assert code(await admin("GET", "/spaces/staging")) == (404, "NOT_FOUND")
    assert code(await admin("GET", "/spaces/staging/secrets")) == (404, "NOT_FOUND")
    assert len(await admin.ok("GET", "/role-bindings")) == 1
    await admin.ok("POST", "/spaces", STAGING)
    assert await admin.ok("GET", "/spaces/staging/secrets") == []
