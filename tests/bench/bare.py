"""The yardsticks for heartbeats: the same server stack, Quart on Hypercorn, with nothing of ROCI in it.

`/echo/ws/agent` sends every frame back. `/sink/ws/agent` only answers a registration and pings: nobody can read
frames with these libraries for less.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, websocket

app = Quart(__name__, static_folder=None)
APPROVED = '{"type":"registration_response","status":"approved","agent_id":"none"}'


@app.websocket("/echo/ws/agent")
async def echo() -> None:
    await websocket.receive()
    await websocket.send(APPROVED)
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/sink/ws/agent")
async def sink() -> None:
    await websocket.receive()
    await websocket.send(APPROVED)
    while True:
        if await websocket.receive() == '{"type":"ping"}':
            await websocket.send('{"type":"pong"}')


async def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.accesslog = None
    config.websocket_max_message_size = 4 * 1024 * 1024
    print(f"ready on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    sys.setswitchinterval(0.0005)
    gc.freeze()
    await serve(app, config)


asyncio.run(main())
