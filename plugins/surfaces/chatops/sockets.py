"""/api/v1/ws/metrics and /api/v1/ws/logs: what a server tells and what happens to it, as it comes, for browsers.

The first frame says who asks; nothing else does, so no other site's page can use a cookie here. A reader that does
not read skips what it was too slow for. The stream ends with the right to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import msgspec
from quart import Blueprint, Request, websocket
from werkzeug.datastructures import Headers

from roci import Forbidden, Malformed, Roci, RociError, Unauthenticated, now

from ...agent.sample import Sample
from ...core.app import authenticate, refused
from ...domain import hostcards
from ...domain.hostkeys import resource
from ...domain.model import wire_time
from ...work.metrics import Metrics
from ..http import public, server, uuid
from ..stream import Doubts
from . import log_shapes, metric_shapes

routes = Blueprint("sockets", __name__, url_prefix="/ws")
AUTH_WITHIN = 10.0  # seconds until the first frame
SENDING = 10.0  # seconds that one frame may take
WAITING = 100  # frames that wait for a slow reader; the oldest go
LONGEST = 16 * 1024  # characters of a frame that comes in
REFUSED, RESTART = 1008, 1012

Frames = AsyncIterator[dict[str, Any]]


@routes.websocket("/metrics/<server_id>")
@public
async def metrics(server_id: str) -> None:
    """Its samples, the newest first of all."""
    await _serve(server_id, "metrics.read", _samples)


@routes.websocket("/logs/<server_id>")
@public
async def logs(server_id: str) -> None:
    """What happens to it from now on."""
    await _serve(server_id, "operations.read", _happenings)


# --- who asks ---


async def _serve(server_id: str, action: str, frames: Callable[[Roci, str], Frames]) -> None:
    await websocket.accept()
    here = server()
    try:
        host_id, holds = await _let_in(here, server_id, action)
        await _send({"type": "auth_success", "server_id": host_id})
    except TimeoutError:
        return await websocket.close(REFUSED, "Authentication timeout")
    except RociError as error:
        await refused(here, error)
        return await websocket.close(REFUSED, error.message[:100])
    await _stream(here, frames(here, host_id), holds)


async def _let_in(here: Roci, server_id: str, action: str) -> tuple[str, Callable[[], Awaitable[bool]]]:
    """The server that is asked about, and whether that may go on. Raises what a request would be answered."""
    async with asyncio.timeout(AUTH_WITHIN):
        said = _read(await websocket.receive())
    token = said.get("token")
    if said.get("type") != "auth" or not isinstance(token, str) or not token:
        raise Unauthenticated("Authentication required")
    asked = _as_request(token)
    who = await authenticate(here, asked)
    if who is None:
        raise Unauthenticated("Invalid token")
    host_id = uuid(server_id)
    if not here.may(who, action, resource(host_id)):
        raise Forbidden("Not enough permissions", action=action, resource=resource(host_id))
    await here.read(hostcards.get, host_id)

    async def holds() -> bool:
        try:
            found = await authenticate(here, asked)
            await here.read(hostcards.get, host_id)
        except RociError:
            return False
        return found is not None and found.id == who.id and here.may(found, action, resource(host_id))

    return host_id, holds


def _as_request(token: str) -> Request:
    """The token of the first frame, where authenticators look for one, with nothing else that this connection sent."""
    sent = {"Authorization": f"Bearer {token}", "Host": websocket.host, "Remote-Addr": websocket.remote_addr or ""}
    place = websocket.scheme, websocket.path, b"", Headers(sent), websocket.root_path, websocket.http_version
    return Request("GET", *place, cast(Any, websocket.scope), send_push_promise=cast(Any, None))


def _read(frame: str | bytes) -> dict[str, Any]:
    if len(frame) > LONGEST:
        raise Malformed("the frame is too large")
    try:
        said = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Malformed("the frame is not JSON") from None
    if not isinstance(said, dict):
        raise Malformed("the frame is no JSON object")
    return said


# --- what is sent ---


async def _send(frame: dict[str, Any]) -> None:
    async with asyncio.timeout(SENDING):
        await websocket.send(msgspec.json.encode(frame).decode())


async def _stream(here: Roci, frames: Frames, holds: Callable[[], Awaitable[bool]]) -> None:
    """Until the reader leaves, the right to it ends, or ROCI does."""
    ends = {
        "sent": _send_all(frames),
        "read": _answer_pings(),
        "lost": here.part(Doubts).until_lost(holds),
        "drained": here.draining.wait(),
    }
    tasks = {name: asyncio.ensure_future(work) for name, work in ends.items()}
    try:
        done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    if tasks["drained"] in done:
        await websocket.close(RESTART, "the server restarts")
    elif tasks["lost"] in done:
        await websocket.close(REFUSED, "the right to this has ended")
    elif failed := next((task.exception() for task in done if task.exception()), None):
        if not isinstance(failed, TimeoutError | Malformed):
            raise failed
        await websocket.close(REFUSED, str(failed)[:100] or "this reader does not read")


async def _send_all(frames: Frames) -> None:
    async with contextlib.aclosing(cast(Any, frames)):
        async for frame in frames:
            await _send({**frame, "timestamp": wire_time(now())})


async def _answer_pings() -> None:
    while True:
        said = _read(await websocket.receive())
        if said.get("type") == "ping":
            await _send({"type": "pong"})


async def _samples(here: Roci, host_id: str) -> Frames:
    metrics, waiting = here.part(Metrics), asyncio.Queue[Sample](WAITING)

    def hear(of: str, sample: Sample, before: Sample | None) -> None:
        if of == host_id:
            if waiting.full():
                waiting.get_nowait()
            waiting.put_nowait(sample)

    metrics.listeners.append(hear)
    try:
        if newest := metrics.latest(host_id):
            yield {"type": "metrics", "data": metric_shapes.flat(host_id, newest)}
        while True:
            yield {"type": "metrics", "data": metric_shapes.flat(host_id, await waiting.get())}
    finally:
        metrics.listeners.remove(hear)


async def _happenings(here: Roci, host_id: str) -> Frames:
    async with contextlib.aclosing(cast(Any, here.subscribe())) as events:
        async for event in events:
            if getattr(event, "host_id", None) == host_id:
                yield {"type": "log", "data": log_shapes.of_event(event, host_id)}
