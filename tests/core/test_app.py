"""The web application: one owner for each route, and every error in the dialect of the surface it belongs to."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from quart import Blueprint, Quart, request, websocket
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol as Client

from roci import (
    Actor,
    Answer,
    Conflict,
    Invalid,
    Roci,
    RociError,
    Settings,
    StartupError,
    Surface,
    TooMany,
    Unauthenticated,
    hookimpl,
)
from roci_plugins.core.app import UNREAD, Socket, create_app
from roci_plugins.surfaces.http import accepts, needs, public


class Body(BaseModel):
    size: int = 1


def first_answer(error: RociError) -> Answer:
    return {"first": error.message}, error.status


def second_answer(error: RociError) -> Answer:
    return {"second": error.code}, 418 if isinstance(error, Conflict) else error.status


class Key:
    """An authenticator for tests: the header X-Key names the actor."""

    name = "key"

    async def authenticate(self, asked: Any) -> Actor | None:
        key = asked.headers.get("X-Key")
        if key == "broken":
            raise Unauthenticated("a broken key")
        return Actor(key, key, rights=frozenset({"*"})) if key else None


Claims = Callable[[Any, bytes], bool] | None


class Two:
    """Two surfaces under one prefix, one beside them."""

    def __init__(self, claims: Claims = None, other_claims: Claims = None, plain_claims: Claims = None) -> None:
        self.claims = claims, other_claims, plain_claims
        self.extra: Callable[[Blueprint, Blueprint], None] = lambda first, second: None

    @hookimpl
    def register_authenticators(self) -> list[Key]:
        return [Key()]

    @hookimpl
    def register_surfaces(self) -> list[Surface]:
        first, second, pages = (Blueprint(name, __name__) for name in ("first", "second", "plain"))

        @first.get("/jars/<number>")
        @needs("jars.read")
        async def jar(number: str) -> Any:
            return {"z": 1, "a": number}

        @second.get("/lids/<id>/<kind>")
        @public
        async def lid(id: str, kind: str) -> Any:
            raise {"conflict": Conflict("taken"), "many": TooMany("slow", retry_after=7), "odd": ValueError("sesame")}[
                kind
            ]

        @second.post("/lids")
        @public
        @accepts(Body)
        async def add(body: Body) -> Any:
            return {"size": body.size}

        @second.websocket("/lids")
        @needs("lids.read")
        async def watch() -> None:
            await websocket.send("opened")
            raise ValueError("sesame")

        @pages.get("/house")
        @public
        async def house() -> str:
            return "<h1>House</h1>"

        self.extra(first, second)
        return [
            Surface("first", "/api/t1", first, first_answer, self.claims[0]),
            Surface("second", "/api/t1", second, second_answer, self.claims[1]),
            Surface("plain", "", pages, lambda error: (f"sorry: {error.message}", error.status), self.claims[2]),
        ]


def made(tmp_path: Path, two: Two) -> Quart:
    return create_app(Roci(Settings(data_dir=str(tmp_path / "data"), local_agent=False), [two]))


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return made(tmp_path, Two())


@pytest.fixture
def client(app: Quart) -> Client:
    return app.test_client()


KEY = {"X-Key": "kim"}


async def said(response: Any) -> tuple[int, Any]:
    text = await response.get_data(as_text=True)
    return response.status_code, json.loads(text) if response.is_json else text


async def test_the_application_leads_back_to_its_roci(app: Quart):
    assert isinstance(app.extensions["roci"], Roci)


async def test_json_is_neither_sorted_nor_prettified(client: Client):
    jar = "6f1b2c3d-0000-4000-8000-000000000000"
    response = await client.get(f"/api/t1/jars/{jar}", headers=KEY)
    assert await response.get_data(as_text=True) == f'{{"z":1,"a":"{jar}"}}\n'


async def test_an_error_is_answered_by_the_surface_that_raised_it(client: Client):
    assert await said(await client.get("/api/t1/jars/3")) == (401, {"first": "sign in first, or send an API token"})
    assert await said(await client.get("/api/t1/lids/1/conflict")) == (418, {"second": "conflict"})


async def test_who_is_to_slow_down_is_told_for_how_long(client: Client):
    response = await client.get("/api/t1/lids/1/many")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")


async def test_who_is_to_sign_in_is_told_how(client: Client):
    response = await client.get("/api/t1/jars/3")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_unexpected_is_logged_and_not_shown(client: Client, caplog: pytest.LogCaptureFixture):
    status, body = await said(await client.get("/api/t1/lids/1/odd"))
    assert (status, body) == (500, {"second": "internal"})
    assert "ValueError: sesame" in caplog.text


async def test_the_unexpected_is_found_in_the_log_by_its_reference(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def odd(first: Blueprint, second: Blueprint) -> None:
        @first.get("/odd")
        @public
        async def odd() -> None:
            raise ValueError("sesame")

    two = Two()
    two.extra = odd
    _, body = await said(await made(tmp_path, two).test_client().get("/api/t1/odd"))
    message, _, reference = body["first"].rpartition(" ")
    assert message == "something went wrong; the log has it under"
    assert reference in caplog.text and "sesame" not in body["first"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/t1/jars/3/lids", {"first": "there is nothing at /api/t1/jars/3/lids"}),
        ("/api/t1/lids/3", {"second": "not_found"}),
        ("/api/t1/elsewhere", {"first": "there is nothing at /api/t1/elsewhere"}),
        ("/house/garden", "sorry: there is nothing at /house/garden"),
    ],
)
async def test_unknown_paths_are_answered_by_the_surface_that_knows_most_of_them(
    client: Client, path: str, wanted: Any
):
    assert await said(await client.get(path, headers=KEY)) == (404, wanted)


async def test_an_unknown_path_that_two_know_alike_goes_to_the_one_that_claims_it(tmp_path: Path):
    client = made(tmp_path, Two(None, lambda asked, body: True)).test_client()
    assert await said(await client.get("/api/t1/elsewhere", headers=KEY)) == (404, {"second": "not_found"})


async def test_an_unknown_path_outside_every_prefix_is_answered_by_a_surface_with_a_prefix(client: Client):
    response = await client.get("/elsewhere")
    assert response.status_code == 404 and response.is_json


async def test_an_unknown_path_outside_every_prefix_may_be_claimed_by_a_surface_without_one(tmp_path: Path):
    client = made(tmp_path, Two(lambda asked, body: True, None, lambda asked, body: True)).test_client()
    assert await said(await client.get("/elsewhere")) == (404, "sorry: there is nothing at /elsewhere")
    inside = "/api/t1/elsewhere"
    assert await said(await client.get(inside, headers=KEY)) == (404, {"first": f"there is nothing at {inside}"})


async def test_a_wrong_method_says_which_are_right(client: Client):
    response = await client.delete("/api/t1/lids", headers=KEY)
    assert (await said(response))[0] == 405
    assert set(response.headers["Allow"].split(", ")) >= {"POST", "OPTIONS"}


async def test_a_wrong_method_on_what_is_public_is_told_to_strangers(client: Client):
    assert (await client.delete("/api/t1/lids")).status_code == 405


@pytest.mark.parametrize("path", ["/api/t1/elsewhere", "/api/t1/jars", "/api/t1/jars/1/2/3"])
async def test_strangers_do_not_learn_what_exists_behind_a_prefix(client: Client, path: str):
    assert (await client.delete(path)).status_code == 401


async def test_a_refused_credential_is_refused_on_unknown_paths_too(client: Client):
    response = await client.get("/api/t1/elsewhere", headers={"X-Key": "broken"})
    assert await said(response) == (401, {"first": "a broken key"})


async def test_outside_a_prefix_strangers_get_a_plain_404(client: Client):
    assert (await client.get("/house/garden")).status_code == 404


async def test_head_answers_as_get_and_options_says_what_is_allowed(client: Client):
    assert (await client.head("/house")).status_code == 200
    options = await client.options("/api/t1/jars/3")
    assert options.status_code == 200 and "GET" in options.headers["Allow"]


async def test_a_body_over_a_mebibyte_is_too_large(client: Client):
    response = await client.post("/api/t1/lids", data=b'{"size": 1, "x": "' + b"x" * 1024 * 1024 + b'"}')
    assert await said(response) == (413, {"second": "too_large"})


@pytest.mark.parametrize("path", ["/house", "/api/t1/lids/1/odd", "/elsewhere", "/api/t1/jars/1"])
async def test_every_answer_carries_the_headers_that_protect_browsers(client: Client, path: str):
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


async def test_pages_load_nothing_from_elsewhere(client: Client):
    assert "default-src 'self'" in (await client.get("/house")).headers["Content-Security-Policy"]


async def test_a_host_that_is_no_name_is_answered_all_the_same(client: Client):
    response = await client.get("/house", headers={"Host": "x" * 300})
    assert response.status_code == 400
    with pytest.raises(WebsocketResponseError) as refused:
        async with client.websocket("/api/t1/lids", headers={"Host": "x" * 300}) as socket:
            await socket.receive()
    assert refused.value.response.status_code == 400


async def test_a_double_slash_leads_nowhere(client: Client):
    response = await client.get("/api//t1/jars/3", headers=KEY)
    assert response.status_code == 404 and "Location" not in response.headers


# --- websockets --------------------------------------------------------------


async def test_a_websocket_is_refused_before_it_opens(client: Client):
    with pytest.raises(WebsocketResponseError) as refused:
        async with client.websocket("/api/t1/lids") as socket:
            await socket.receive()
    assert refused.value.response.status_code == 401


async def test_a_websocket_that_fails_is_logged(client: Client, caplog: pytest.LogCaptureFixture):
    async with client.websocket("/api/t1/lids", headers=KEY) as socket:
        assert await socket.receive() == "opened"
    async with asyncio.timeout(30):
        while "sesame" not in caplog.text:
            await asyncio.sleep(0)


# --- contested routes --------------------------------------------------------


def contest(first: Blueprint, second: Blueprint) -> None:
    @first.get("/shelf/<row>")
    @public
    async def shelf(row: str) -> Any:
        return {"first": row}

    @second.get("/shelf/<row>")
    @public
    async def shelf_too(row: str) -> Any:
        if row == "bad":
            raise Invalid("bad row")
        return {"second": row}


def contested(tmp_path: Path, claims: Claims, other: Claims) -> Client:
    two = Two(claims, other)
    two.extra = contest
    return made(tmp_path, two).test_client()


def wants_second(asked: Any, body: bytes) -> bool:
    return asked.headers.get("X-Dialect") == "second" or body.startswith(b"second")


async def test_the_surface_that_claims_a_contested_request_serves_it(tmp_path: Path):
    client = contested(tmp_path, None, wants_second)
    assert await said(await client.get("/api/t1/shelf/3")) == (200, {"first": "3"})
    assert await said(await client.get("/api/t1/shelf/3", headers={"X-Dialect": "second"})) == (200, {"second": "3"})


async def test_errors_of_a_contested_route_are_answered_by_who_served_it(tmp_path: Path):
    client = contested(tmp_path, None, wants_second)
    response = await client.get("/api/t1/shelf/bad", headers={"X-Dialect": "second"})
    assert await said(response) == (422, {"second": "invalid"})


async def test_an_answer_on_a_contested_route_says_whose_it_is_and_what_decided(tmp_path: Path):
    client = contested(tmp_path, None, wants_second)
    for row, dialect in (("3", "first"), ("bad", "second")):
        headers = (await client.get(f"/api/t1/shelf/{row}", headers={"X-Dialect": dialect})).headers
        assert headers["X-ROCI-Dialect"] == dialect
        assert headers["Vary"] == "Authorization, Cookie, Accept"
    assert "X-ROCI-Dialect" not in (await client.get("/house")).headers


async def test_a_contested_request_may_be_claimed_by_its_body_which_the_view_still_reads(tmp_path: Path):
    def both(*surfaces: Blueprint) -> None:
        for blueprint in surfaces:
            blueprint.add_url_rule("/shelf", "shelf", reader(blueprint.name), methods=["POST"])

    def reader(name: str) -> Any:
        @public
        async def read() -> Any:
            return {name: (await request.get_data(cache=False, as_text=True))}

        return read

    two = Two(None, wants_second)
    two.extra = both
    client = made(tmp_path, two).test_client()
    assert await said(await client.post("/api/t1/shelf", data=b"second to none")) == (200, {"second": "second to none"})
    assert await said(await client.post("/api/t1/shelf", data=b"none")) == (200, {"first": "none"})
    too_large = await client.post("/api/t1/shelf", data=b"x" * (1024 * 1024 + 1), headers={"X-Dialect": "second"})
    assert await said(too_large) == (413, {"second": "too_large"})


def test_two_surfaces_on_one_route_without_claims_are_refused(tmp_path: Path):
    with pytest.raises(StartupError, match=r"GET /api/t1/shelf/<row> is served by first, second"):
        contested(tmp_path, None, None)


@pytest.mark.parametrize(
    "paths", [("/shelf/<a>", "/shelf/<b>"), ("/shelf/<string:a>", "/shelf/<b>")], ids=["names", "default converter"]
)
def test_a_parameter_of_another_name_does_not_make_another_route(tmp_path: Path, paths: tuple[str, str]):
    def both(*surfaces: Blueprint) -> None:
        for blueprint, path in zip(surfaces, paths, strict=True):

            @blueprint.get(path)
            @public
            async def shelf(**names: str) -> Any:
                return names

    two = Two(wants_second, wants_second)
    two.extra = both
    with pytest.raises(StartupError, match="a route has one owner"):
        made(tmp_path, two)


def test_other_converters_and_methods_and_websockets_do_not_contend(tmp_path: Path):
    def apart(first: Blueprint, second: Blueprint) -> None:
        @first.get("/shelf/<uuid:id>")
        @public
        async def one(id: str) -> Any:
            return {}

        @second.get("/shelf/<name>")
        @public
        async def two(name: str) -> Any:
            return {}

        @second.put("/shelf/<uuid:id>")
        @public
        async def three(id: str) -> Any:
            return {}

        @second.websocket("/shelf/<uuid:id>")
        @public
        async def four(id: str) -> None:
            return None

    two = Two()
    two.extra = apart
    made(tmp_path, two)


def test_one_surface_with_a_route_twice_is_refused(tmp_path: Path):
    def twice(first: Blueprint, second: Blueprint) -> None:
        for name in ("one", "two"):
            view: Any = public(lambda: None)
            first.add_url_rule("/shelf", name, view)

    two = Two()
    two.extra = twice
    with pytest.raises(StartupError, match="is served by first, first"):
        made(tmp_path, two)


async def test_what_a_handler_does_not_read_from_a_websocket_stays_with_its_sender(app: Quart) -> None:
    taken = 0

    async def receive() -> Any:
        nonlocal taken
        taken += 1
        return {"type": "websocket.receive", "text": "hello"}

    socket = Socket(app, {"type": "websocket", "path": "/", "headers": []})
    if not hasattr(socket, "queue") or len(inspect.signature(socket.handle_messages).parameters) > 1:
        pytest.skip("this Quart has a buffer of its own for what is not read yet")
    reading = asyncio.ensure_future(socket.handle_messages(receive))
    for _ in range(100):
        await asyncio.sleep(0)
    assert taken == UNREAD + 1
    assert await socket.queue.get() == "hello"
    await asyncio.sleep(0)
    reading.cancel()
    assert taken == UNREAD + 2
