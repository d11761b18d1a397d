"""What is checked first: who asks, the form of ids, the form of the body, whether there is such a thing, its fields."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.scripted import scripted_agent

from .conftest import NOBODY, Api, code


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/agents"),
        ("GET", "/agents/xyz"),
        ("GET", f"/agents/{NOBODY}/containers"),
        ("POST", "/applications"),
        ("DELETE", f"/policies/{NOBODY}"),
        ("GET", "/operations"),
        ("GET", "/nowhere"),
        ("PUT", "/agents"),
    ],
)
async def test_who_is_not_signed_in_hears_that_and_nothing_else(anonymous: Client, method: str, path: str) -> None:
    assert code(await Api(anonymous)(method, path)) == (401, "unauthorized")


async def test_unknown_ids_and_what_is_no_id(api: Api) -> None:
    for noun in ("agents", "applications", "policies", "operations"):
        assert code(await api("GET", f"/{noun}/{uuid.uuid4()}")) == (404, "not_found")
        assert code(await api("GET", f"/{noun}/xyz")) == (400, "bad_request")
    assert code(await api("GET", "/nowhere")) == (404, "not_found")
    assert code(await api("PUT", "/agents")) == (405, "method_not_allowed")


@pytest.mark.parametrize("body", ["", "{", "[1]", '"x"', b"\xff\xfe", '{"name": "\\ud800"}'])
async def test_a_body_that_cannot_be_read_is_a_bad_request(api: Api, body: str | bytes) -> None:
    assert code(await api("POST", "/applications", body or " ")) == (400, "bad_request")


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    big = json.dumps({"name": "a1", "compose_yaml": "x" * 1_100_000})
    assert code(await api("POST", "/applications", big)) == (413, "payload_too_large")


WITH_A_BODY = (
    ("PUT", "/applications/{}", {"description": 5}),
    ("PATCH", "/applications/{}", {"compose_yaml": ""}),
    ("POST", "/applications/{}/deploy", {"secrets": "A=x"}),
    ("DELETE", "/applications/{}", {"confirm_name": 5}),
    ("PUT", "/policies/{}", {"priority": "1"}),
    ("PUT", "/policies/{}/priority", {}),
    ("POST", "/agents/{}/reject", {"reason": 5}),
)


@pytest.mark.parametrize("method, path, wrong", WITH_A_BODY)
async def test_the_id_is_looked_at_first_then_the_json_then_the_row_then_the_fields(
    api: Api, method: str, path: str, wrong: Any
) -> None:
    assert code(await api(method, path.format("xyz"), "{")) == (400, "bad_request")
    assert "xyz" in (await api(method, path.format("xyz"), "{"))[1]["error"]["message"]
    assert code(await api(method, path.format("xyz"), wrong)) == (400, "bad_request")
    assert code(await api(method, path.format(NOBODY), "{")) == (400, "bad_request")
    assert code(await api(method, path.format(NOBODY), wrong)) == (404, "not_found")


async def test_the_fields_of_what_exists_are_checked(roci: Roci, api: Api) -> None:
    ids = {"applications": (await api.app())["id"], "policies": (await api.policy(action="pending"))["id"]}
    async with scripted_agent(roci) as agent:
        ids["agents"] = (await agent.register("h1"))["agent_id"]
        for method, path, wrong in WITH_A_BODY:
            answer = await api(method, path.format(ids[path.split("/")[1]]), wrong)
            assert code(answer) == (400, "validation_error"), (method, path)
