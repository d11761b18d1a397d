"""People, roles, permissions, platform secrets, status: success, refusal, and one shape of error."""

from __future__ import annotations

import re
from typing import Any

from quart import Quart

from roci import Roci
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, error

OPEN = {
    ("POST", "/auth/register"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("GET", "/auth/mode"),
}
SIGNED_IN = {
    ("GET", "/auth/me"),
    ("GET", "/users"),
    ("GET", "/roles"),
    ("GET", "/permissions"),
    ("GET", "/permissions/available"),
    ("GET", "/permissions/<id>"),
    ("GET", "/status"),
}
NEEDS = {
    ("DELETE", "/users/<id>"): "principals.delete",
    ("POST", "/roles"): "roles.create",
    ("PATCH", "/roles/<name>"): "roles.update",
    ("DELETE", "/roles/<name>"): "roles.delete",
    ("GET", "/roles/assignments"): "bindings.list",
    ("POST", "/roles/assign"): "bindings.create",
    ("POST", "/roles/revoke"): "bindings.delete",
    ("GET", "/platform/secrets"): "secrets.list",
    ("POST", "/platform/secrets"): "secrets.create",
    ("DELETE", "/platform/secrets/<key>"): "secrets.delete",
}
PROTECTED = SIGNED_IN | NEEDS.keys()
OTHERS = ("/auth/oidc/", "/auth/nonce-exchange", "/audit")  # tested where they are made


def filled(path: str) -> str:
    return path.replace("<id>", NOBODY).replace("<name>", "r").replace("<key>", "K")


def test_the_routes_are_those_of_the_contract(app: Quart):
    served = {
        (method, rule.rule.removeprefix("/rootcx/api/v1")): app.view_functions[rule.endpoint].access
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("rootcx_alone.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    served = {route: access for route, access in served.items() if not route[1].startswith(OTHERS)}
    assert served == dict.fromkeys(OPEN, "public") | dict.fromkeys(SIGNED_IN, "signed in") | NEEDS


async def test_a_stranger_is_refused_before_anything_is_looked_at(nobody: Api):
    for method, path in sorted(PROTECTED):
        answer = await nobody(method, path.replace("<id>", "x"), None if method == "GET" else "{")
        assert error(answer)[0] == 401, (method, path)


async def test_who_has_no_role_is_refused(bob: Api):
    for method, path in sorted(NEEDS):
        answer = await bob(method, filled(path), None if method == "GET" else "{")
        assert error(answer)[0] == 403, (method, path)


async def test_the_one_right_a_route_needs_is_enough(roci: Roci, bob: Api):
    for (method, path), action in sorted(NEEDS.items()):
        await grant(roci, "bob@example.com", action)
        status, _ = await bob(method, filled(path), None if method == "GET" else "{}")
        assert status not in (401, 403), (method, path)
        await roci.write(access.remove_role, "given")


async def grant(roci: Roci, name: str, *actions: str) -> None:
    await roci.write(access.add_role, roles.NewRole("given", [Rule(action) for action in actions]))
    await roci.write(access.bind, name, "given")


async def test_what_is_not_served_is_answered_in_this_dialect(admin: Api):
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/users/x/y", 404), ("PUT", "/permissions", 405)):
        assert error(await admin(method, path))[0] == status


async def test_what_only_this_dialect_speaks_of_is_refused_in_it(app: Quart):
    response = await app.test_client().get("/api/v1/apps")
    assert error((response.status_code, await response.get_json()))[0] == 401


async def test_status_says_what_runs(bob: Api):
    status, body = await bob("GET", "/status")
    assert status == 200 and set(body) == {"runtime", "postgres", "forge"}
    assert body["runtime"]["state"] == body["postgres"]["state"] == "online" and body["forge"]["state"] == "offline"


async def test_probes_find_health_where_they_look(app: Quart):
    for path in ("/health", "/rootcx/health"):
        response = await app.test_client().get(path)
        assert (response.status_code, (await response.get_json())["status"]) == (200, "ok")


async def test_health_in_full_is_for_whoever_is_signed_in(app: Quart, bob: Api):
    headers = {"Authorization": f"Bearer {bob.token}"}
    for path in ("/health", "/rootcx/health"):
        body = await (await app.test_client().get(f"{path}?full=true", headers=headers)).get_json()
        assert set(body) == {"status", "memory", "cpu", "disk", "database"} and body["status"] == "ok"
        assert body["memory"]["current_bytes"] > 2**20 and "limit_bytes" in body["memory"] and body["cpu"]["count"] > 0
        assert body["disk"]["total_bytes"] >= body["disk"]["used_bytes"] > 0 < body["disk"]["available_bytes"]
        assert body["database"] == {"reachable": True}
        for nobody in ({}, {"Authorization": "Bearer nonsense"}):
            answer = await app.test_client().get(f"{path}?full=true", headers=nobody)
            assert (answer.status_code, await answer.get_json()) == (200, {"status": "ok"})


# --- people ------------------------------------------------------------------


async def test_people_are_listed_by_address_without_services(roci: Roci, admin: Api, bob: Api, nobody: Api):
    await roci.write(principals.add, NewPrincipal("ci", kind="service", email="a@example.com"))
    await nobody.register("aaron@example.com")
    await given_something(admin, bob)
    status, users = await bob("GET", "/users")
    assert status == 200
    assert [user["email"] for user in users] == ["aaron@example.com", "alice@example.com", "bob@example.com"]


async def given_something(admin: Api, person: Api) -> None:
    await role(admin, "something", "roci:alerts.read")
    await admin("POST", "/roles/assign", {"userId": person.id, "role": "something"})


async def test_who_was_given_nothing_yet_is_told_of_nobody_else(admin: Api, bob: Api):
    await role(admin, "sales", "app:crm:*")
    assert [user["email"] for user in (await bob("GET", "/users"))[1]] == ["bob@example.com"]
    assert await bob("GET", "/roles") == (200, [])
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "base"})
    assert [each["name"] for each in (await bob("GET", "/roles"))[1]] == ["base"]
    assert len((await bob("GET", "/users"))[1]) == 1


async def test_a_removed_person_is_gone_with_their_token_and_roles(admin: Api, bob: Api):
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "base"})
    assert await admin("DELETE", f"/users/{bob.id}") == (200, {"message": "user deleted"})
    assert error(await bob("GET", "/users"))[0] == 401
    assert error(await admin("DELETE", f"/users/{bob.id}"))[0] == 404
    assert [each["userId"] for each in (await admin("GET", "/roles/assignments"))[1]] == [admin.id]


