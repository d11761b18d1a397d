from __future__ import annotations

from typing import Any

from roci import Roci
from roci_plugins.domain import access
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.surfaces.raworc import factory

from .conftest import Api, code

# As the reference prints them.
FACTORY = [
    {
        "name": "admin",
        "description": "Full administrative access to all resources",
        "rules": [{"resources": ["*"], "verbs": ["*"], "scope": "global"}],
    },
    {
        "name": "operator",
        "description": "Session and secret management permissions",
        "rules": [
            {
                "resources": ["sessions", "agents", "secrets"],
                "verbs": ["create", "read", "update", "delete", "list"],
                "scope": "space",
            },
            {"resources": ["spaces"], "verbs": ["read", "list"], "scope": "global"},
        ],
    },
    {
        "name": "developer",
        "description": "Development access without secret modification",
        "rules": [
            {"resources": ["sessions", "agents"], "verbs": ["create", "read", "update", "list"], "scope": "space"},
            {"resources": ["secrets"], "verbs": ["read", "list"], "scope": "space"},
        ],
    },
]
WRITTEN = {"apiGroups": [""], "resources": ["sessions", "messages"], "verbs": ["get", "list", "create"]}
DEVELOPER = {"id": "developer", "description": "Developer role", "rules": [WRITTEN]}
BINDING = {"subject": "api-user", "role_ref": "developer", "space": "staging"}


def rule(**changes: Any) -> dict[str, Any]:
    return {"resources": ["secrets"], "verbs": ["get"], **changes}


# --- roles ---


async def test_the_roles_of_a_fresh_server_are_those_of_the_reference(admin: Api) -> None:
    listed = await admin.ok("GET", "/roles")
    assert [{name: each[name] for name in ("name", "description", "rules")} for each in listed] == FACTORY
    assert [await admin.ok("GET", f"/roles/{each['name']}") for each in listed] == listed


async def test_the_role_of_the_reference_replaces_the_one_of_its_name_once(admin: Api) -> None:
    await admin.ok("POST", "/role-bindings", BINDING)
    made = await admin.ok("POST", "/roles", DEVELOPER)
    assert made["name"] == made["id"] == "developer" and made["description"] == "Developer role"
    assert made["rules"] == [{**WRITTEN, "scope": "space"}]
    assert await admin.ok("GET", "/roles/developer") == made
    assert code(await admin("POST", "/roles", DEVELOPER)) == (409, "CONFLICT")
    assert len(await admin.ok("GET", "/role-bindings")) == 2


async def test_a_new_role_goes_with_its_bindings(admin: Api) -> None:
    await admin.ok("POST", "/roles", {"name": "reader", "rules": [rule()]})
    made = await admin.ok("POST", "/role-bindings", {"subject": "x", "role_ref": "reader"})
    assert await admin.ok("DELETE", "/roles/reader") == {"success": True}
    assert code(await admin("GET", "/roles/reader")) == (404, "NOT_FOUND")
    assert code(await admin("DELETE", "/roles/reader")) == (404, "NOT_FOUND")
    assert code(await admin("GET", f"/role-bindings/{made['id']}")) == (404, "NOT_FOUND")


async def test_a_removed_factory_role_stays_away(admin: Api, roci: Roci) -> None:
    await admin.ok("DELETE", "/roles/operator")
    await roci.write(factory.begin)  # as the next start does
    assert code(await admin("GET", "/roles/operator")) == (404, "NOT_FOUND")


async def test_admin_is_neither_removed_nor_replaced(admin: Api) -> None:
    assert code(await admin("DELETE", "/roles/admin")) == (409, "CONFLICT")
    assert code(await admin("POST", "/roles", {**DEVELOPER, "id": "admin"})) == (409, "CONFLICT")


async def test_a_role_that_cannot_be(admin: Api) -> None:
    for wrong in [
        {"id": "a b"},
        {"id": None},
        {"rules": []},
        {"rules": "x"},
        {"rules": [rule(resources=[])]},
        {"rules": [rule(verbs=[])]},
        {"rules": [rule(verbs="get")]},
        {"rules": [rule(scope="cluster")]},
        {"rules": [rule(scope=5)]},
        {"rules": [{"verbs": ["get"]}]},
    ]:
        assert code(await admin("POST", "/roles", DEVELOPER | {"id": "new"} | wrong)) == (400, "BAD_REQUEST")


async def test_words_nobody_knows_are_kept_and_grant_nothing(admin: Api) -> None:
    odd = [rule(resources=["pods", "hosts"], verbs=["watch", "read"], scope="GLOBAL")]
    made = await admin.ok("POST", "/roles", {"id": "odd", "rules": odd})
    assert made["rules"] == [{**odd[0], "scope": "global"}]
    user = await admin.account("u", ("odd", None))
    assert code(await user("GET", "/spaces/default/secrets")) == (403, "FORBIDDEN")


