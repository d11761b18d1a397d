"""A ChatOps client and its agents over TCP: make a server, let its agent in by a key, use it, throw it out."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .bed import PASSWORD, Client, Server, wait_for
from .journey import QUICK, shell, stack
from .seed import SeedAgent

NewServer = Callable[..., Server]
BASE = "/api/v1"
CAN = ["exec", "container", "logs", "metrics"]


class Api(Client):
    """A program with a token of this dialect."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.url + BASE)
        status, said = self.request("POST", "/auth/login", data={"username": "admin", "password": PASSWORD})
        assert status == 200, said
        self.session.headers["Authorization"] = f"Bearer {said['access_token']}"

    def ok(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answered = self.request(method, path, json=body)
        assert answered[0] == status, answered
        return answered[1]


def served(server: Server, api: Api, **fields: Any) -> tuple[str, dict[str, Any]]:
    """A server that was made by hand, and a key of it."""
    made = api.ok("POST", "/servers", {"name": "n1", **fields}, 201)
    assert (made["status"], made["last_seen"]) == ("unknown", None)
    return made["id"], api.ok("POST", "/api-keys", {"server_id": made["id"], "name": "agent"}, 201)


@pytest.fixture
def server(new_server: NewServer) -> Server:
    return new_server()


@pytest.fixture
def api(server: Server) -> Api:
    return Api(server)


@contextlib.contextmanager
def by_key(server: Server, key: str, hostname: str = "nas") -> Iterator[tuple[SeedAgent, dict[str, Any]]]:
    with SeedAgent(server.url) as agent:
        yield agent, agent.register(hostname, agent_token=key, capabilities=CAN, protocol=2)


def test_a_key_lets_an_agent_in_and_out_over_a_real_socket(server: Server, api: Api) -> None:
    server_id, key = served(server, api)
    with by_key(server, key["key"]) as (agent, answer):
        assert (answer["status"], answer["agent_id"]) == ("approved", server_id) and "agent_token" not in answer
        assert api.ok("GET", f"/servers/{server_id}")["status"] == "online"
        assert api.ok("POST", f"/api-keys/{key['id']}/deactivate")["is_active"] is False
        assert agent.closed() == 4003
    wait_for(lambda: api.ok("GET", f"/servers/{server_id}")["status"] == "offline", 60, "its being offline")
    with SeedAgent(server.url) as again:
        again.say("register", hostname="nas", agent_token=key["key"])
        assert again.closed() == 4003
    with requests.Session() as session:
        told = session.get(f"{server.url}{BASE}/api-keys/me", headers={"X-API-Key": key["key"]}, timeout=30)
    assert told.status_code == 401
    assert len(api.ok("GET", "/servers")) == 1


def test_metrics_commands_and_containers_of_a_server_that_outlives_a_restart(server: Server, api: Api) -> None:
    server_id, key = served(server, api, host="192.168.1.101", port=22)
    threshold = {"server_id": server_id, "metric_type": "cpu", "threshold_value": 80, "comparison": "gt"}
    api.ok("POST", "/alerts/thresholds", threshold, 201)
    with by_key(server, key["key"]) as (agent, _):
        _watch(server, api, server_id, agent)
        _work(api, server_id, agent)
    assert server.stop() == 0
    server.start()
    again = Api(server)
    mine = again.ok("GET", f"/servers/{server_id}")
    assert (mine["host"], mine["port"], mine["status"]) == ("192.168.1.101", 22, "offline")
    history = again.ok("GET", f"/metrics/{server_id}/history")
    assert [each["cpu_percent"] for each in history] == [5.0, 97.0]
    assert again.ok("DELETE", f"/servers/{server_id}", status=204) is None
    assert again.ok("GET", "/alerts") == [] == again.ok("GET", "/alerts/thresholds")


def _watch(server: Server, api: Api, server_id: str, agent: SeedAgent) -> None:
    """Samples arrive, over the socket for browsers too; what is too much is an alert that resolves."""

    def beat(cpu: float) -> None:
        at = datetime.datetime.now(datetime.UTC).isoformat()
        agent.say(
            "heartbeat",
            containers=[{"id": "0123456789ab", "name": "web"}],
            metrics={"cpu_percent": cpu, "timestamp": at},
        )

    token = str(api.session.headers["Authorization"]).removeprefix("Bearer ")
    url = f"{server.url.replace('http', 'ws', 1)}{BASE}/ws/metrics/{server_id}"
    with connect(url, proxy=None, open_timeout=60) as browser:
        browser.send(json.dumps({"type": "auth", "token": token}))
        assert json.loads(browser.recv(timeout=60))["type"] == "auth_success"
        beat(5)
        assert json.loads(browser.recv(timeout=60))["data"]["cpu_percent"] == 5
        beat(97)
        assert json.loads(browser.recv(timeout=60))["data"]["cpu_percent"] == 97
        api.ok("POST", "/auth/logout")
        with pytest.raises(ConnectionClosed) as ended:
            browser.recv(timeout=60)
        assert ended.value.rcvd and ended.value.rcvd.code == 1008
    api.session.headers["Authorization"] = Api(server).session.headers["Authorization"]
    (alert,) = wait_for(lambda: api.ok("GET", "/alerts?status=active"), 60, "an alert")
    assert (alert["severity"], alert["current_value"]) == ("warning", 97)
    assert api.ok("GET", f"/servers/{server_id}")["health_status"] == "warning"


def _work(api: Api, server_id: str, agent: SeedAgent) -> None:
    def answer() -> None:
        for success in (True, False):
            while (command := agent.hear(60))["type"] not in ("exec", "container"):
                pass
            code = 0 if success else 3
            agent.say("result", command_id=command["command_id"], success=success, stdout="done\n", exit_code=code)

    answering = threading.Thread(target=answer)
    answering.start()
    body = api.ok("POST", f"/commands/{server_id}", {"command": "ls"})
    assert (body["output"], body["exit_code"], body["success"]) == ("done\n", 0, True)
    status, _ = api.post(f"/docker/{server_id}/containers/web/stop?timeout=3")
    assert status == 500
    answering.join(60)
    assert [each["component"] for each in api.ok("GET", f"/logs/{server_id}?limit=2")] == ["container", "exec"]


def test_a_real_engine_is_worked_on_through_its_own_agent(
    engine: str, new_server: NewServer, image: str, cleanup: Callable[[str], str]
) -> None:
    settings = {**QUICK, "DOCKER_HOST": engine, "ROCI_AGENT__ALLOW": "exec,container,logs,metrics"}
    server = new_server(local_agent=True, environment=settings)
    api, name = Api(server), cleanup("ops")
    (mine,) = wait_for(lambda: [e for e in api.ok("GET", "/servers") if e["status"] == "online"], 60, "the local host")
    made = {"name": name, "compose_yaml": stack({"web": {"image": image, "command": shell("echo hello")}})}
    status, app = server.api.post(f"{BASE}/applications", {**made, "agent_id": mine["id"]})
    assert status == 201, app
    assert server.api.post(f"{BASE}/applications/{app['id']}/deploy")[0] == 202
    containers = f"/docker/{mine['id']}/containers"

    def state() -> str | None:
        return next(
            (each["state"] for each in api.ok("GET", containers) if each["name"].startswith(f"{name}-web")), None
        )

    wait_for(lambda: state() == "running", 60, "the container")
    (shown,) = [each for each in api.ok("GET", containers) if each["name"].startswith(f"{name}-web")]
    path = f"{containers}/{shown['name']}"
    assert api.ok("GET", f"{path}/logs?tail=5") == ["hello"]
    api.ok("POST", f"{path}/stop?timeout=1")
    wait_for(lambda: state() == "exited", 60, "its being stopped")
    api.ok("POST", f"{path}/start")
    wait_for(lambda: state() == "running", 60, "its being started")
    said = api.ok("POST", f"/commands/{mine['id']}", {"command": "echo out; echo err >&2; exit 3"})
    assert (said["exit_code"], said["success"], sorted(said["output"].split())) == (3, False, ["err", "out"])
    wait_for(lambda: api.get(f"/metrics/{mine['id']}")[0] == 200, 60, "a sample")
    sample = api.ok("GET", f"/metrics/{mine['id']}")
    assert sample["disk_usage"] and 0 < sample["memory_percent"] < 100


def test_probes_without_a_token(server: Server) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for path, kind in (("/health", "application/json"), ("/docs", "text/html"), ("/redoc", "text/html")):
            answer = session.get(server.url + path, timeout=60)
            assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)
        head = session.head(f"{server.url}/health", timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        root = session.get(server.url, headers={"Accept": "application/json"}, timeout=60)
        assert root.json()["docs"] == "/docs"
        assert session.get(f"{server.url}{BASE}/servers", timeout=60).status_code == 401