async def test_the_last_administrator_stays(admin: Api, bob: Api):
    assert error(await admin("DELETE", f"/users/{admin.id}"))[0] == 400
    assert error(await admin("POST", "/roles/revoke", {"userId": admin.id, "role": "admin"}))[0] == 400
    assert error(await admin("DELETE", "/roles/admin"))[0] == 400
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "admin"})
    assert (await admin("DELETE", f"/users/{admin.id}"))[0] == 200
    assert error(await bob("DELETE", f"/users/{bob.id}"))[0] == 400


async def test_an_id_that_is_none_is_said_to_be_none(admin: Api):
    for method, path in (("DELETE", "/users/x"), ("GET", "/permissions/x")):
        assert error(await admin(method, path)) == (400, "invalid UUID: 'x'")


async def test_a_service_is_no_user(roci: Roci, admin: Api):
    service = await roci.write(principals.add, NewPrincipal("ci", kind="service"))
    assert error(await admin("DELETE", f"/users/{service.id}"))[0] == 404
    assert error(await admin("POST", "/roles/assign", {"userId": service.id, "role": "base"}))[0] == 404


# --- roles -------------------------------------------------------------------


async def role(admin: Api, name: str, *permissions: str, inherits: list[str] | None = None) -> None:
    body = {"name": name, "permissions": permissions, "inherits": inherits or []}
    assert await admin("POST", "/roles", body) == (200, {"message": f"role '{name}' created"})


async def test_a_role_is_read_as_it_was_written(admin: Api, bob: Api):
    await role(admin, "sales", "app:crm:*", "admin:audit.read")
    await given_something(admin, bob)
    status, listed = await bob("GET", "/roles")
    assert status == 200 and [each["name"] for each in listed] == sorted(each["name"] for each in listed)
    by_name = {each["name"]: each for each in listed}
    sales = {"name": "sales", "description": None, "inherits": [], "permissions": ["app:crm:*", "admin:audit.read"]}
    assert by_name["sales"] == sales
    assert by_name["admin"]["permissions"] == ["*"] and by_name["base"]["permissions"] == []


async def test_a_role_of_another_dialect_is_listed_in_this_ones_words(roci: Roci, admin: Api):
    native = roles.NewRole("ops", [Rule("hosts.*"), Rule("secrets.list", "space/lab")], "Operators")
    await roci.write(access.add_role, native)
    listed = {each["name"]: each for each in (await admin("GET", "/roles"))[1]}
    assert listed["ops"]["permissions"] == ["roci:hosts.*", "roci:secrets.list:space/lab"]
    assert await admin("PATCH", "/roles/ops", {"permissions": listed["ops"]["permissions"]}) == (
        200,
        {"message": "role 'ops' updated"},
    )
    assert (await roci.read(roles.get, "ops")).grants == list(native.rules)


NO_ROLES: list[Any] = [
    {},
    {"name": ""},
    {"name": " "},
    {"name": "a b"},
    {"name": "admin"},
    {"name": "base"},
    {"name": "taken"},
    {"name": "r", "permissions": ["a b"]},
    {"name": "r", "permissions": "a:b"},
    {"name": "r", "permissions": [5]},
    {"name": "r", "inherits": ["unknown"]},
    {"name": "r", "inherits": ["r"]},
    "{",
]


