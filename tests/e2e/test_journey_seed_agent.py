"""An agent that knows the published messages only: it is enrolled, gets all four commands, and is believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pyotp
import pytest
from websockets.exceptions import ConnectionClosed

from .bed import Server, unique, wait_for
from .journey import App, admit, agent, ended, files_with, get, stack
from .seed import SeedAgent

NewServer = Callable[..., Server]
COMPOSE = stack({"w": {"image": "nginx"}})


@pytest.fixture
def server(new_server: NewServer) -> Server:
    return new_server()


@pytest.fixture
def h1(server: Server) -> Iterator[SeedAgent]:
    """An approved agent, connected."""
    admit(server.api, {"type": "any"})
    with SeedAgent(server.url) as h1:
        assert h1.register("h1")["status"] == "approved"
        yield h1


def status_of(server: Server, hostname: str, **fields: Any) -> str:
    """What a newcomer is told."""
    with SeedAgent(server.url) as newcomer:
        return str(newcomer.register(hostname, **fields)["status"])


# --- who may join -----------------------------------------------------------------


def test_it_waits_for_approval_and_hears_of_it(server: Server) -> None:
    with SeedAgent(server.url) as h1:
        answer = h1.register("h1")
        assert answer["status"] == "pending"
        pending = get(server.api, "/api/v1/agents/pending")
        assert pending["total"] == 1
        [row] = pending["agents"]
        assert (row["id"], row["connected"], row["hostname"]) == (answer["agent_id"], True, "h1")
        path = f"/api/v1/agents/{row['id']}"
        done = (200, {"success": True, "message": "Agent approved"})
        assert server.api.post(f"{path}/approve") == done
        told = h1.hear()
        assert (told["type"], told["status"], told["agent_id"]) == ("registration_response", "approved", row["id"])
        assert server.api.post(f"{path}/approve")[0] == 409
    wait_for(lambda: not get(server.api, path)["connected"], 20, "its going away being noticed")
    with SeedAgent(server.url) as again:
        assert again.register("h1") | {"agent_token": ""} == told | {"agent_token": ""}, "the same, without a token"


def test_it_is_rejected_with_a_reason_and_not_connected_any_more(server: Server) -> None:
    with SeedAgent(server.url) as h1:
        path = f"/api/v1/agents/{h1.register('h1')['agent_id']}"
        assert server.api.post(f"{path}/reject", {"reason": "not ours"})[0] == 200
        assert h1.hear()["status"] == "rejected"
        assert h1.closed() == 4003
    assert get(server.api, path)["reject_reason"] == "not ours"
    with SeedAgent(server.url) as again:
        assert again.register("h1")["status"] == "rejected"
        assert again.closed() == 4003
    wait_for(lambda: not get(server.api, path)["connected"], 20, "it counts as gone")
    assert get(server.api, "/api/v1/health")["agents"] == 0


def test_the_first_policy_that_matches_decides(server: Server) -> None:
    admit(server.api, {"type": "any"}, "reject", 10)
    second = admit(server.api, {"type": "any"}, "approve", 20)
    with SeedAgent(server.url) as h2:
        assert h2.register("h2")["status"] == "rejected"
        assert h2.closed() == 4003
    assert server.api.put(f"/api/v1/policies/{second}/priority", {"priority": 5})[0] == 200
    assert status_of(server, "h3") == "approved"


def test_its_network_and_its_name_are_looked_at(server: Server) -> None:
    admit(server.api, {"type": "cidr", "network": "10.9.0.0/16"})
    assert status_of(server, "h4", ip_address="10.9.1.1") == "approved"
    assert status_of(server, "h5", ip_address="10.8.1.1") == "pending"
    admit(server.api, {"type": "reverse_dns", "pattern": "local*"})
    assert status_of(server, "h6", ip_address="127.0.0.1") == "approved"


def test_a_one_time_code_opens_once(new_server: NewServer) -> None:
    secret = pyotp.random_base32()
    server = new_server(environment={"ROCI_TOTP_SECRET": secret})
    admit(server.api, {"type": "totp"}, "approve", 1)
    code = pyotp.TOTP(secret).now()
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert status_of(server, "h1") == "pending"
    assert status_of(server, "h2", totp=wrong) == "pending"
    assert status_of(server, "h3", totp=code) == "approved"
    assert status_of(server, "h4", totp=code) == "pending", "somebody has used it"
    assert not files_with(secret, server.data_dir, server.log)


def test_a_window_of_time_closes(server: Server) -> None:
    admit(server.api, {"type": "time_window", "seconds": 5})
    began = time.monotonic()
    assert status_of(server, "early") == "approved"

    def is_closed() -> bool:
        _, decision = server.api.post("/api/v1/policies/dry-run", {"hostname": "x", "ip_address": "127.0.0.1"})
        return bool(decision["status"] == "pending")

    wait_for(is_closed, 30, "the end of the window")
    assert time.monotonic() - began > 1
    assert status_of(server, "late") == "pending"


# --- what it is asked to do -----------------------------------------------------------


def test_it_gets_all_four_commands_and_is_believed(server: Server, h1: SeedAgent) -> None:
    secret = unique("supersecret")
    name = unique("a1")
    app = App(server.api, name, COMPOSE, agent(server.api, "h1")["id"])
    operation = app.begin("deploy", {"secrets": [{"name": "DB_PASSWORD", "value": secret}]})
    frame = h1.hear()
    assert frame["type"] == "deploy" and frame["app_id"] == name and frame["compose_yml"] == COMPOSE
    assert frame["secrets"] == [{"name": "DB_PASSWORD", "value": secret}]
    assert frame["command_id"] == operation
    assert app.status == "deploying"
    h1.say("result", command_id=frame["command_id"], success=True, output=f"made with {secret}")
    assert ended(server.api, operation)["output"] == "made with ***"
    assert app.status == "running"
    assert files_with("made with ***", server.data_dir)
    assert not files_with(secret, server.data_dir, server.log)

    assert app.edit(compose_yaml=COMPOSE + " ")[0] == 409
    assert app.edit(description="a web server")[0] == 200
    for action, message, state in [
        ("stop", "Stop command sent", "stopped"),
        ("start", "Start command sent", "running"),
    ]:
        status, answer = server.api.post(f"{app.path}/{action}")
        assert (status, answer["message"]) == (200, message)
        asked = h1.answer()
        assert (asked["type"], asked["app_id"]) == (action, name)
        assert ended(server.api, answer["operation_id"])["status"] == "succeeded"
        assert app.status == state

    operation = app.begin("deploy")
    assert h1.answer(success=False, output="no such image")["secrets"] == []
    assert ended(server.api, operation)["status"] == "failed"
    assert (app.status, app.state["last_error"]) == ("failed", "no such image")

    assert server.api.delete(app.path, {"confirm_name": name.upper()})[0] == 400
    assert server.api.delete(app.path, {"confirm_name": name})[0] == 200
    assert (asked := h1.answer())["type"] == "delete" and asked["app_id"] == name
    assert server.api.get(app.path)[0] == 404


def test_it_may_leave_out_which_command_a_result_is_for(server: Server, h1: SeedAgent) -> None:
    app = App(server.api, unique("a1"), COMPOSE, agent(server.api, "h1")["id"])
    operation = app.begin("deploy")
    h1.hear()
    h1.say("result", success=True, output="")
    assert ended(server.api, operation)["status"] == "succeeded"
    h1.say("result", success=False, output="out of the blue")
    h1.beat()
    wait_for(
        lambda: get(server.api, f"/api/v1/agents/{app.state['agent_id']}/containers")["current"], 20, "a heartbeat"
    )
    assert app.status == "running", "a result of nothing changes nothing"


def test_what_it_says_of_its_containers_is_shown(server: Server, h1: SeedAgent) -> None:
    host = agent(server.api, "h1")
    h1.beat({"id": "c1", "name": "web", "image": "nginx", "status": "running"})
    seen = f"/api/v1/agents/{host['id']}/containers"
    found = wait_for(lambda: get(server.api, seen)["containers"], 20, "its containers")
    assert [found[0][field] for field in ("id", "name", "image", "status")] == ["c1", "web", "nginx", "running"]


def test_gone_it_is_not_asked_and_back_it_is_the_same(server: Server, h1: SeedAgent) -> None:
    host = agent(server.api, "h1")
    app = App(server.api, unique("a1"), COMPOSE, host["id"])
    operation = app.begin("deploy")
    h1.hear()
    h1.socket.close()
    agent(server.api, "h1", connected=False)
    status, body = server.api.post(f"{App(server.api, unique('a2'), COMPOSE).path}/deploy", {"agent_id": host["id"]})
    assert (status, body["error"]["code"]) == (400, "bad_request")
    with SeedAgent(server.url) as again:
        assert again.register("h1")["agent_id"] == host["id"]
        again.say("result", command_id=operation, success=True, output="")
        assert ended(server.api, operation)["status"] == "succeeded"
        assert server.api.delete(f"/api/v1/agents/{host['id']}")[0] == 200
        assert again.closed() == 4010
    assert server.api.get(f"/api/v1/agents/{host['id']}")[0] == 404
    assert (app.status, app.state["agent_id"]) == ("failed", None)
    with SeedAgent(server.url) as stranger:
        assert stranger.register("h1")["agent_id"] != host["id"], "a host that was deleted is a new one"


def test_a_silent_one_counts_as_gone(new_server: NewServer) -> None:
    server = new_server(environment={"ROCI_LINKS__STALE_AFTER": "3"})
    admit(server.api, {"type": "any"})
    with SeedAgent(server.url) as h1:
        h1.register("h1")
        assert h1.closed() == 4002
    agent(server.api, "h1", connected=False)


def test_nobody_takes_the_place_of_a_connected_host(server: Server, h1: SeedAgent) -> None:
    host = agent(server.api, "h1")
    with SeedAgent(server.url) as other:
        assert other.register("h1")["agent_id"] != host["id"]
        with pytest.raises((TimeoutError, ConnectionClosed)):
            h1.hear(0.5)
        assert get(server.api, f"/api/v1/agents/{host['id']}")["connected"]
