"""What /openapi.json promises is kept: made-up requests, answers within their schemas, no error of the server.

More of it by hand: ROCI_TEST_EXAMPLES=50 ROCI_TEST_SURFACES=native,rootcx,chatops,raworc,automation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from quart.typing import TestClientProtocol as Client
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from roci import Roci
from roci_plugins.domain import access, credentials
from roci_plugins.domain.principals import NewPrincipal

EXAMPLES = int(os.environ.get("ROCI_TEST_EXAMPLES", "2"))
SURFACES = os.environ.get("ROCI_TEST_SURFACES", "native,raworc").split(",")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENDLESS = "text/event-stream"
UNTOUCHED = {
    # They hold the answer until something happens, or take what the test itself stands on.
    "native_tokens_remove_delete",
}
UNAVAILABLE = (503, 504)  # hosts and engines are not there: said so, and described
Send = Callable[[requests.PreparedRequest], Response]


@pytest.fixture
async def token(roci: Roci) -> str:
    def make() -> str:
        return str(credentials.issue(access.add_administrator(NewPrincipal("prober")).id, "probe")[1])

    return await roci.write(make)


def sender(client: Client, token: str) -> Send:
    """Requests from another thread, which end in the loop of the test."""
    loop = asyncio.get_running_loop()

    def send(request: requests.PreparedRequest) -> Response:
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        headers.pop("Cookie", None)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        asked: Awaitable[Any] = client.open(request.path_url, method=request.method, headers=headers, data=body)
        return asyncio.run_coroutine_threadsafe(_read(request, asked), loop).result(30)

    return send


async def _read(request: requests.PreparedRequest, asked: Awaitable[Any]) -> Response:
    answered = await asked
    headers = {name: answered.headers.getlist(name) for name, _ in answered.headers}
    return Response(answered.status_code, headers, await answered.get_data(), request, elapsed=0, verify=False)


def faults(operation: Any, send: Send) -> list[str]:
    """The first thing that is wrong with the answers to some made-up requests."""
    found: list[str] = []

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def probe(case: Any) -> None:
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
        response = send(prepared)
        checks = CHECKS[response.status_code in UNAVAILABLE :]
        try:
            case.validate_response(response, checks=checks)
        except (FailureGroup, AssertionError) as error:
            said = "; ".join(str(each) for each in getattr(error, "exceptions", [error]))
            found.append(f"{prepared.method} {prepared.path_url} {prepared.body!r:.200}: {response.status_code} {said}")

    probe()
    return found[:1]


def _is_probed(definition: dict[str, Any]) -> bool:
    """Streams have no end, and what would take away the ground that the test stands on is left alone."""
    surfaces = {name.split(" ")[0] for name in definition["tags"]}
    is_endless = ENDLESS in str(definition["responses"].get("200"))
    return surfaces <= set(SURFACES) and not is_endless and definition["operationId"] not in UNTOUCHED


async def test_answers_are_as_described(anonymous: Client, token: str) -> None:
    document = await (await anonymous.get("/openapi.json")).get_json()
    send = sender(anonymous, token)

    def all_faults() -> list[str]:
        schema = schemathesis.openapi.from_dict(document)
        found: list[str] = []
        for each in schema.get_all_operations():
            operation = each.ok()
            definition = operation.definition.raw
            if _is_probed(definition):
                found += faults(operation, send)
        return found

    found = await asyncio.to_thread(all_faults)
    assert not found, "\n\n".join(found)