async def test_a_role_that_cannot_be_is_refused(admin: Api):
    await role(admin, "taken")
    for body in NO_ROLES:
        assert error(await admin("POST", "/roles", body))[0] == 400, body


async def test_inheritance_reaches_down_and_never_round(admin: Api, bob: Api):
    await role(admin, "c", "app:crm:contacts.read")
    await role(admin, "b", inherits=["c"])
    await role(admin, "a", inherits=["b"])
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "a"})
    assert (await bob("GET", "/permissions"))[1] == {
        "roles": ["a", "b", "c"],
        "permissions": ["app:crm:contacts.read"],
    }
    assert error(await admin("PATCH", "/roles/c", {"inherits": ["a"]}))[0] == 400
    assert error(await admin("PATCH", "/roles/c", {"inherits": ["c"]}))[0] == 400
    assert error(await admin("PATCH", "/roles/c", {"inherits": ["unknown"]}))[0] == 400


async def test_lists_are_replaced_whole_and_what_is_not_sent_stays(admin: Api):
    await role(admin, "r", "a:b", "c:d")
    assert (await admin("PATCH", "/roles/r", {"permissions": ["e:f"], "description": "of mine"}))[0] == 200
    assert (await admin("PATCH", "/roles/r", {"inherits": ["base"]}))[0] == 200
    listed = {each["name"]: each for each in (await admin("GET", "/roles"))[1]}
    assert listed["r"] == {"name": "r", "description": "of mine", "inherits": ["base"], "permissions": ["e:f"]}


CHANGES: list[tuple[str, Any, int]] = [
    ("r", {}, 400),
    ("r", {"permissions": None}, 400),
    ("r", {"permissions": ["é"]}, 400),
    ("r", {"inherits": "base"}, 400),
    ("admin", {"permissions": []}, 400),
    ("admin", {"inherits": ["base"]}, 400),
    ("admin", {"description": "they"}, 200),
    ("unknown", {"description": "x"}, 404),
    ("unknown", {"permissions": []}, 404),
]


async def test_changes_that_cannot_be_are_refused(admin: Api):
    await role(admin, "r")
    for name, body, status in CHANGES:
        assert (await admin("PATCH", f"/roles/{name}", body))[0] == status, (name, body)


async def test_with_a_role_go_its_assignments(admin: Api, bob: Api):
    await role(admin, "r", "a:b")
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "r"})
    assert await admin("DELETE", "/roles/r") == (200, {"message": "role 'r' deleted"})
    assert (await bob("GET", "/permissions"))[1] == {"roles": [], "permissions": []}
    assert error(await admin("DELETE", "/roles/r"))[0] == 404
    assert error(await admin("DELETE", "/roles/admin"))[0] == 400


async def test_roles_are_assigned_once_and_revoked_once(admin: Api, bob: Api):
    await role(admin, "r", "a:b")
    given = {"userId": bob.id, "role": "r"}
    for _ in range(2):
        assert await admin("POST", "/roles/assign", given) == (200, {"message": "role 'r' assigned"})
    listed = (await admin("GET", "/roles/assignments"))[1]
    assert [(each["userId"], each["role"]) for each in listed] == [(bob.id, "r"), (admin.id, "admin")]
    assert all(re.fullmatch(r"\d{4}-.*Z", each["assignedAt"]) for each in listed)
    assert await admin("POST", "/roles/revoke", given) == (200, {"message": "role 'r' revoked"})
    assert error(await admin("POST", "/roles/revoke", given))[0] == 404


async def test_an_assignment_that_cannot_be_is_refused(admin: Api, bob: Api):
    for user_id, name, status in (
        ("x", "base", 400),
        (NOBODY, "base", 404),
        (None, "base", 400),
        (bob.id, "unknown", 400),
        (bob.id, "", 400),
    ):
        answer = await admin("POST", "/roles/assign", {"userId": user_id, "role": name})
        assert error(answer)[0] == status, (user_id, name)


async def test_nobody_grants_what_they_lack(roci: Roci, admin: Api, bob: Api):
    await role(admin, "powerful", "app:crm:*")
    await grant(roci, "bob@example.com", "roles.*", "bindings.*", "app:shop:*", "principals.*")
    assert error(await bob("POST", "/roles", {"name": "x", "permissions": ["*"]}))[0] == 403
    assert error(await bob("POST", "/roles", {"name": "x", "permissions": ["app:crm:contacts.read"]}))[0] == 403
    assert error(await bob("POST", "/roles", {"name": "x", "inherits": ["powerful"]}))[0] == 403
    assert error(await bob("POST", "/roles/assign", {"userId": bob.id, "role": "admin"}))[0] == 403
    assert error(await bob("PATCH", "/roles/given", {"permissions": ["*"]}))[0] == 403
    assert (await bob("POST", "/roles", {"name": "x", "permissions": ["app:shop:items.read"]}))[0] == 200


