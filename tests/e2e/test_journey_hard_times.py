"""What nobody should send, and an end in the middle of everything."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed

from .bed import Server, unique, wait_for
from .journey import App, admit, agent, ended, get, stack
from .seed import SeedAgent

NewServer = Callable[..., Server]
COMPOSE = stack({"w": {"image": "nginx"}})
MALFORMED: list[Any] = [
    "",
    "{",
    "null",
    "[]",
    '"register"',
    "{}",
    '{"type": 7}',
    '{"type": "register"}',
    '{"type": "register", "hostname": 7}',
    '{"type": "register", "hostname": ""}',
    '{"type": "register", "hostname": "' + "x" * 300 + '"}',
    '{"type": "register", "hostname": "a\\u0000b"}',
    '{"type": "heartbeat"}',
    '{"type": "result", "success": "maybe"}',
    '{"type": "register", "hostname": "x", "capabilities": "all"}',
    '{"type":"register","hostname":"x","protocol":' + "9" * 400 + "}",
    "[" * 100_000,
    '{"type": "heartbeat", "containers": [{"id": 1}]}',
    '{"type": "nonsense"}',
    b"\xff\xfe\x00",
]


@pytest.fixture
def server(new_server: NewServer) -> Server:
    server = new_server()
    admit(server.api, {"type": "any"})
    return server


def test_a_frame_of_five_megabytes_ends_its_connection_and_nothing_else(server: Server) -> None:
    with SeedAgent(server.url) as well, SeedAgent(server.url) as big:
        well.register("well")
        big.register("big")
        with contextlib.suppress(ConnectionClosed):
            big.say("result", success=True, output="x" * 5 * 1024 * 1024)
        assert big.closed() == 1009
        agent(server.api, "big", connected=False)
        agent(server.api, "well")
        assert server.api.get("/api/v1/health/lite")[0] == 200
        with SeedAgent(server.url) as again:
            assert again.register("big")["status"] == "approved"


def test_a_thousand_malformed_frames_leave_the_server_as_it_was(server: Server) -> None:
    codes = []
    with SeedAgent(server.url) as well:
        well.register("well")
        for number in range(100):  # each connection ends at its first bad frame; the rest is thrown at the closing door
            with SeedAgent(server.url) as bad:
                if number % 2:
                    bad.register(f"bad-{number}")
                for frame in (MALFORMED[number % 20 :] + MALFORMED)[:10]:
                    with contextlib.suppress(ConnectionClosed):
                        bad.socket.send(frame)
                codes.append(bad.closed())
        assert {4000, 4001} <= set(codes) <= {4000, 4001, 1006}, "1006: the reason was lost in what we still sent"
        well.beat({"id": "c", "name": "n", "image": "i", "status": "running"})
        seen = f"/api/v1/agents/{agent(server.api, 'well')['id']}/containers"
        wait_for(lambda: get(server.api, seen)["current"], 20, "a heartbeat among all that")
        wait_for(lambda: get(server.api, "/api/v1/health")["agents"] == 1, 20, "the others being gone")
    assert "Traceback" not in server.output


def test_told_to_stop_it_says_goodbye_to_all_and_ends_in_time(server: Server) -> None:
    with contextlib.ExitStack() as stack_:
        agents = [stack_.enter_context(SeedAgent(server.url)) for _ in range(20)]
        hosts = [one.register(f"h{number}")["agent_id"] for number, one in enumerate(agents)]
        app = App(server.api, unique("a1"), COMPOSE, hosts[0])
        operation = app.begin("deploy")
        command = agents[0].hear()
        url = f"{server.url}/api/v1/operations/{operation}/output"
        follow = server.api.session.get(url, stream=True, timeout=30)
        stack_.enter_context(contextlib.closing(follow))
        assert follow.headers["Content-Type"].startswith("text/event-stream")
        ended_stream = threading.Event()

        def read() -> None:
            with contextlib.suppress(requests.RequestException):
                for _ in follow.iter_content(1):
                    pass
            ended_stream.set()

        threading.Thread(target=read, daemon=True).start()
        idle = stack_.enter_context(contextlib.closing(requests.Session()))
        assert idle.get(f"{server.url}/api/v1/health/lite", timeout=5).ok  # a kept connection that asks nothing

        assert server.stop(10) == 0
        assert ended_stream.wait(2)
        assert {one.closed() for one in agents} == {1001}
    assert "Traceback" not in server.output

    server.start()
    with SeedAgent(server.url) as back:
        assert back.register("h0")["agent_id"] == hosts[0]
        back.say("result", command_id=command["command_id"], success=True, output="")
        assert ended(server.api, operation)["status"] == "succeeded"
    assert app.status == "running"


def test_the_stream_of_a_deploy_tells_its_output_as_it_comes_and_its_end(server: Server) -> None:
    with SeedAgent(server.url) as h1:
        host = h1.register("h1", protocol=2, capabilities=["ack"])
        app = App(server.api, unique("a1"), COMPOSE, host["agent_id"])
        operation = app.begin("deploy")
        h1.hear()
        url = f"{server.url}/api/v1/operations/{operation}/output"
        with contextlib.closing(server.api.session.get(url, stream=True, timeout=10)) as follow:
            lines = follow.iter_lines(chunk_size=1, decode_unicode=True)
            h1.say("output", command_id=operation, data="pulling\n")
            assert _next(lines) == ("output", {"seq": 0, "data": "pulling\n"})
            h1.say("result", command_id=operation, success=True, output="pulling\ndone\n")
            name, data = _next(lines)
            assert (name, data["status"], data["output"]) == ("end", "succeeded", "pulling\ndone\n")
            assert list(lines) == []


def _next(lines: Any) -> tuple[str, Any]:
    event = ""
    for line in lines:
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            assert next(lines) == ""
            return event, data
    raise AssertionError("the stream ended")
