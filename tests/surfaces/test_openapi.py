"""/openapi.json is complete, resolvable and true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client
from werkzeug.routing import Rule

from roci import Roci
from roci_plugins.surfaces.http import documented


async def document(client: Client) -> dict[str, Any]:
    return dict(await (await client.get("/openapi.json")).get_json())


def described(roci: Roci, client: Client) -> Iterator[Rule]:
    """The routes of surfaces that are described."""
    for rule in client.app.url_map.iter_rules():
        surface = roci.surfaces.get(rule.endpoint.partition(".")[0])
        if surface and surface.error_body is not None and not rule.websocket:
            yield rule


async def test_anybody_may_read_it_and_every_route_of_a_described_surface_is_in_it(
    roci: Roci, anonymous: Client
) -> None:
    found = await document(anonymous)
    assert found["openapi"] == "3.1.0"
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in described(roci, anonymous)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(method, path) for path, methods in found["paths"].items() for method in methods}


async def test_every_surface_with_paths_of_its_own_is_described(roci: Roci, anonymous: Client) -> None:
    found = await document(anonymous)
    silent = {name for name, each in roci.surfaces.items() if each.prefix and each.error_body is None}
    assert silent == {"rootcx_alone", "chatops_alone"}
    for name in silent:
        assert f"`{roci.surfaces[name].prefix}`" in found["info"]["description"]
    assert "`/ws/agent`" in found["info"]["description"]


async def test_every_described_view_says_what_it_answers(roci: Roci, anonymous: Client) -> None:
    views = anonymous.app.extensions["views"]
    notes = {rule.endpoint: documented(views[rule.endpoint]) for rule in described(roci, anonymous)}
    assert [name for name, note in notes.items() if note.result is None and note.status == 200] == []


async def test_a_shared_path_is_described_in_every_dialect_that_serves_it(anonymous: Client) -> None:
    login = (await document(anonymous))["paths"]["/api/v1/auth/login"]["post"]
    body = login["requestBody"]["content"]
    assert body["application/x-www-form-urlencoded"]["schema"] == reference("ChatopsLogin")
    assert body["application/json"]["schema"] == {"anyOf": [reference("RootcxLogin"), reference("ChatopsLogin")]}
    good = login["responses"]["200"]
    schemas = good["content"]["application/json"]["schema"]
    assert schemas == {"anyOf": [reference("RootcxSignedIn"), reference("ChatopsTokens")]}
    assert good["headers"]["X-ROCI-Dialect"]["schema"]["enum"] == ["rootcx", "chatops"]
    assert "application/vnd.chatops.v1+json" in login["description"] and login["security"] == []
    assert login["responses"]["422"]["content"]["application/json"]["schema"] == reference("ChatopsProblems")


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


async def test_each_surface_has_its_own_errors_and_its_own_statuses_for_them(anonymous: Client) -> None:
    paths = (await document(anonymous))["paths"]
    bodies = {
        ("/api/v1/agents", "403"): "ErrorBody",
        ("/api/v1/permissions", "403"): "RootcxErrorBody",
        ("/api/v1/servers", "403"): "ChatopsErrorBody",
        ("/api/v0/spaces", "403"): "RaworcErrorBody",
    }
    for (path, status), name in bodies.items():
        found = paths[path]["get"]["responses"][status]["content"]["application/json"]["schema"]
        assert found == reference(name)
    assert {"400", "409"} <= paths["/api/v1/applications"]["post"]["responses"].keys()
    assert "422" not in paths["/api/v1/applications"]["post"]["responses"]
    assert "409" not in paths["/api/v1/platform/secrets"]["post"]["responses"]  # there a conflict is a 400
    assert paths["/api/v1/applications"]["post"]["responses"]["401"]["headers"].keys() == {"WWW-Authenticate"}


@pytest.mark.parametrize(
    "path",
    [
        "agents/{id}/prune",
        "agents/{id}/containers/{container}/logs",
        "applications/{id}/logs",
        "operations/{id}/output",
    ],
)
async def test_what_asks_a_host_or_stays_open_says_that_it_can_be_too_much(anonymous: Client, path: str) -> None:
    answers = (await document(anonymous))["paths"][f"/api/v1/{path}"]["get"]["responses"]
    assert "Retry-After" in answers["429"]["headers"]


async def test_credentials_are_those_that_are_good_for_a_view(anonymous: Client) -> None:
    found = await document(anonymous)
    assert found["security"] == [{"bearer": []}, {"cookie": []}]
    assert {"hostKey": []} in found["paths"]["/api/v1/api-keys/me"]["get"]["security"]
    assert "security" not in found["paths"]["/api/v1/applications"]["get"]
    for scheme in ("bearer", "cookie", "hostKey", "automationKey"):
        assert scheme in found["components"]["securitySchemes"]


async def test_parameters_have_the_form_that_is_asked_of_them(anonymous: Client) -> None:
    paths = (await document(anonymous))["paths"]

    def form(path: str, method: str, name: str) -> Any:
        [found] = [each for each in paths[path][method]["parameters"] if each["name"] == name]
        return found["schema"]

    assert form("/api/v1/agents/{id}", "get", "id") == {"type": "string", "format": "uuid"}
    assert form("/api/v1/api-keys/{key_id}", "delete", "key_id") == {"type": "string", "format": "uuid"}
    assert form("/api/v0/service-accounts/{account}", "get", "account") == {"type": "string"}
    assert form("/api/v1/audit/{seq}", "get", "seq")["type"] == "integer"
    assert form("/api/v1/agents", "get", "limit") == {"type": "integer", "minimum": 1, "maximum": 1000}
    assert form("/api/v1/servers", "get", "limit") == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert form("/api/v1/alerts", "get", "status") == {"type": "string", "enum": ["active", "resolved", "all"]}
    assert form("/api/v1/alerts", "get", "server_id") == {"type": "string", "format": "uuid"}
    assert form("/api/v1/metrics/{server_id}/history", "get", "end_time") == {"type": "string", "format": "date-time"}
    for path in ("/api/v1/alerts", "/api/v1/alerts/thresholds"):
        assert "404" in paths[path]["get"]["responses"], "of a server that is asked for and is not there"


async def test_names_are_unique_and_references_resolve(anonymous: Client) -> None:
    found = await document(anonymous)
    operations = [each for methods in found["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(names) == len(set(names)) and [each["operationId"] for each in operations if not each["summary"]] == []
    text = json.dumps(found)
    for name in re.findall(r'"#/components/schemas/([\w.-]+)"', text):
        assert name in found["components"]["schemas"], name


async def test_what_is_optional_and_what_is_public_is_said(anonymous: Client) -> None:
    paths = (await document(anonymous))["paths"]
    assert paths["/api/v1/health"]["get"]["security"] == []
    assert paths["/api/v1/agents"]["get"]["x-permission"] == "hosts.read"
    assert paths["/api/v1/applications"]["post"]["requestBody"]["required"] is True
    assert paths["/api/v1/applications/{id}/deploy"]["post"]["requestBody"]["required"] is False
    error = paths["/api/v1/agents"]["get"]["responses"]["401"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/ErrorBody"}
