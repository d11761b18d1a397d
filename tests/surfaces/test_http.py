"""What every surface needs from HTTP: who may call, from where, and what may come in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, Field
from quart import Blueprint, websocket
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol as Client

from roci import Permission, Roci, Settings, Surface, core, current_actor, hookimpl
from roci_plugins.domain import access, credentials, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.surfaces.http import accepts, base_url, client_address, needs, paging, public, signed_in, uuid

routes = Blueprint("jars", __name__)
Headers = dict[str, str]


class NewJar(BaseModel):
    name: str = Field(min_length=2)
    size: int = 1


@routes.post("")
@needs("jars.write")
@accepts(NewJar)
async def add(new: NewJar) -> Any:
    return {"name": new.name, "size": new.size, "by": current_actor.get().name}


@routes.post("/<id>/open")
@needs("jars.write")
@accepts(NewJar, optional=True)
async def open_(body: NewJar | None, id: str) -> Any:
    return {"id": id}


@routes.get("")
@signed_in
async def index() -> Any:
    return {"page": paging()}


@routes.get("/where")
@public
async def where() -> Any:
    return {"url": base_url(), "address": client_address(), "by": current_actor.get().name}


@routes.websocket("/watch")
@needs("jars.read")
async def watch() -> None:
    await websocket.send(current_actor.get().name)


class Jars:
    @hookimpl
    def register_permissions(self) -> list[Permission]:
        return [Permission("jars.read", "see jars"), Permission("jars.write", "fill jars")]

    @hookimpl
    def register_surfaces(self) -> list[Surface]:
        return [
            Surface(
                "jars", "/api/jars", routes, lambda error: ({"code": error.code, "why": error.message}, error.status)
            )
        ]


@pytest.fixture
async def roci(settings: Settings) -> AsyncIterator[Roci]:
    async with (running := Roci(settings, [Jars()])).running():
        yield running


@pytest.fixture
async def bearer(roci: Roci) -> Headers:
    robot = await roci.write(access.add_administrator, NewPrincipal("robot", kind="service"))
    _, secret = await roci.write(credentials.issue, robot.id, "t")
    return {"Authorization": f"Bearer {secret}"}


JAR = {"name": "plums"}
ELSEWHERE: list[Headers] = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:81"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]


async def status(client: Client, headers: Headers) -> int:
    return (await client.post("/api/jars", json=JAR, headers=headers)).status_code


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_what_another_site_makes_a_browser_write_is_refused(client: Client, headers: Headers):
    assert await status(client, headers) == 403


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_what_another_site_makes_a_browser_open_is_refused(client: Client, headers: Headers):
    with pytest.raises(WebsocketResponseError) as refused:
        async with client.websocket("/api/jars/watch", headers=headers) as socket:
            await socket.receive()
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
    ids=str,
)
async def test_what_our_own_pages_and_programs_write_is_taken(client: Client, headers: Headers):
    assert await status(client, headers) == 200
    async with client.websocket("/api/jars/watch", headers=headers) as socket:
        assert await socket.receive() == "admin"


async def test_the_public_address_is_our_own_too(roci: Roci, client: Client):
    roci.settings.public_url = "https://roci.example.org"
    assert await status(client, {"Origin": "https://roci.example.org"}) == 200
    assert await status(client, {"Origin": "https://example.org"}) == 403


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_a_token_is_sent_by_nobody_but_its_owner(anonymous: Client, bearer: Headers, headers: Headers):
    assert await status(anonymous, bearer | headers) == 200


async def test_a_bare_authorization_header_does_not_make_a_cookie_safe(client: Client):
    assert await status(client, {"Authorization": "Basic eDp5", "Origin": "https://evil.example"}) == 403


async def test_reading_from_elsewhere_is_left_to_the_browser(client: Client):
    assert (await client.get("/api/jars", headers={"Origin": "https://evil.example"})).status_code == 200


async def test_with_sign_in_switched_off_other_sites_are_refused_all_the_same(settings: Settings):
    settings.auth = "disabled"
    async with (roci := Roci(settings, [Jars()])).running():
        client = core("app").create_app(roci).test_client()
        assert await status(client, {}) == 200
        for headers in ELSEWHERE:
            assert await status(client, headers) == 403


# --- the order of checks -----------------------------------------------------


async def test_checks_come_in_order(client: Client, anonymous: Client, roci: Roci):
    nobody = await roci.write(principals.add, NewPrincipal("nobody"))
    _, secret = await roci.write(credentials.issue, nobody.id, "t")
    powerless = {"Authorization": f"Bearer {secret}"}
    here = "/api/jars/not-an-id/open"

    async def code(client: Client, path: str, data: bytes, headers: Headers | None = None) -> tuple[int, str]:
        answer = await client.post(path, data=data, headers=headers or {})
        return answer.status_code, (await answer.get_json()).get("why", "")

    assert (await code(anonymous, here, b"{"))[0] == 401
    assert (await code(anonymous, here, b"{", powerless))[0] == 403
    assert (await code(client, here, b"{")) == (400, "'not-an-id' is not a UUID")
    good = here.replace("not-an-id", "6F1B2C3D-0000-4000-8000-000000000000")
    assert (await code(client, good, b"{"))[0] == 400
    assert (await code(client, good, b"{}"))[0] == 422
    assert (await client.post(good, json=JAR)).status_code == 200


async def test_an_id_reaches_the_view_in_its_one_spelling(client: Client):
    answer = await client.post("/api/jars/6F1B2C3D-0000-4000-8000-00000000000A/open", json=JAR)
    assert await answer.get_json() == {"id": uuid("6f1b2c3d-0000-4000-8000-00000000000a")}


async def test_what_a_view_does_carries_who_asked(client: Client, anonymous: Client):
    assert (await (await client.post("/api/jars", json=JAR)).get_json())["by"] == "admin"
    assert (await (await anonymous.get("/api/jars/where")).get_json())["by"] == "ROCI"


# --- bodies and queries ------------------------------------------------------


@pytest.mark.parametrize("type_", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_is_json_whatever_its_type_says(client: Client, type_: str | None):
    headers = {"Content-Type": type_} if type_ else {}
    assert (await client.post("/api/jars", data=b'{"name": "plums"}', headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"name": "\\ud800"}', b'{"size": NaN}', b"[" * 9000]
)
async def test_what_is_no_json_object_is_malformed(client: Client, body: bytes):
    answer = await client.post("/api/jars", data=body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (400, "malformed")


async def test_a_body_is_nested_thirty_two_deep_at_most(client: Client):
    fits = b'{"name": "plums", "more": ' + b'{"a":' * 15 + b"[" * 16 + b"]" * 16 + b"}" * 15 + b"}"
    assert (await client.post("/api/jars", data=fits)).status_code == 200
    for levels in (32, 700):
        answer = await client.post(
            "/api/jars", data=b'{"name": "plums", "more": ' + b"[" * levels + b"]" * levels + b"}"
        )
        assert (answer.status_code, (await answer.get_json())["code"]) == (400, "malformed")


async def test_every_bad_field_is_named_with_its_reason(client: Client):
    answer = await client.post("/api/jars", json={"size": "many"})
    why = (await answer.get_json())["why"]
    assert answer.status_code == 422
    assert "name: is required" in why and "; size: " in why and "https" not in why


@pytest.mark.parametrize(
    ("query", "page"), [("", [None, 0]), ("?limit=5", [5, 0]), ("?limit=1000&offset=20", [1000, 20])]
)
async def test_pages_are_asked_for_by_limit_and_offset(client: Client, query: str, page: list[int | None]):
    assert await (await client.get(f"/api/jars{query}")).get_json() == {"page": page}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=1001", "offset=-1", "offset=1.5", "limit=", "limit=%C2%B2"]
)
async def test_a_page_that_is_none_is_malformed(client: Client, query: str):
    assert (await client.get(f"/api/jars?{query}")).status_code == 400


# --- proxies -----------------------------------------------------------------

PROXIED = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}


async def test_a_trusted_proxy_is_believed_about_who_asks_and_how(roci: Roci, anonymous: Client):
    roci.settings.trusted_proxies = ["127.0.0.0/8"]
    answer = await anonymous.get("/api/jars/where", headers=PROXIED, scope_base={"client": ("127.0.0.1", 4711)})
    told = await answer.get_json()
    assert (told["url"], told["address"]) == ("https://localhost", "203.0.113.5")


async def test_a_stranger_is_not(anonymous: Client):
    answer = await anonymous.get("/api/jars/where", headers=PROXIED, scope_base={"client": ("192.0.2.7", 4711)})
    told = await answer.get_json()
    assert (told["url"], told["address"]) == ("http://localhost", "192.0.2.7")
