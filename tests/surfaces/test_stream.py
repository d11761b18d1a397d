"""Event streams end when what let their reader in does not hold any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Blueprint, Quart

from roci import Permission, Roci, Settings, Surface, hookimpl
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.rules import Rule
from roci_plugins.surfaces.http import needs, public
from roci_plugins.surfaces.http import roci as current
from roci_plugins.surfaces.stream import OF_ONE, ServerSent, stream

routes = Blueprint("ticks", __name__)


async def _ticking() -> AsyncIterator[ServerSent]:
    yield ServerSent("tick", 1)
    await asyncio.Event().wait()


@routes.get("/ticks")
@needs("ticks.read")
async def ticks() -> Any:
    return stream(current, _ticking())


@routes.get("/open")
@public
async def open_() -> Any:
    return stream(current, _ticking())


class Ticks:
    @hookimpl
    def register_surfaces(self, roci: Roci) -> list[Surface]:
        return [Surface("ticks", "/ticks", routes, lambda error: ({"error": error.message}, error.status))]

    @hookimpl
    def register_permissions(self) -> list[Permission]:
        return [Permission("ticks.read", "hear ticks")]


@pytest.fixture
async def roci(settings: Settings) -> AsyncIterator[Roci]:
    instance = Roci(settings, [Ticks()])
    async with instance.running():
        yield instance


def _ann() -> tuple[str, str, str, str]:
    row = principals.add(principals.NewPrincipal("ann"))
    access.add_role(roles.NewRole("listener", [Rule("ticks.*")]))
    bound = access.bind("ann", "listener")
    token, secret = credentials.issue(row.id, "test")
    return row.id, bound.id, token.id, str(secret)


async def ended_by(app: Quart, path: str, secret: str, act: Any) -> bool:
    """Whether a stream that has begun is over soon after something was done."""
    async with app.test_client().request(path, headers={"Authorization": f"Bearer {secret}"}) as connection:
        await connection.send_complete()
        assert b"event: tick" in await asyncio.wait_for(connection.receive(), 30)
        await act
        over = asyncio.ensure_future(connection.receive())
        done, _ = await asyncio.wait({over}, timeout=30 if path == "/ticks/ticks" else 0.1)
        over.cancel()
        await connection.disconnect()
    return bool(done)


@pytest.mark.parametrize("what", ["disabled", "removed", "revoked", "unbound", "role gone", "role changed"])
async def test_a_stream_ends_with_the_right_to_it(app: Quart, roci: Roci, what: str) -> None:
    id, binding, token, secret = await roci.write(_ann)
    acts = {
        "disabled": lambda: principals.disable(id),
        "removed": lambda: principals.remove(id),
        "revoked": lambda: credentials.revoke(token),
        "unbound": lambda: access.unbind(binding),
        "role gone": lambda: access.remove_role("listener"),
        "role changed": lambda: access.change_role("listener", rules=[]),
    }
    assert await ended_by(app, "/ticks/ticks", secret, roci.write(acts[what]))


async def test_a_stream_that_anybody_may_read_goes_on(app: Quart, roci: Roci) -> None:
    id, _, _, secret = await roci.write(_ann)
    assert not await ended_by(app, "/ticks/open", secret, roci.write(principals.disable, id))


async def test_a_stream_goes_on_when_others_lose_their_rights(app: Quart, roci: Roci) -> None:
    _, _, _, secret = await roci.write(_ann)
    other = await roci.write(principals.add, principals.NewPrincipal("bob"))
    async with app.test_client().request("/ticks/ticks", headers={"Authorization": f"Bearer {secret}"}) as connection:
        await connection.send_complete()
        assert b"event: tick" in await asyncio.wait_for(connection.receive(), 30)
        await roci.write(principals.remove, other.id)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.receive(), 0.2)
        await connection.disconnect()


async def test_nobody_has_more_than_some_streams_and_what_is_closed_counts_no_more(app: Quart, roci: Roci) -> None:
    _, _, _, secret = await roci.write(_ann)
    headers = {"Authorization": f"Bearer {secret}"}
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(OF_ONE):
            connection = await stack.enter_async_context(app.test_client().request("/ticks/ticks", headers=headers))
            await connection.send_complete()
            assert b"event: tick" in await asyncio.wait_for(connection.receive(), 30)
            stack.push_async_callback(connection.disconnect)
        assert (await app.test_client().get("/ticks/ticks", headers=headers)).status_code == 429
    async with app.test_client().request("/ticks/ticks", headers=headers) as connection:
        await connection.send_complete()
        assert b"event: tick" in await asyncio.wait_for(connection.receive(), 30)
        await connection.disconnect()


@pytest.mark.parametrize("name", ["two\nlines", "a\revent: b", "a\n", ""])
def test_an_events_name_is_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        ServerSent(name, "").encode()
