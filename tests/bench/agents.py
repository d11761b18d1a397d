"""Simulated agents: the published messages over real websockets, many in one process. A command of its own:

    python tests/bench/agents.py --agents 500 --url http://127.0.0.1:8080 --token TOKEN --seconds 60

With `--controlled` it takes one JSON order a line on standard input and answers each with a line; the benches use that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

AT_ONCE = 50  # connections being made at a time
WINDOW = 8  # heartbeats an agent of a flood sends before it waits for the server
SWITCH = 10  # every so many heartbeats the state of a container changes
PING = '{"type":"ping"}'
NAMES = ("traefik", "nextcloud", "postgres", "redis", "grafana", "prometheus", "jellyfin", "backup")
LINES = 10  # of a followed log, each second


def heartbeat(
    hostname: str, last: str = "running", metrics: dict[str, Any] | None = None, count: int = len(NAMES)
) -> str:
    """A heartbeat of eight containers, 1.3 KB, as the published API has it; and a sample where there is one."""
    containers = [
        {
            "id": _id(hostname, number).ljust(64, "e"),
            "name": f"{name}-{hostname}",
            "image": f"registry.example/library/{name}:2024.1",
            "status": last if name == "backup" else "running",
        }
        for number, name in enumerate(itertools.islice(_names(), count))
    ]
    told = {"metrics": metrics} if metrics else {}
    return json.dumps({"type": "heartbeat", "containers": containers, **told}, separators=(",", ":"))


def _names() -> Iterator[str]:
    yield from NAMES
    for number in itertools.count(2):
        yield from (f"{name}-{number}" for name in NAMES)


def _id(hostname: str, number: int) -> str:
    return f"{number:02x}{abs(hash(hostname)) % 16**10:010x}"


def sample(hostname: str, number: int) -> dict[str, Any]:
    """What a host with four disks, two networks and those containers tells; every fourth time of fifty processes."""
    gib = 2**30
    found: dict[str, Any] = {
        "cpu_percent": 5.0 + number,
        "memory_percent": 41.5,
        "memory": {"total": 16 * gib, "used": 6 * gib + number, "available": 10 * gib - number},
        "swap": {"total": 2 * gib, "used": 0, "available": 2 * gib},
        "load": [0.5, 0.25, 0.125],
        "uptime": 86400.0 + 15 * number,
        "cores": 4,
        "disk_usage": [
            {"path": path, "total": 500 * gib, "used": 200 * gib, "free": 300 * gib, "percent": 40.0}
            for path in ("/", "/boot", "/srv/media", "/srv/backup")
        ],
        "network": [
            {
                "interface": name,
                "bytes_sent": 10**9 + 10**5 * number,
                "bytes_recv": 10**9,
                "packets_sent": 5,
                "packets_recv": 5,
            }
            for name in ("eth0", "docker0")
        ],
        "containers": [
            {
                "id": _id(hostname, each),
                "name": f"{name}-{hostname}",
                "cpu_percent": 1.5,
                "memory_bytes": 10**8 + number,
            }
            for each, name in enumerate(NAMES)
        ],
    }
    if number % 4 == 0:
        found["processes"] = [
            {
                "pid": 100 + each,
                "name": f"process-{each}",
                "cpu": 1.0,
                "memory": 0.5,
                "status": "sleeping",
                "user": "root",
            }
            for each in range(50)
        ]
    return found


class Agent:
    """One simulated host. It answers every command with a success and notes when each thing came."""

    def __init__(
        self,
        number: int,
        capabilities: tuple[str, ...] = (),
        echoed: bool = False,
        metrics: bool = False,
        containers: int = len(NAMES),
    ) -> None:
        self.hostname = f"bench-{number:05d}"
        self.status = ""
        self.commands: dict[str, dict[str, float]] = {}  # by id: when it came, was answered, was acknowledged
        self.sent = 0
        self._capabilities = capabilities
        self._echoed = echoed  # a bare server sends everything back
        self._echoes = 0
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._registered = asyncio.Event()
        self._pong = asyncio.Event()
        self._logs: dict[str, asyncio.Task[None]] = {}
        self._beats = itertools.cycle(
            heartbeat(
                self.hostname,
                "exited" if turn % SWITCH == SWITCH - 1 else "running",
                sample(self.hostname, turn) if metrics else None,
                containers,
            )
            for turn in range(2 * SWITCH if metrics else SWITCH)
        )

    @property
    def is_connected(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def connect(self, url: str) -> None:
        """Register, and wait for the answer."""
        self._socket = await connect(url, compression=None, ping_interval=None, proxy=None, open_timeout=60)
        register: dict[str, Any] = {"hostname": self.hostname, "ip_address": "10.0.0.1", "volume_base": "/data"}
        if self._capabilities:
            register |= {"protocol": 2, "capabilities": self._capabilities}
        await self._socket.send(json.dumps({"type": "register", **register}))
        self._reading = asyncio.create_task(self._read(self._socket))
        async with asyncio.timeout(60):
            await self._registered.wait()

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                if self._echoed and self._registered.is_set():
                    self._echo()
                else:
                    await self._heard(socket, json.loads(text))

    def _echo(self) -> None:
        self._echoes += 1
        if self._echoes == WINDOW:
            self._echoes = 0
            self._pong.set()

    async def _heard(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        came = time.time()
        match message["type"]:
            case "pong":
                self._pong.set()
            case "ping":
                await socket.send('{"type":"pong"}')
            case "registration_response":
                self.status = message["status"]
                self._registered.set()
            case "deploy" | "stop" | "start" | "delete":
                command = message["command_id"]
                await socket.send(json.dumps({"type": "result", "command_id": command, "success": True, "output": ""}))
                self.commands[command] = {"came": came}
            case "ack" if message["command_id"] in self.commands:
                self.commands[message["command_id"]]["acknowledged"] = came
            case "logs":
                self._logs[message["command_id"]] = asyncio.create_task(self._log(socket, message["command_id"]))
            case "cancel" if message["command_id"] in self._logs:
                self._logs.pop(message["command_id"]).cancel()
                result = {"type": "result", "command_id": message["command_id"], "success": False}
                await socket.send(json.dumps({**result, "output": "", "data": {"cancelled": True}}))

    async def _log(self, socket: ClientConnection, command: str) -> None:
        """Lines of a container that talks a lot."""
        with contextlib.suppress(ConnectionClosed):
            for number in itertools.count():
                data = f"line {number} of {self.hostname}\n"
                await socket.send(json.dumps({"type": "output", "command_id": command, "data": data, "seq": number}))
                await asyncio.sleep(1 / LINES)

    async def beat(self) -> None:
        assert self._socket
        await self._socket.send(next(self._beats))
        self.sent += 1

    async def beat_every(self, interval: float) -> None:
        """As agents do, each at its own moment."""
        with contextlib.suppress(ConnectionClosed):
            await asyncio.sleep(random.random() * interval)
            while True:
                await self.beat()
                await asyncio.sleep(interval)

    async def flood(self, until: float) -> None:
        """As many as the server takes. A window ends when the server has read all of it and says so."""
        assert self._socket
        while time.monotonic() < until:
            self._pong.clear()
            for _ in range(WINDOW):
                await self.beat()
            if not self._echoed:
                await self._socket.send(PING)
            await self._pong.wait()

    async def leave(self) -> None:
        if self._socket and self._reading:
            await self._socket.close()
            await self._reading


class Fleet:
    """All agents of this process."""

    def __init__(self, url: str, agents: list[Agent]) -> None:
        self.agents = agents
        self.url = url.replace("http", "ws", 1) + "/ws/agent"
        self._beating: list[asyncio.Task[None]] = []

    async def connect(self) -> dict[str, Any]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(agent: Agent) -> None:
            async with room:
                await agent.connect(self.url)

        began = time.monotonic()
        await asyncio.gather(*map(one, self.agents))
        statuses = [agent.status for agent in self.agents]
        return {"connected": statuses.count("approved"), "seconds": time.monotonic() - began}

    async def beat(self, interval: float) -> dict[str, Any]:
        """Every agent beats from now on, until `rest`."""
        self._beating = [asyncio.create_task(agent.beat_every(interval)) for agent in self.agents]
        return {"beating": len(self._beating)}

    async def rest(self) -> dict[str, Any]:
        for task in self._beating:
            task.cancel()
        await asyncio.gather(*self._beating, return_exceptions=True)
        self._beating = []
        return self.counts()

    async def flood(self, seconds: float) -> dict[str, Any]:
        before, began = self.counts()["sent"], time.monotonic()
        await asyncio.gather(*(agent.flood(began + seconds) for agent in self.agents))
        return {"heartbeats": self.counts()["sent"] - before, "seconds": time.monotonic() - began}

    async def commands(self) -> dict[str, Any]:
        """What was commanded since the last time, with the moments."""
        found = {id: times for agent in self.agents for id, times in agent.commands.items() if "acknowledged" in times}
        for agent in self.agents:
            agent.commands = {id: times for id, times in agent.commands.items() if id not in found}
        return found

    async def leave(self) -> dict[str, Any]:
        await self.rest()
        counts = self.counts()
        await asyncio.gather(*(agent.leave() for agent in self.agents))
        return counts

    async def count(self) -> dict[str, Any]:
        return self.counts()

    def counts(self) -> dict[str, Any]:
        return {
            "sent": sum(agent.sent for agent in self.agents),
            "connected": sum(agent.is_connected for agent in self.agents),
        }


async def obey(fleet: Fleet) -> None:
    """Orders come as lines: {"do": "flood", "seconds": 3}. The end of input, or `leave`, ends it."""
    orders: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
        name: getattr(fleet, name) for name in ("connect", "beat", "rest", "flood", "commands", "count", "leave")
    }
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        name = order.pop("do")
        print(json.dumps(await orders[name](**order)), flush=True)
        if name == "leave":
            return


def admit_all(url: str, token: str) -> None:
    """Make the policy that approves any agent."""
    policy = {"name": "bench", "priority": 0, "match_type": {"type": "any"}, "action": "approve"}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/v1/policies", json.dumps(policy).encode(), headers)
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        sys.exit(f"the policy was refused: {error.code} {error.read().decode(errors='replace')}")


async def run(options: argparse.Namespace) -> None:
    numbers = range(options.first, options.first + options.agents)
    kind = tuple(options.capability), options.echoed, options.metrics, options.containers
    fleet = Fleet(options.url.rstrip("/"), [Agent(number, *kind) for number in numbers])
    if options.controlled:
        return await obey(fleet)
    print("connected", await fleet.connect(), flush=True)
    if options.flood:
        print("flooded", await fleet.flood(options.seconds))
    else:
        await fleet.beat(options.interval)
        await asyncio.sleep(options.seconds)
    print("ended", await fleet.leave())


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate agents against a ROCI server.")
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--url", required=True, help="the server's address: http://127.0.0.1:8080")
    parser.add_argument("--token", help="an API token; with it a policy that approves any agent is made first")
    parser.add_argument("--seconds", type=float, default=60, help="how long (at most an hour)")
    parser.add_argument("--interval", type=float, default=15, help="seconds between an agent's heartbeats")
    parser.add_argument("--flood", action="store_true", help="as many heartbeats as the server takes")
    parser.add_argument("--capability", action="append", default=[], help="a capability the agents announce")
    parser.add_argument("--first", type=int, default=0, help="the number of the first, for a second fleet")
    parser.add_argument("--metrics", action="store_true", help="heartbeats carry samples")
    parser.add_argument("--containers", type=int, default=len(NAMES), help="of each agent")
    parser.add_argument("--echoed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--controlled", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (0 < options.agents <= 20_000 and math.isfinite(options.seconds) and 0 < options.seconds <= 3600):
        parser.error("between 1 and 20,000 agents, for an hour at most")
    if options.token:
        admit_all(options.url.rstrip("/"), options.token)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
