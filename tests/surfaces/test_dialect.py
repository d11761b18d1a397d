from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from quart import Quart, request

from roci_plugins.surfaces.dialect import dialect

FORM = "application/x-www-form-urlencoded"


def token(payload: Any) -> str:
    """As nobody signed it: the dialect of a token is read before it is believed."""
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"Bearer eyJhbGciOiJIUzI1NiJ9.{part}.c2lnbmF0dXJl"


async def spoken(path: str, body: Any = b"", **headers: str) -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with Quart("test").test_request_context(path, method="POST", headers=named, data=data):
        return dialect(request, data)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, "native"),
        ({"Accept": "application/json"}, "native"),
        ({"Accept": "application/vnd.rootcx.v1+json"}, "rootcx"),
        ({"Accept": "text/html, Application/vnd.RootCX.v1+json;q=0.8"}, "rootcx"),
        ({"Accept": "application/vnd.chatops.v1+json"}, "chatops"),
        ({"Authorization": token({"aud": "rootcx"})}, "rootcx"),
        ({"Authorization": token({"aud": "rootcx"}).replace("Bearer", "bearer ")}, "rootcx"),
        ({"Authorization": token({"aud": "chatops"})}, "chatops"),
        ({"Authorization": token({"iss": "raworc-rbac"})}, "native"),
        ({"Authorization": token({"aud": ["rootcx"]})}, "native"),
        ({"Authorization": token("rootcx")}, "native"),
        ({"Authorization": "Bearer roci_token"}, "native"),
        ({"Authorization": "Bearer a.!.c"}, "native"),
        ({"Authorization": "Bearer a.b\u00e9.c"}, "native"),
        ({"Authorization": token({"aud": "rootcx"}).replace("Bearer", "Basic")}, "native"),
        ({"Cookie": "roci_session=x"}, "native"),
        ({"Accept": "application/vnd.roci.v1+json", "Authorization": token({"aud": "rootcx"})}, "native"),
        ({"Accept": "application/vnd.rootcx.v1+json", "Authorization": token({"aud": "chatops"})}, "rootcx"),
    ],
)
async def test_the_dialect_of_a_request_is_told_by_accept_then_by_its_token(headers: dict[str, str], wanted: str):
    assert await spoken("/api/v1/users", **headers) == wanted


@pytest.mark.parametrize(
    ("body", "headers", "wanted"),
    [
        (b"", {}, "rootcx"),
        ({"email": "a@b.c", "password": "x"}, {}, "rootcx"),
        ({"refreshToken": "x"}, {}, "rootcx"),
        ({"username": "a", "password": "x"}, {}, "chatops"),
        ({"refresh_token": "x"}, {}, "chatops"),
        ({"email": "a@b.c", "password": "x", "password_confirm": "x"}, {}, "chatops"),
        ({"full_name": "Alice"}, {}, "chatops"),
        (b"username=a&password=x", {"Content_Type": FORM}, "chatops"),
        (b"", {"Content_Type": f"{FORM}; charset=utf-8"}, "chatops"),
        ({"email": "a@b.c", "password": "x"}, {"Content_Type": FORM}, "rootcx"),
        ({"refresh_token": "x"}, {"Content_Type": FORM}, "chatops"),
        (b"{", {}, "rootcx"),
        (b"[" * 5000, {}, "rootcx"),
        (b"\xff", {}, "rootcx"),
        (["username"], {}, "rootcx"),
        ({"username": "a"}, {"Accept": "application/vnd.rootcx.v1+json"}, "rootcx"),
        ({"username": "a"}, {"Authorization": token({"aud": "rootcx"})}, "rootcx"),
        (b"", {"Authorization": token({"aud": "chatops"})}, "chatops"),
        (b"", {"Cookie": "roci_session=x"}, "rootcx"),
    ],
)
async def test_where_people_sign_in_the_body_tells(body: Any, headers: dict[str, str], wanted: str):
    assert await spoken("/api/v1/auth/login", body, **headers) == wanted


async def test_a_body_tells_nothing_elsewhere():
    assert await spoken("/api/v1/users", {"username": "a"}) == "native"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/v1/apps", "rootcx"),
        ("/api/v1/apps/crm/logs", "rootcx"),
        ("/api/v1/channels/1", "rootcx"),
        ("/api/v1/servers", "chatops"),
        ("/api/v1/servers/1/health", "chatops"),
        ("/api/v1/metrics/1/history", "chatops"),
        ("/api/v1/docker/containers", "chatops"),
        ("/api/v1/commands", "chatops"),
        ("/api/v1/alerts/thresholds", "chatops"),
        ("/api/v1/logs", "chatops"),
        ("/api/v1/api-keys/1", "chatops"),
        ("/api/v1/serversx", "native"),
        ("/api/v1/applications", "native"),
        ("/api/v1/agents", "native"),
        ("/api/v1/users", "native"),
    ],
)
async def test_some_paths_are_spoken_of_in_one_dialect_only(path: str, wanted: str):
    assert await spoken(path) == wanted
    assert await spoken(path, Accept="application/vnd.chatops.v1+json") == "chatops"
    assert await spoken(path, Accept="application/vnd.roci.v1+json") == "native"
