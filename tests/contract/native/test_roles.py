"""/api/v1/roles, /bindings and /access: what is granted, to whom, and why somebody may or may not."""

from __future__ import annotations

from typing import Any

import pytest

from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, People, code

WATCHER = {"name": "watcher", "rules": [{"action": "hosts.read"}]}


async def test_a_role_is_made_shown_changed_and_deleted(api: Api) -> None:
    status, made = await api("POST", "/roles", {**WATCHER, "description": "looks"})
    assert status == 201 and made["rules"] == [{"action": "hosts.read", "resource": "*"}]
    assert (made["dialect"], made["built_in"], made["inherits"], made["text"]) == ("native", False, [], None)
    assert await api("GET", "/roles/watcher") == (200, made)
    assert "watcher" in [row["name"] for row in (await api("GET", "/roles"))[1]["roles"]]
    rules = [{"action": "hosts.*", "resource": "*"}]
    status, changed = await api("PATCH", "/roles/watcher", {"rules": rules, "inherits": ["base"]})
    assert status == 200 and changed["rules"] == rules and changed["inherits"] == ["base"]
    assert changed["description"] == "looks"
    assert (await api("DELETE", "/roles/watcher"))[0] == 200
    for method in ("GET", "PATCH", "DELETE"):
        assert code(await api(method, "/roles/watcher", {} if method == "PATCH" else None)) == (404, "not_found")


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"name": "a b"}, (400, "validation_error")),
        ({"rules": [{"action": ""}]}, (400, "validation_error")),
        ({"rules": [{"action": "a b"}]}, (400, "validation_error")),
        ({"rules": [{"resource": "*"}]}, (400, "validation_error")),
        ({"inherits": ["nobody"]}, (400, "validation_error")),
        ({"inherits": ["watcher"]}, (400, "validation_error")),
        ({"name": "admin"}, (409, "conflict")),
    ],
)
async def test_what_is_wrong_with_a_role_is_said(api: Api, fields: dict[str, Any], expected: Any) -> None:
    assert code(await api("POST", "/roles", {**WATCHER, **fields})) == expected


async def test_what_is_built_in_stays(api: Api) -> None:
    assert code(await api("DELETE", "/roles/admin")) == (409, "conflict")
    assert code(await api("PATCH", "/roles/admin", {"rules": []})) == (409, "conflict")


async def test_a_binding_is_made_listed_and_deleted(api: Api) -> None:
    await api("POST", "/roles", WATCHER)
    status, made = await api("POST", "/bindings", {"subject": "ann", "role": "watcher", "space": "garden"})
    assert status == 201 and (made["subject"], made["role"], made["space"]) == ("ann", "watcher", "garden")
    path = f"/bindings/{made['id']}"
    assert await api("GET", path) == (200, made)
    assert (await api("GET", "/bindings?subject=ann"))[1] == {"bindings": [made], "total": 1}
    assert (await api("GET", "/bindings?role=watcher"))[1]["total"] == 1
    assert (await api("GET", "/bindings"))[1]["total"] == 2
    assert code(await api("POST", "/bindings", {"subject": "ann", "role": "watcher", "space": "garden"}))[0] == 409
    assert (await api("DELETE", path))[0] == 200
    for method in ("GET", "DELETE"):
        assert code(await api(method, path)) == (404, "not_found")


async def test_a_binding_of_a_role_that_is_none_is_refused(api: Api) -> None:
    assert code(await api("POST", "/bindings", {"subject": "ann", "role": "nothing"})) == (404, "not_found")
    assert code(await api("POST", "/bindings", {"subject": "a b", "role": "admin"})) == (400, "validation_error")
    for space in ("../x", "..", "a b", "", "x\n", "x" * 256):
        wrong = {"subject": "ann", "role": "admin", "space": space}
        assert code(await api("POST", "/bindings", wrong)) == (400, "validation_error"), space


async def test_the_last_administrators_binding_stays(api: Api) -> None:
    _, found = await api("GET", "/bindings?role=admin")
    status, body = await api("DELETE", f"/bindings/{found['bindings'][0]['id']}")
    assert status == 409 and "last enabled administrator" in body["error"]["message"]


async def test_who_rules_a_space_gives_and_takes_roles_there_only(api: Api, people: People) -> None:
    await api("POST", "/roles", {"name": "reader", "rules": [{"action": "secrets.list"}]})
    head = await people("head", Rule("bindings.*"), Rule("secrets.*"), space="garden")
    given = {"subject": "ann", "role": "reader"}
    assert code(await head("POST", "/bindings", given)) == (403, "forbidden")
    assert code(await head("POST", "/bindings", {**given, "space": "kitchen"})) == (403, "forbidden")
    assert code(await head("POST", "/bindings", {**given, "role": "admin", "space": "garden"})) == (403, "forbidden")
    status, made = await head("POST", "/bindings", {**given, "space": "garden"})
    assert status == 201
    _, everywhere = await api("POST", "/bindings", given)
    for id in (everywhere["id"], NOBODY):
        assert code(await head("DELETE", f"/bindings/{id}")) == (403, "forbidden")
    assert (await head("DELETE", f"/bindings/{made['id']}"))[0] == 200


# --- why ---------------------------------------------------------------------


async def test_a_yes_and_a_no_come_with_their_reasons(api: Api, people: People) -> None:
    await people("ann", Rule("hosts.read"), Rule("secrets.*", "app/1"))
    _, yes = await api("GET", "/access/explain?subject=ann&action=hosts.read")
    assert yes["allowed"] and yes["subject"] == "ann" and yes["because"][0]["role"] == "of-ann"
    _, nearly = await api("GET", "/access/explain?subject=ann&action=secrets.list&resource=app/2")
    assert not nearly["allowed"] and "app/1" in nearly["why"] and nearly["nearly"][0]["resource"] == "app/1"
    _, no = await api("GET", "/access/explain?subject=ann&action=policies.write")
    assert not no["allowed"] and "no role of theirs grants policies.write" in no["why"]


async def test_everybody_may_ask_why_about_themselves_only(people: People) -> None:
    ann = await people("ann", Rule("hosts.read"))
    for path in ("/access/explain?action=hosts.read", "/access/explain?subject=Ann&action=hosts.read"):
        assert (await ann("GET", path))[1]["allowed"] is True
    for name in ("admin", "nobody"):
        assert code(await ann("GET", f"/access/explain?subject={name}&action=x.y")) == (403, "forbidden")
    assert code(await ann("GET", "/access/explain")) == (400, "validation_error")


async def test_a_narrow_credential_is_the_reason(people: People) -> None:
    narrow = await people("admin", scopes=["hosts.*"])
    _, found = await narrow("GET", "/access/explain?action=policies.write")
    assert not found["allowed"] and "hosts.*" in found["why"]


async def test_every_permission_is_listed_with_its_meaning(people: People) -> None:
    _, found = await (await people("ann"))("GET", "/access/permissions")
    assert {"hosts.read", "principals.create", "access.explain"} <= {row["name"] for row in found["permissions"]}
    assert found["total"] == len(found["permissions"]) and all(row["meaning"] for row in found["permissions"])
