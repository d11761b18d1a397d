"""The streams for browsers: spec/monitoring.md section 5."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from quart.testing import connections
from quart.typing import TestWebsocketConnectionProtocol as Connection

from roci import Roci, current_actor
from roci_plugins.agent.sample import Sample
from roci_plugins.agent.scripted import until
from roci_plugins.auth.jwt import Tokens
from roci_plugins.domain import access, automation, credentials, hostcards, hostkeys, principals
from roci_plugins.domain.automation import NewKey
from roci_plugins.domain.hosts import Host
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.surfaces.chatops import sockets
from roci_plugins.work import deploy
from roci_plugins.work.metrics import Metrics

from .conftest import NOBODY, Api, person

if not hasattr(connections, "WebsocketDisconnectError"):
    pytest.skip("the test client of this Quart does not tell how a websocket was closed", allow_module_level=True)
WebsocketDisconnectError: Any = connections.WebsocketDisconnectError

BASE = "/chatops/api/v1"


class Stream:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def say(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        return dict(json.loads(await asyncio.wait_for(self.connection.receive(), 30)))

    async def auth(self, api: Api) -> None:
        await self.say(type="auth", token=api.headers["Authorization"].removeprefix("Bearer "))

    async def closed(self) -> int:
        """The code it ends with; what comes before is dropped."""
        while True:
            try:
                await self.hear()
            except WebsocketDisconnectError as end:
                return int(end.args[0])


@asynccontextmanager
async def stream(api: Api, path: str) -> AsyncIterator[Stream]:
    async with api.client.websocket(path) as connection:
        yield Stream(connection)


@pytest.mark.parametrize("base", ["/api/v1", BASE])
async def test_samples_come_as_they_are_taken_in(admin: Api, host: Host, roci: Roci, base: str) -> None:
    metrics = roci.part(Metrics)
    metrics.accept(host.id, Sample(cpu_percent=1.0))
    async with stream(admin, f"{base}/ws/metrics/{host.id}") as reader:
        await reader.auth(admin)
        assert await reader.hear() == {"type": "auth_success", "server_id": host.id}
        first = await reader.hear()
        assert (first["type"], first["data"]["cpu_percent"], set(first)) == (
            "metrics",
            1.0,
            {"type", "data", "timestamp"},
        )
        metrics.accept(NOBODY, Sample(cpu_percent=5.0))
        metrics.accept(host.id, Sample(cpu_percent=2.0))
        assert (await reader.hear())["data"]["cpu_percent"] == 2.0
        await reader.say(type="ping")
        assert await reader.hear() == {"type": "pong"}
    await until(lambda: not any(heard.__name__ == "hear" for heard in metrics.listeners))


async def test_what_happens_to_a_server_comes_as_it_happens(admin: Api, host: Host, roci: Roci) -> None:
    async with stream(admin, f"{BASE}/ws/logs/{host.id}") as reader:
        await reader.auth(admin)
        await reader.hear()
        await until(lambda: roci._subscribers)
        await roci.write(hostcards.add, "another")
        await roci.write(hostcards.change, host.id, name="storage")
        frame = await reader.hear()
        entry = frame["data"]
        assert (frame["type"], entry["server_id"], entry["component"]) == ("log", host.id, "host_card")


REFUSED: list[dict[str, Any]] = [
    {},
    {"type": "auth"},
    {"type": "auth", "token": ""},
    {"type": "auth", "token": 5},
    {"type": "auth", "token": "roci_wrong"},
    {"type": "auth", "token": "a.b.c"},
    {"type": "ping"},
]


async def test_who_does_not_say_who_they_are_is_let_go(admin: Api, host: Host) -> None:
    for frame in REFUSED:
        async with stream(admin, f"{BASE}/ws/metrics/{host.id}") as reader:
            await reader.say(**frame)
            assert await reader.closed() == 1008, frame


async def credentials_of(roci: Roci, name: str, host: Host) -> dict[str, str]:
    """Everything that a person, or a host of theirs, can show anywhere."""

    def write() -> dict[str, str]:
        row, minute = principals.by_name(name), datetime.timedelta(minutes=1)
        shown = current_actor.set(access.actor(row))
        try:
            key = automation.issue(row.id, NewKey("ci"))[1]
        finally:
            current_actor.reset(shown)
        found = {"automation": key, "host": hostkeys.issue(host.id)[1], "token": credentials.issue(row.id, "t")[1]}
        for dialect in ("rootcx", "raworc", "chatops"):
            found[dialect] = roci.part(Tokens).mint(dialect, row, credentials.open_login(row, dialect, minute), 60)
        return {kind: str(secret) for kind, secret in found.items()}

    return await roci.write(write)


@pytest.mark.parametrize("noun", ["metrics", "logs"])
async def test_credentials_count_as_in_a_request(
    admin: Api, host: Host, roci: Roci, caplog: pytest.LogCaptureFixture, noun: str
) -> None:
    for kind, secret in (await credentials_of(roci, "admin", host)).items():
        async with stream(admin, f"{BASE}/ws/{noun}/{host.id}") as reader:
            await reader.say(type="auth", token=secret)
            if kind in ("automation", "host"):
                assert await reader.closed() == 1008, kind
            else:
                assert (await reader.hear())["type"] == "auth_success", kind
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("text", ["{", "[]", "x" * 20_000])
async def test_frames_that_are_none(admin: Api, host: Host, text: str) -> None:
    async with stream(admin, f"{BASE}/ws/metrics/{host.id}") as reader:
        await reader.connection.send(text)
        assert await reader.closed() == 1008
    async with stream(admin, f"{BASE}/ws/metrics/{host.id}") as reader:
        await reader.auth(admin)
        await reader.hear()
        await reader.connection.send(text)
        assert await reader.closed() == 1008


async def test_who_says_nothing_is_let_go(admin: Api, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "AUTH_WITHIN", 0.01)
    async with stream(admin, f"{BASE}/ws/metrics/{host.id}") as reader:
        assert await reader.closed() == 1008


async def test_a_cookie_opens_nothing(client: Any, host: Host) -> None:
    async with client.websocket(f"{BASE}/ws/metrics/{host.id}") as connection:
        reader = Stream(connection)
        await reader.say(type="auth", token="cookie")
        assert await reader.closed() == 1008


@pytest.mark.parametrize("id", [NOBODY, "nope"])
async def test_servers_that_there_are_not(admin: Api, id: str) -> None:
    async with stream(admin, f"{BASE}/ws/logs/{id}") as reader:
        await reader.auth(admin)
        assert await reader.closed() == 1008


@pytest.mark.parametrize("noun", ["metrics", "logs"])
async def test_it_takes_the_right_to_that_server_and_ends_with_it(
    admin: Api, nobody: Api, host: Host, roci: Roci, noun: str
) -> None:
    row = await person(roci, "bob")
    await roci.write(access.add_role, NewRole("nas", [Rule("*", f"host/{host.id}")]))
    bob = await nobody.as_("bob")
    async with stream(bob, f"{BASE}/ws/{noun}/{host.id}") as reader:
        await reader.auth(bob)
        assert await reader.closed() == 1008
    await roci.write(access.bind, "bob", "nas")
    async with stream(bob, f"{BASE}/ws/{noun}/{host.id}") as reader:
        await reader.auth(bob)
        assert (await reader.hear())["type"] == "auth_success"
        await roci.write(principals.disable, row.id)
        assert await reader.closed() == 1008


async def test_it_ends_with_its_server_at_the_next_doubt(admin: Api, host: Host, roci: Roci) -> None:
    async with stream(admin, f"{BASE}/ws/metrics/{host.id}") as reader:
        await reader.auth(admin)
        await reader.hear()
        await deploy.remove_host(roci, host.id)
        await roci.write(access.add_role, NewRole("doubt", []))
        assert await reader.closed() == 1008


async def test_it_ends_when_roci_does(admin: Api, host: Host, roci: Roci) -> None:
    async with stream(admin, f"{BASE}/ws/metrics/{host.id}") as reader:
        await reader.auth(admin)
        await reader.hear()
        roci.draining.set()
        assert await reader.closed() == 1012


async def test_a_slow_reader_skips_the_oldest(host: Host, roci: Roci) -> None:
    samples = sockets._samples(roci, host.id)
    metrics = roci.part(Metrics)
    metrics.accept(host.id, Sample(cpu_percent=0.0))
    assert (await anext(samples))["data"]["cpu_percent"] == 0.0
    for number in range(sockets.WAITING + 50):
        metrics.accept(host.id, Sample(cpu_percent=number / 10))
    assert (await anext(samples))["data"]["cpu_percent"] == 5.0
    await samples.aclose()  # type: ignore[attr-defined]
    assert not any(heard.__name__ == "hear" for heard in metrics.listeners)
