"""Containers and their logs: spec/monitoring.md section 6, checks 10 to 12."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roci import Roci
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain.hosts import Host
from roci_plugins.surfaces.chatops import runs
from roci_plugins.surfaces.chatops.docker_shapes import container, ports
from roci_plugins.work import logs

from .conftest import NOBODY, Api, said, wrong

FIELDS = ["id", "name", "image", "status", "state", "created", "ports"]


def path(agent: ScriptedAgent, rest: str = "") -> str:
    return f"/docker/{agent.agent_id}/containers{rest}"


async def test_containers_in_seven_fields(admin: Api, agent: ScriptedAgent) -> None:
    web, db = await admin.ok("GET", path(agent))
    assert list(web) == FIELDS
    assert web == {
        "id": "0123456789ab",
        "name": "web",
        "image": "nginx:1",
        "status": "Up 3 minutes",
        "state": "running",
        "created": "2024-01-01T00:00:00Z",
        "ports": [
            {"private_port": 80, "public_port": 8080, "type": "tcp"},
            {"private_port": 443, "type": "tcp"},
        ],
    }
    assert (db["status"], db["state"], db["ports"]) == ("Exited (0) 2 days ago", "exited", [])


async def test_a_server_that_said_nothing_yet_has_none(admin: Api, host: Host) -> None:
    assert await admin.ok("GET", f"/docker/{host.id}/containers") == []
    assert said(await admin("GET", f"/docker/{NOBODY}/containers")) == (404, "Server not found")
    assert wrong(await admin("GET", "/docker/nope/containers")) == [["path", "server_id"]]


async def test_what_a_server_said_before_it_left_stays(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    before = await admin.ok("GET", path(agent))
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    assert await admin.ok("GET", path(agent)) == before
    await roci.part(Hub).flush()
    roci.part(Hub).roster.clear()
    assert await admin.ok("GET", path(agent)) == before, "as kept in the database"


@pytest.mark.parametrize(
    ("status", "state", "word", "text"),
    [
        ("running", "Up 3 minutes", "running", "Up 3 minutes"),
        ("Up 3 minutes", "running", "running", "Up 3 minutes"),
        ("Up 3 minutes", None, "running", "Up 3 minutes"),
        ("Exited (1) 2 days ago", None, "exited", "Exited (1) 2 days ago"),
        ("exited", None, "exited", "exited"),
        ("running", "running", "running", "running"),
        ("", None, "", ""),
    ],
)
def test_a_state_is_a_word_and_a_status_is_a_text(status: str, state: str | None, word: str, text: str) -> None:
    shown = container(wire.Container(id="a", name="a", status=status, state=state))
    assert (shown["state"], shown["status"]) == (word, text)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80/tcp", {"private_port": 80, "type": "tcp"}),
        ("0.0.0.0:53->5353/udp", {"private_port": 5353, "public_port": 53, "type": "udp"}),
        ("[::1]:8080->80/tcp", {"private_port": 80, "public_port": 8080, "type": "tcp"}),
        ("what is this", None),
    ],
)
def test_ports_are_objects(text: str, port: dict[str, Any] | None) -> None:
    assert ports([text, text]) == ([port] if port else [])


@pytest.mark.parametrize(
    ("query", "grace"), [("stop?timeout=3", 3), ("stop", 10), ("restart?timeout=0", 0), ("start", None)]
)
async def test_what_is_asked_reaches_the_agent_and_its_yes_comes_back(
    admin: Api, agent: ScriptedAgent, query: str, grace: int | None
) -> None:
    answered = asyncio.create_task(admin("POST", path(agent, f"/web/{query}")))
    frame = await agent.answer(stdout="web\n", exit_code=0)
    verb = query.partition("?")[0]
    assert (frame["type"], frame["action"], frame["container"]) == ("container", verb, "web")
    assert frame.get("timeout_seconds") == grace
    done = {"start": "started", "stop": "stopped", "restart": "restarted"}[verb]
    assert await answered == (200, {"status": "success", "message": f"Container web {done}"})


@pytest.mark.parametrize("name", ["0123456789ab", "0123", "0123456789abcdef0123"])
async def test_a_container_goes_by_its_id_and_the_beginning_of_it(admin: Api, agent: ScriptedAgent, name: str) -> None:
    answered = asyncio.create_task(admin("POST", path(agent, f"/{name}/stop")))
    assert (await agent.answer())["container"] == name
    assert (await answered)[0] == 200


async def test_an_agents_no_is_told_in_its_words(admin: Api, agent: ScriptedAgent) -> None:
    answered = asyncio.create_task(admin("POST", path(agent, "/web/stop")))
    await agent.answer(success=False, stderr="the engine is on fire\n", exit_code=1)
    assert said(await answered) == (500, "the engine is on fire")


async def test_a_container_that_was_made_a_moment_ago_is_asked_for(admin: Api, agent: ScriptedAgent) -> None:
    answered = asyncio.create_task(admin("POST", path(agent, "/new/stop")))
    assert (await agent.answer(stdout="new\n", exit_code=0))["container"] == "new"
    assert (await answered)[0] == 200
    answered = asyncio.create_task(admin("GET", path(agent, "/new/logs")))
    await agent.answer(output="hi\n", exit_code=0)
    assert await answered == (200, ["hi"])


@pytest.mark.parametrize("name", ["nope", "web"], ids=["not listed", "removed a moment ago"])
async def test_containers_that_are_not_there(admin: Api, agent: ScriptedAgent, name: str) -> None:
    missing = {"success": False, "stderr": f"there is no container '{name}' on this host\n", "exit_code": 1}
    for method, verb in (("POST", "start"), ("POST", "stop"), ("POST", "restart"), ("GET", "logs")):
        answered = asyncio.create_task(admin(method, path(agent, f"/{name}/{verb}")))
        await agent.answer(**missing)
        assert said(await answered) == (404, f"Container not found: {name}")
    assert said(await admin("POST", f"/docker/{NOBODY}/containers/web/stop")) == (404, "Server not found")


async def test_an_agent_with_words_of_its_own_does_not_have_what_it_never_listed(
    admin: Api, agent: ScriptedAgent
) -> None:
    answered = asyncio.create_task(admin("POST", path(agent, "/nope/stop")))
    await agent.answer(success=False, stderr="what is that?", exit_code=1)
    assert said(await answered) == (404, "Container not found: nope")


async def test_a_server_that_is_not_connected_does_nothing(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    server = (await admin.ok("POST", "/servers", {"name": "n1"}, 201))["id"]
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    for id in (agent.agent_id, server):
        assert said(await admin("POST", f"/docker/{id}/containers/web/stop")) == (503, "Server agent is not connected")
        assert said(await admin("GET", f"/docker/{id}/containers/web/logs"))[0] == 503


async def test_a_server_that_leaves_is_told_of(admin: Api, agent: ScriptedAgent, roci: Roci) -> None:
    roci.part(Hub).times.grace = 0
    answered = asyncio.create_task(admin("POST", path(agent, "/web/stop")))
    await agent.hear()
    await agent.hang_up()
    status, body = await answered
    assert status == 503 and set(body) == {"detail", "command_id"}


async def test_what_takes_too_long_is_answered_and_goes_on(
    admin: Api, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SLACK", 0.05)
    status, body = await admin("POST", path(agent, "/web/stop?timeout=0"))
    assert status == 504 and body["command_id"] == (await agent.hear())["command_id"]


async def test_times_and_tails_that_cannot_be(admin: Api, agent: ScriptedAgent) -> None:
    for text in ("-1", "601", "x"):
        assert wrong(await admin("POST", path(agent, f"/web/stop?timeout={text}"))) == [["query", "timeout"]]
    for text in ("0", "5001", "x", "-1"):
        assert wrong(await admin("GET", path(agent, f"/web/logs?tail={text}"))) == [["query", "tail"]]


async def test_logs_are_the_last_lines(admin: Api, agent: ScriptedAgent) -> None:
    answered = asyncio.create_task(admin("GET", path(agent, "/web/logs?tail=2")))
    frame = await agent.hear()
    assert (frame["type"], frame["container"], frame["tail"]) == ("logs", "web", 2)
    for number, text in enumerate(("one\ntwo\nth", "ree\n")):
        await agent.say("output", command_id=frame["command_id"], data=text, seq=number)
    await agent.say("result", command_id=frame["command_id"], success=True, exit_code=0)
    assert await answered == (200, ["two", "three"])
    assert (await admin.ok("GET", f"/logs/{agent.agent_id}?component=logs")) == [], "reading is no operation"


async def test_a_log_that_is_cut_says_so(admin: Api, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST", 20)
    for text, sign in (("one\n", None), ("one\n" + "x" * 30, "true")):
        asked = admin.client.get(f"/chatops/api/v1{path(agent, '/web/logs')}", headers=admin.headers)
        answered = asyncio.create_task(asked)
        await agent.answer(output=text, exit_code=0)
        assert (await answered).headers.get("X-Truncated") == sign


async def test_logs_that_cannot_be_read_are_told_of(admin: Api, agent: ScriptedAgent) -> None:
    answered = asyncio.create_task(admin("GET", path(agent, "/web/logs")))
    frame = await agent.answer(success=False, stderr="its log driver is none\n", exit_code=1)
    assert frame["tail"] == 100 if "tail" in frame else True
    assert said(await answered) == (500, "its log driver is none")
