"""/openapi.json is complete, resolvable and true."""

from __future__ import annotations

import json
import re
from typing import Any

from quart.typing import TestClientProtocol as Client

from roci import Roci


async def document(client: Client) -> dict[str, Any]:
    return dict(await (await client.get("/openapi.json")).get_json())


async def test_anybody_may_read_it_and_every_route_of_a_described_surface_is_in_it(
    roci: Roci, anonymous: Client
) -> None:
    found = await document(anonymous)
    assert found["openapi"] == "3.1.0"
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in anonymous.app.url_map.iter_rules()
        if (surface := roci.surfaces.get(rule.endpoint.partition(".")[0]))
        and surface.error_body is not None
        and not rule.websocket
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(method, path) for path, methods in found["paths"].items() for method in methods}


async def test_names_are_unique_and_references_resolve(anonymous: Client) -> None:
    found = await document(anonymous)
    operations = [each for methods in found["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(names) == len(set(names)) and [each["operationId"] for each in operations if not each["summary"]] == []
    text = json.dumps(found)
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in found["components"]["schemas"], name


async def test_what_is_optional_and_what_is_public_is_said(anonymous: Client) -> None:
    paths = (await document(anonymous))["paths"]
    assert paths["/api/v1/health"]["get"]["security"] == []
    assert paths["/api/v1/agents"]["get"]["x-permission"] == "hosts.read"
    assert paths["/api/v1/applications"]["post"]["requestBody"]["required"] is True
    assert paths["/api/v1/applications/{id}/deploy"]["post"]["requestBody"]["required"] is False
    error = paths["/api/v1/agents"]["get"]["responses"]["401"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/ErrorBody"}
