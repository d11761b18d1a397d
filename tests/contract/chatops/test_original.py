"""What the tests of the product behind this dialect expect, said anew: spec/monitoring.md section 9, and check 20.

They never sign in. One of their 36 is about a name that is not ours, and `/health` says ok, as another seed has it.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

ID = str(uuid.uuid4())
THRESHOLD = {"server_id": ID, "metric_type": "cpu_usage_percent", "threshold_value": 80.0, "comparison": "gt"}
PASSWORDS = {"current_password": "old", "new_password": "new-password", "new_password_confirm": "new-password"}

UNAUTHENTICATED: list[tuple[str, str, Any]] = [
    ("GET", "/servers", None),
    ("POST", "/servers", {"name": "Test"}),
    ("GET", f"/servers/{ID}", None),
    ("PUT", f"/servers/{ID}", {"name": "Updated"}),
    ("DELETE", f"/servers/{ID}", None),
    ("GET", "/alerts", None),
    ("GET", f"/alerts/{ID}", None),
    ("POST", f"/alerts/{ID}/resolve", None),
    ("GET", "/alerts/thresholds", None),
    ("POST", "/alerts/thresholds", THRESHOLD),
    ("PUT", f"/alerts/thresholds/{ID}", {"enabled": False}),
    ("DELETE", f"/alerts/thresholds/{ID}", None),
    ("GET", f"/docker/{ID}/containers", None),
    ("POST", f"/docker/{ID}/containers/abc/start", None),
    ("POST", f"/docker/{ID}/containers/abc/stop", None),
    ("POST", f"/docker/{ID}/containers/abc/restart", None),
    ("POST", "/api-keys", {"server_id": ID, "name": "Test"}),
    ("GET", "/api-keys/me", None),
    ("DELETE", f"/api-keys/{ID}", None),
    ("POST", f"/commands/{ID}", {"command": "ls"}),
    ("GET", f"/logs/{ID}", None),
    ("GET", f"/metrics/{ID}/history", None),
    ("GET", "/auth/me", None),
    ("PUT", "/auth/me", {"full_name": "New"}),
    ("POST", "/auth/logout", None),
    ("POST", "/auth/change-password", PASSWORDS),
    ("POST", "/auth/refresh", {"refresh_token": "junk"}),
]

PERSON = {"email": "a@example.org", "username": "ann", "password": "long enough", "password_confirm": "long enough"}
UNPROCESSABLE: list[tuple[str, Any]] = [
    ("/auth/register", {}),
    ("/auth/register", PERSON | {"password": "short", "password_confirm": "short"}),
    ("/auth/register", PERSON | {"password_confirm": "something else"}),
    ("/auth/register", PERSON | {"email": "nobody"}),
    ("/auth/refresh", {}),
]


SPOKEN = {"Accept": "application/vnd.chatops.v1+json"}  # where the path is another dialect's too


async def answer(client: Client, base: str, method: str, path: str, body: Any) -> tuple[int, Any]:
    shared = base == "/api/v1" and path.startswith("/auth/")
    data = None if body is None else json.dumps(body)
    response = await client.open(f"{base}{path}", method=method, data=data, headers=SPOKEN if shared else {})
    return response.status_code, await response.get_json()


@pytest.mark.parametrize("base", ["/api/v1", "/chatops/api/v1"])
async def test_nobody_is_let_in(anonymous: Client, base: str) -> None:
    assert len(UNAUTHENTICATED) == 27
    for method, path, body in UNAUTHENTICATED:
        status, said = await answer(anonymous, base, method, path, body)
        assert (status, set(said)) == (401, {"detail"}), (method, path)


@pytest.mark.parametrize("base", ["/api/v1", "/chatops/api/v1"])
async def test_what_cannot_be_is_told_of_with_its_places(anonymous: Client, base: str) -> None:
    for path, body in UNPROCESSABLE:
        status, said = await answer(anonymous, base, "POST", path, body)
        assert status == 422 and said["detail"], (path, body)


async def test_an_empty_form_is_told_of_too(anonymous: Client) -> None:
    response = await anonymous.post("/api/v1/auth/login", form={})
    assert response.status_code == 422 and (await response.get_json())["detail"]


async def test_it_says_that_it_is_well(anonymous: Client) -> None:
    response = await anonymous.get("/health")
    assert (response.status_code, (await response.get_json())["status"]) == (200, "ok")
    assert (await anonymous.head("/health")).status_code == 200


async def test_the_root_tells_programs_what_this_is(anonymous: Client) -> None:
    response = await anonymous.get("/", headers={"Accept": "application/json"})
    body = await response.get_json()
    assert response.status_code == 200 and set(body) == {"message", "version", "docs"} and body["docs"] == "/docs"
    for accept in ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", ""):
        page = await anonymous.get("/", headers={"Accept": accept})
        assert page.status_code == 303 and "Accept" in page.headers["Vary"]


async def test_the_description_has_what_this_dialect_serves(anonymous: Client) -> None:
    paths = (await (await anonymous.get("/openapi.json")).get_json())["paths"]
    for path in (
        "/servers",
        "/metrics/{server_id}",
        "/docker/{server_id}/containers",
        "/alerts/thresholds",
        "/api-keys",
    ):
        assert f"/api/v1{path}" in paths
    stop = paths["/api/v1/docker/{server_id}/containers/{container_id}/stop"]["post"]
    assert {"200", "401", "403", "404", "422", "500", "503", "504"} <= set(stop["responses"])
    assert {each["name"]: each["schema"] for each in stop["parameters"]}["server_id"]["format"] == "uuid"