async def test_roles_of_other_dialects_read_as_rules_of_this_one(admin: Api, roci: Roci) -> None:
    await roci.write(access.add_role, NewRole("watch", [Rule("principals.list"), Rule("secrets.*", "space/*")]))
    shown = await admin.ok("GET", "/roles/watch")
    assert shown["rules"] == [
        {"resources": ["service-accounts"], "verbs": ["list"], "scope": "global"},
        {"resources": ["secrets"], "verbs": ["*"], "scope": "space"},
    ]
    assert [each["name"] for each in await admin.ok("GET", "/roles")][-1] == "watch"


async def test_a_copy_of_a_role_of_another_dialect_grants_no_more_than_it(admin: Api, roci: Roci) -> None:
    await roci.write(access.add_role, NewRole("narrow", [Rule("secrets.list", "platform")]))
    shown = (await admin.ok("GET", "/roles/narrow"))["rules"]
    assert shown == [{"resources": ["platform/secrets"], "verbs": ["list"], "scope": "space"}]
    assert (await admin.ok("POST", "/roles", {"id": "copy", "rules": shown}))["rules"] == shown
    user = await admin.account("u", ("copy", None))
    assert code(await user("GET", "/spaces/default/secrets")) == (403, "FORBIDDEN")


async def test_a_role_that_another_dialect_changed_reads_as_it_is_now(admin: Api, roci: Roci) -> None:
    await admin.ok("POST", "/roles", {"id": "mine", "rules": [rule(scope="space")]})
    for name in ("mine", "operator"):
        await roci.write(access.change_role, name, rules=[Rule("secrets.list", "space/*")])
        changed = [{"resources": ["secrets"], "verbs": ["list"], "scope": "space"}]
        assert (await admin.ok("GET", f"/roles/{name}"))["rules"] == changed


async def test_what_a_role_inherits_is_shown_as_its_own(admin: Api, roci: Roci) -> None:
    await roci.write(access.add_role, NewRole("child", [Rule("spaces.list")], inherits=["developer"]))
    shown = (await admin.ok("GET", "/roles/child"))["rules"]
    assert {"resources": ["secrets"], "verbs": ["get"], "scope": "space"} in shown and len(shown) == 11


# --- bindings ---


async def test_the_first_binding_is_the_administrators(admin: Api) -> None:
    [only] = await admin.ok("GET", "/role-bindings")
    assert list(only) == ["id", "subject", "role_ref", "space", "created_at", "updated_at"]
    assert (only["id"], only["subject"], only["role_ref"], only["space"]) == (
        "admin-binding",
        "admin",
        "admin",
        None,
    )


async def test_a_binding_as_the_reference_makes_it(admin: Api) -> None:
    made = await admin.ok("POST", "/role-bindings", BINDING)
    assert {name: made[name] for name in BINDING} == BINDING and made["id"] and made["created_at"].endswith("Z")
    assert await admin.ok("GET", f"/role-bindings/{made['id']}") == made
    assert [each["id"] for each in await admin.ok("GET", "/role-bindings")] == [made["id"], "admin-binding"]
    assert code(await admin("POST", "/role-bindings", BINDING)) == (409, "CONFLICT")
    assert await admin.ok("DELETE", f"/role-bindings/{made['id']}") == {"success": True}
    assert code(await admin("DELETE", f"/role-bindings/{made['id']}")) == (404, "NOT_FOUND")


async def test_a_binding_may_bring_its_id_and_other_words(admin: Api) -> None:
    made = await admin.ok("POST", "/role-bindings", {"principal": "x", "role_name": "operator", "id": "mine"})
    assert (made["id"], made["subject"], made["role_ref"]) == ("mine", "x", "operator")
    taken = {"subject": "y", "role_ref": "operator", "id": "mine"}
    assert code(await admin("POST", "/role-bindings", taken)) == (409, "CONFLICT")


async def test_a_role_is_bound_to_somebody_named_by_an_address(admin: Api) -> None:
    for subject in ("ann@example.org", "ann+home"):
        made = await admin.ok("POST", "/role-bindings", {"subject": subject, "role_ref": "operator"})
        assert made["subject"] == subject
    for wrong in ("ann@example.org\n", "a:b", ""):
        sent = {"subject": wrong, "role_ref": "operator"}
        assert code(await admin("POST", "/role-bindings", sent)) == (400, "BAD_REQUEST")


async def test_a_binding_that_cannot_be(admin: Api) -> None:
    assert code(await admin("POST", "/role-bindings", {**BINDING, "role_ref": "nope"})) == (404, "NOT_FOUND")
    for wrong in ({"subject": "a b"}, {"space": "a/b"}, {"space": ".."}, {"role_ref": None}, {"subject": 5}):
        assert code(await admin("POST", "/role-bindings", BINDING | wrong)) == (400, "BAD_REQUEST")
