"""An agent written from the published messages alone: nothing of ours is imported, no field of ours is sent."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class SeedAgent:
    """One connection. A context manager: entering it connects, leaving it hangs up."""

    def __init__(self, server: str) -> None:
        url = server.replace("http", "ws", 1) + "/ws/agent"
        self._connecting = connect(url, max_size=None, proxy=None, open_timeout=10)

    def __enter__(self) -> SeedAgent:
        self.socket = self._connecting.__enter__()
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.socket.close()

    def say(self, type: str, **fields: Any) -> None:
        self.say_raw(json.dumps({"type": type, **fields}))

    def say_raw(self, text: str) -> None:
        self.socket.send(text)

    def hear(self, seconds: float = 30) -> dict[str, Any]:
        """The next message. TimeoutError when none comes, ConnectionClosed when none will."""
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=seconds))
        return message

    def register(self, hostname: str, ip_address: str = "127.0.0.1", **fields: Any) -> dict[str, Any]:
        self.say("register", hostname=hostname, ip_address=ip_address, volume_base="/data", **fields)
        answer = self.hear()
        assert answer["type"] == "registration_response", answer
        return answer

    def beat(self, *containers: dict[str, str]) -> None:
        self.say("heartbeat", containers=list(containers))

    def answer(self, success: bool = True, output: str = "") -> dict[str, Any]:
        """Take the next command and end it."""
        command = self.hear()
        self.say("result", command_id=command.get("command_id"), success=success, output=output)
        return command

    def closed(self, seconds: float = 30) -> int:
        """The code with which the server hangs up, 1006 for none; what it says before is dropped."""
        try:
            while True:
                self.hear(seconds)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