# --- permissions -------------------------------------------------------------


async def test_people_see_their_own_permissions_and_who_may_ask_sees_others(admin: Api, bob: Api):
    await role(admin, "r", "b:c", "a:b")
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "r"})
    own = {"roles": ["r"], "permissions": ["a:b", "b:c"]}
    assert await bob("GET", "/permissions") == await bob("GET", f"/permissions/{bob.id}") == (200, own)
    assert await admin("GET", f"/permissions/{bob.id}") == (200, own)
    assert error(await bob("GET", f"/permissions/{admin.id}"))[0] == 403
    assert error(await admin("GET", f"/permissions/{NOBODY}"))[0] == 404


async def test_a_role_bound_to_one_space_is_not_held_here(roci: Roci, admin: Api, bob: Api):
    await role(admin, "r", "a:b")
    await roci.write(access.bind, "bob@example.com", "r", "default")
    assert (await bob("GET", "/permissions"))[1] == {"roles": [], "permissions": []}


async def test_all_keys_are_told_to_everybody(bob: Api):
    status, keys = await bob("GET", "/permissions/available")
    assert status == 200
    assert {"*", "admin:secrets.manage", "roci:hosts.read"} <= {each["key"] for each in keys}
    assert all(set(each) == {"key", "description"} for each in keys)


async def test_a_token_for_little_shows_little(roci: Roci, nobody: Api, admin: Api):
    _, secret = await roci.write(credentials.issue, admin.id, "ci", ["hosts.*"])
    assert (await Api(nobody.client, token=secret)("GET", "/permissions"))[1]["permissions"] == ["roci:hosts.*"]


async def test_a_token_for_little_does_not_see_who_is_here(roci: Roci, nobody: Api, admin: Api, bob: Api):
    for path, action in (("/users", "principals.list"), ("/roles", "roles.list")):
        assert (await bob("GET", path))[0] == 200
        for scope, status in (("hosts.*", 403), (action, 200)):
            _, secret = await roci.write(credentials.issue, admin.id, f"{path} {scope}", [scope])
            assert (await Api(nobody.client, token=secret)("GET", path))[0] == status, (path, scope)


# --- platform secrets --------------------------------------------------------


async def test_secrets_go_in_and_only_their_names_come_out(admin: Api):
    done = (200, {"message": "secret 'STRIPE_KEY' set", "workers_restarted": 0})
    for value in ("sk_live_1", "sk_live_2"):
        assert await admin("POST", "/platform/secrets", {"key": "STRIPE_KEY", "value": value}) == done
    await admin("POST", "/platform/secrets", {"key": "A_KEY", "value": ""})
    assert await admin("GET", "/platform/secrets") == (200, ["A_KEY", "STRIPE_KEY"])
    gone = (200, {"message": "secret 'A_KEY' deleted", "workers_restarted": 0})
    assert await admin("DELETE", "/platform/secrets/A_KEY") == gone
    assert error(await admin("DELETE", "/platform/secrets/A_KEY"))[0] == 404


async def test_a_secret_that_cannot_be_is_refused(admin: Api):
    bodies: list[Any] = [{}, {"key": "K"}, {"value": "v"}, {"key": "", "value": "v"}, {"key": "a-b", "value": "v"}]
    for body in [*bodies, {"key": 1, "value": "v"}, {"key": "K", "value": 1}, {"key": "K\n", "value": "v"}]:
        assert error(await admin("POST", "/platform/secrets", body))[0] == 400, body


async def test_the_key_for_secrets_is_enough_and_of_one_app_is_not(admin: Api, bob: Api):
    await role(admin, "app", "app:crm:*")
    await role(admin, "keeper", "admin:secrets.manage")
    secret = {"key": "K", "value": "v"}
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "app"})
    assert error(await bob("POST", "/platform/secrets", secret))[0] == 403
    await admin("POST", "/roles/assign", {"userId": bob.id, "role": "keeper"})
    assert [(await bob("POST", "/platform/secrets", secret))[0] for _ in range(2)] == [200, 200]
    assert (await bob("GET", "/platform/secrets"))[1] == ["K"]
    assert (await bob("DELETE", "/platform/secrets/K"))[0] == 200


async def test_to_replace_a_secret_is_to_update_it(roci: Roci, admin: Api, bob: Api):
    await grant(roci, "bob@example.com", "secrets.create")
    secret = {"key": "K", "value": "v"}
    assert (await bob("POST", "/platform/secrets", secret))[0] == 200
    assert error(await bob("POST", "/platform/secrets", secret))[0] == 403
