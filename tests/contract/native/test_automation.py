"""/api/v1/automation and /api/v1/registry-credentials: keys are shown once, secrets never."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from roci import now
from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, People, code

KEYS, CREDENTIALS = "/automation/keys", "/registry-credentials"


async def make(api: Api, path: str, body: Any) -> dict[str, Any]:
    status, made = await api("POST", path, body)
    assert status == 201, made
    return dict(made)


async def credential(api: Api, name: str = "hub", **fields: Any) -> dict[str, Any]:
    new = {"name": name, "registry_type": "ghcr", "username": "me", "secret": "hunter2hunter2", **fields}
    return await make(api, CREDENTIALS, new)


async def test_a_key_is_shown_once(api: Api) -> None:
    made = await make(api, KEYS, {"name": "ci"})
    key = made.pop("key")
    assert key.startswith("rca_") and len(key) == 47
    assert made == {
        "id": str(uuid.UUID(made["id"])),
        "name": "ci",
        "key_prefix": key[:8],
        "owner": "admin",
        "owner_id": made["owner_id"],
        "allowed_server_ids": [],
        "allowed_operations": [],
        "allowed_credential_ids": [],
        "ip_allowlist": [],
        "rate_limit_per_minute": 100,
        "state": "valid",
        "operation_count": 0,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
    }
    assert await api("GET", f"{KEYS}/{made['id']}") == (200, made)
    assert await api("GET", KEYS) == (200, {"keys": [made], "total": 1})
    assert (await api("GET", f"{KEYS}?limit=1&offset=1"))[1] == {"keys": [], "total": 1}


async def test_a_key_is_limited_as_it_is_asked(api: Api) -> None:
    hub = await credential(api)
    limits = {
        "allowed_server_ids": [NOBODY],
        "allowed_operations": ["deploy", "exec"],
        "allowed_credential_ids": [hub["id"]],
        "ip_allowlist": ["203.0.113.0/24"],
        "rate_limit_per_minute": 5,
        "expires_at": "2099-01-01T00:00:00.000Z",
    }
    made = await make(api, KEYS, {"name": "ci", **limits})
    assert limits.items() <= made.items()
    status, changed = await api(
        "PATCH", f"{KEYS}/{made['id']}", {"expires_at": None, "allowed_operations": [], "name": "cd"}
    )
    assert status == 200
    assert (changed["expires_at"], changed["allowed_operations"], changed["name"]) == (None, [], "cd")
    assert changed["ip_allowlist"] == ["203.0.113.0/24"] and "key" not in changed


async def test_limits_that_make_no_sense_are_refused(api: Api) -> None:
    made = await make(api, KEYS, {"name": "ci"})
    over = (now() - datetime.timedelta(seconds=1)).isoformat()
    for wrong in (
        {"name": ""},
        {"name": "x" * 101},
        {"allowed_server_ids": ["nas"]},
        {"allowed_server_ids": None},
        {"allowed_operations": ["format"]},
        {"allowed_operations": "exec"},
        {"allowed_credential_ids": [NOBODY]},
        {"ip_allowlist": ["here"]},
        {"ip_allowlist": ["10.0.0.0/33"]},
        {"rate_limit_per_minute": 0},
        {"rate_limit_per_minute": 1001},
        {"rate_limit_per_minute": True},
        {"expires_at": over},
        {"expires_at": "tomorrow"},
        {"expires_at": "2099-01-01T00:00:00"},
    ):
        assert code(await api("POST", KEYS, {"name": "ci", **wrong})) == (400, "validation_error"), wrong
        assert code(await api("PATCH", f"{KEYS}/{made['id']}", wrong)) == (400, "validation_error"), wrong
    assert code(await api("POST", KEYS, {})) == (400, "validation_error")


async def test_a_limit_that_is_mistyped_makes_no_key_without_it(api: Api) -> None:
    mistyped = {"allowed_operation": ["exec"]}
    assert code(await api("POST", KEYS, {"name": "ci", **mistyped})) == (400, "validation_error")
    assert (await api("GET", KEYS))[1]["total"] == 0
    made = await make(api, KEYS, {"name": "ci"})
    assert code(await api("PATCH", f"{KEYS}/{made['id']}", mistyped)) == (400, "validation_error")


async def test_a_revoked_key_is_still_listed(api: Api) -> None:
    made = await make(api, KEYS, {"name": "ci"})
    for _ in range(2):
        assert (await api("DELETE", f"{KEYS}/{made['id']}"))[0] == 200
    _, shown = await api("GET", f"{KEYS}/{made['id']}")
    assert shown["state"] == "revoked" and shown["revoked_at"]
    assert code(await api("PATCH", f"{KEYS}/{made['id']}", {"name": "again"})) == (409, "conflict")


@pytest.mark.parametrize("path", [KEYS, CREDENTIALS])
async def test_ids_that_are_none(api: Api, path: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        assert code(await api(method, f"{path}/{NOBODY}", {} if method == "PATCH" else None)) == (404, "not_found")
        assert code(await api(method, f"{path}/xyz")) == (400, "bad_request")


async def test_who_may_make_keys_makes_none_for_what_they_lack(people: People) -> None:
    bob = await people("bob", Rule("automation.create"), Rule("hosts.exec"))
    assert code(await bob("POST", KEYS, {"name": "all"})) == (403, "forbidden")
    made = await make(bob, KEYS, {"name": "ci", "allowed_operations": ["exec"]})
    assert made["owner"] == "bob"


async def test_a_credentials_secret_goes_in_and_never_out(api: Api) -> None:
    made = await credential(api, description="for CI")
    assert made == {
        "id": str(uuid.UUID(made["id"])),
        "name": "hub",
        "registry_type": "ghcr",
        "registry_url": "ghcr.io",
        "username": "me",
        "description": "for CI",
        "created_by": "admin",
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert await api("GET", f"{CREDENTIALS}/{made['id']}") == (200, made)
    assert await api("GET", CREDENTIALS) == (200, {"credentials": [made], "total": 1})
    status, changed = await api("PATCH", f"{CREDENTIALS}/{made['id']}", {"secret": "another-one", "username": "you"})
    assert status == 200 and changed["username"] == "you"
    _, trail = await api("GET", "/audit?limit=1000")
    _, secrets = await api("GET", "/secrets")
    assert not {"hunter2hunter2", "another-one"} & set(str((trail, secrets, changed)).split("'"))
    assert code(await api("GET", f"/secrets/password?scope=registry/{made['id']}"))[0] == 404


async def test_a_stored_secret_is_sent_nowhere_else(api: Api) -> None:
    path = f"{CREDENTIALS}/{(await credential(api))['id']}"
    answer = await api("PATCH", path, {"registry_url": "127.0.0.1:5000"})
    assert code(answer) == (400, "validation_error")
    assert answer[1]["error"]["message"] == "secret: send it again, since registry_url has changed"
    assert (await api("PATCH", path, {"registry_url": "127.0.0.1:5000", "secret": "another-one"}))[0] == 200


async def test_credentials_that_make_no_sense_are_refused(api: Api) -> None:
    made = await credential(api)
    for wrong in (
        {"name": ""},
        {"registry_type": "ecr"},
        {"registry_url": "ghcr.io x"},
        {"username": ""},
        {"secret": ""},
    ):
        new = {"name": "other", "registry_type": "ghcr", "username": "me", "secret": "x", **wrong}
        assert code(await api("POST", CREDENTIALS, new)) == (400, "validation_error"), wrong
        assert code(await api("PATCH", f"{CREDENTIALS}/{made['id']}", wrong)) == (400, "validation_error"), wrong
    new = {"name": "HUB", "registry_type": "ghcr", "username": "me", "secret": "x"}
    assert code(await api("POST", CREDENTIALS, new)) == (409, "conflict")
    assert code(await api("POST", CREDENTIALS, {**new, "name": "e", "registry_type": "aws_ecr"}))[0] == 400


async def test_a_credential_that_a_key_is_limited_to_stays(api: Api) -> None:
    hub = await credential(api)
    key = await make(api, KEYS, {"name": "ci", "allowed_credential_ids": [hub["id"]]})
    answer = await api("DELETE", f"{CREDENTIALS}/{hub['id']}")
    assert code(answer) == (409, "conflict") and "'ci'" in answer[1]["error"]["message"]
    assert (await api("DELETE", f"{KEYS}/{key['id']}"))[0] == 200
    assert (await api("DELETE", f"{CREDENTIALS}/{hub['id']}"))[0] == 200
    assert (await api("GET", CREDENTIALS))[1]["total"] == 0


async def test_the_audit_view_takes_a_right(api: Api, people: People) -> None:
    assert await api("GET", "/automation/audit") == (200, {"entries": [], "total": 0})
    bob = await people("bob", Rule("automation.*"))
    assert code(await bob("GET", "/automation/audit")) == (403, "forbidden")
