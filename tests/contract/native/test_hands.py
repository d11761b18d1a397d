"""What is done to hosts over the native surface: who may, what is answered, and streams that end when they should."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from quart import Quart

from roci import Roci, Sensitive
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import access, applications, keyring, operations, registries
from roci_plugins.domain.rules import Rule
from roci_plugins.work.operate import Operator

from ...work.able import able_agent, ended, heard, stored
from .conftest import NOBODY, Api, People, code

SECRET = "verysecret1"


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with able_agent(roci) as agent:
        yield agent


@pytest.fixture
def host(agent: ScriptedAgent) -> str:
    return f"/agents/{agent.agent_id}"


async def asked(agent: ScriptedAgent, type: str) -> dict[str, Any]:
    """The next command of that type."""
    while (frame := await agent.hear())["type"] != type:
        pass
    return frame


async def answer(agent: ScriptedAgent, type: str, success: bool = True, **said: Any) -> dict[str, Any]:
    frame = await asked(agent, type)
    await agent.say("result", command_id=frame["command_id"], success=success, **said)
    return frame


# --- commands ---


async def test_a_command_is_accepted_and_its_operation_tells_the_rest(
    api: Api, agent: ScriptedAgent, host: str
) -> None:
    status, body = await api("POST", f"{host}/exec", {"command": "echo hi", "env": {"T": SECRET}})
    assert status == 202 and body["success"] is True and body["operation"] is None
    frame = await answer(agent, "exec", exit_code=0, stdout=f"{SECRET}\n", stderr="", output="***\n", duration_ms=7)
    assert frame["command_id"] == body["operation_id"] and frame["timeout_seconds"] == 60
    run = None
    while run is None or run["status"] == "running":
        _, run = await api("GET", f"/operations/{body['operation_id']}")
    assert (run["kind"], run["command"], run["status"], run["exit_code"]) == ("exec", "echo hi", "succeeded", 0)
    assert (run["stdout"], run["stderr"], run["duration_ms"], run["truncated"]) == (f"{SECRET}\n", "", 7, False)
    assert run["output"] == "***\n" and run["args"]["secrets"] == ["T"]


async def test_whoever_waits_gets_the_end_at_once(api: Api, agent: ScriptedAgent, host: str) -> None:
    body = {"command": "sh", "working_directory": "/srv", "timeout_seconds": 900, "wait": 25}
    asking = asyncio.create_task(api("POST", f"{host}/exec", body))
    await answer(agent, "exec", success=False, exit_code=3, stdout="out", stderr="err")
    status, body = await asking
    assert status == 200 and body["operation"]["id"] == body["operation_id"]
    assert (body["operation"]["status"], body["operation"]["exit_code"]) == ("failed", 3)
    assert (body["operation"]["stdout"], body["operation"]["stderr"]) == ("out", "err")


async def test_only_the_credential_that_gave_a_secret_sees_it_again(
    api: Api, people: People, roci: Roci, agent: ScriptedAgent, host: str
) -> None:
    ann = await people("ann", Rule("hosts.exec"), Rule("operations.read"))
    asking = asyncio.create_task(ann("POST", f"{host}/exec", {"command": "x", "env": {"T": SECRET}, "wait": 5}))
    await answer(agent, "exec", exit_code=0, stdout=SECRET, output="***")
    status, body = await asking
    assert status == 200 and body["operation"]["stdout"] == SECRET
    path = f"/operations/{body['operation_id']}"
    assert (await ann("GET", path))[1]["stdout"] == SECRET
    other_token = await people("ann")
    assert (await other_token("GET", path))[1]["stdout"] == "***"
    assert (await api("GET", path))[1]["stdout"] == "***", "not even the administrator"
    stream = await api.client.get(f"/api/v1{path}/output")
    assert SECRET not in (text := await stream.get_data(as_text=True)) and '"stdout":"***"' in text
    stream = await ann.client.get(f"/api/v1{path}/output", headers=ann.headers)
    assert f'"stdout":"{SECRET}"' in await stream.get_data(as_text=True)
    await roci.write(access.remove_role, "of-ann")
    assert SECRET.encode() not in stored(roci)


async def test_operations_are_found_by_the_run_they_were_part_of(api: Api, roci: Roci, agent: ScriptedAgent) -> None:
    from roci_plugins.domain.operations import Cause, current_cause
    from roci_plugins.work import execute

    token = current_cause.set(Cause("run-7", {"provider": "ci"}))
    try:
        run = await execute.execute(roci, agent.agent_id, "true")
    finally:
        current_cause.reset(token)
    await execute.execute(roci, agent.agent_id, "false")
    status, body = await api("GET", "/operations?run_id=run-7")
    assert status == 200 and body["total"] == 1
    assert body["operations"][0]["id"] == run.operation.id
    assert body["operations"][0]["run_context"] == {"provider": "ci"}


async def test_the_record_outlives_the_token_that_asked(
    api: Api, people: People, roci: Roci, agent: ScriptedAgent, host: str
) -> None:
    from roci_plugins.domain import credentials, principals

    ann = await people("ann", Rule("hosts.exec"))
    _, body = await ann("POST", f"{host}/exec", {"command": "sleep 1"})
    token = next(each for each in await roci.read(credentials.tokens) if each.principal_id == ann.id)
    await roci.write(credentials.revoke, token.id)
    await roci.write(principals.remove, ann.id)
    run = roci.part(Operator).run(body["operation_id"])
    assert run
    await answer(agent, "exec", exit_code=0, stdout="done")
    await ended(roci, run)
    _, shown = await api("GET", f"/operations/{body['operation_id']}")
    assert (shown["actor"], shown["status"], shown["stdout"]) == ("ann", "succeeded", "done")


async def test_a_command_can_be_cancelled(api: Api, agent: ScriptedAgent, host: str) -> None:
    asking = asyncio.create_task(api("POST", f"{host}/exec", {"command": "sleep 100", "wait": 25}))
    frame = await asked(agent, "exec")
    assert (await api("POST", f"/operations/{frame['command_id']}/cancel"))[0] == 200
    assert (await asked(agent, "cancel"))["command_id"] == frame["command_id"]
    await agent.say("result", command_id=frame["command_id"], success=False, data={"cancelled": True})
    assert (await asking)[1]["operation"]["status"] == "cancelled"


BAD = [
    ("exec", {}),
    ("exec", {"command": " "}),
    ("exec", {"command": "x" * 8193}),
    ("exec", {"command": "x", "timeout_seconds": 0}),
    ("exec", {"command": "x", "timeout_seconds": "60"}),
    ("exec", {"command": "x", "timeout_seconds": True}),
    ("exec", {"command": "x", "wait": 26}),
    ("exec", {"command": "x", "env": {"A": 1}}),
    ("exec", {"command": "x", "working_directory": "here"}),
    ("containers/web/stop", {"timeout_seconds": 601}),
    ("images/pull", {"image": "-x"}),
    ("prune", {"what": ["everything"]}),
    ("prune", {}),
    ("registries/login", {"credential_id": "x"}),
    ("registries/logout", {"registry_url": "-x"}),
]


@pytest.mark.parametrize(("path", "body"), BAD, ids=range(len(BAD)))
async def test_a_field_that_breaks_a_rule_is_named_and_nothing_is_recorded(
    api: Api, roci: Roci, host: str, path: str, body: dict[str, Any]
) -> None:
    assert code(await api("POST", f"{host}/{path}", body)) == (400, "validation_error")
    assert (await roci.read(operations.list_, 1))[1] == 0


ROUTES = [
    ("POST", "exec", "hosts.exec", {"command": "true"}),
    ("POST", "reboot", "hosts.reboot", None),
    ("POST", "prune", "hosts.prune", {"what": ["images"]}),
    ("GET", "prune?what=images", "hosts.prune", None),
    *(("POST", f"containers/web/{a}", "containers.control", None) for a in ("start", "stop", "restart", "pause")),
    ("POST", "containers/web/unpause", "containers.control", None),
    ("DELETE", "containers/web", "containers.remove", None),
    ("GET", "containers/web/logs", "containers.logs", None),
    ("POST", "images/pull", "images.pull", {"image": "nginx"}),
    ("POST", "registries/logout", "registries.login", {"registry_url": "ghcr.io"}),
]


@pytest.mark.parametrize(("method", "path", "permission", "body"), ROUTES, ids=[f"{r[0]} {r[1]}" for r in ROUTES])
async def test_each_needs_its_right_on_that_host(
    people: People, roci: Roci, host: str, method: str, path: str, permission: str, body: Any
) -> None:
    id = host.rpartition("/")[2]
    one = await people("one", Rule(permission, f"host/{id}"))
    another = await people("another", Rule(permission, f"host/{NOBODY}"))
    nobody = await people("nobody", Rule("hosts.read"))
    for who in (another, nobody):
        assert code(await who(method, f"{host}/{path}", body)) == (403, "forbidden")
    assert code(await one(method, f"/agents/{NOBODY}/{path}", body)) == (403, "forbidden"), "before it is looked up"
    assert code(await another(method, f"/agents/{NOBODY}/{path}", body)) == (404, "not_found")
    assert (await roci.read(operations.list_, 1))[1] == 0
    if method != "GET":
        assert (await one(method, f"{host}/{path}", body))[0] == 202


async def test_a_host_that_does_not_allow_it_says_so(api: Api, roci: Roci) -> None:
    async with able_agent(roci, "exec", "reboot") as agent:
        for path, body in (("exec", {"command": "true"}), ("reboot", None)):
            status, refused = await api("POST", f"/agents/{agent.agent_id}/{path}", body)
            assert status == 400 and "--allow" in refused["error"]["message"]


async def test_a_reboot_is_over_when_the_host_is_back(api: Api, roci: Roci, agent: ScriptedAgent, host: str) -> None:
    status, body = await api("POST", f"{host}/reboot")
    assert status == 202
    await asked(agent, "reboot")
    run = roci.part(Operator).run(body["operation_id"])
    assert run
    async with able_agent(roci, agent_id=agent.agent_id, agent_token=agent.agent_token):
        assert (await ended(roci, run)).status == "succeeded"


# --- containers, images, registries ---


@pytest.mark.parametrize("action", ["start", "stop", "restart", "pause", "unpause"])
async def test_a_container_is_controlled(api: Api, agent: ScriptedAgent, host: str, action: str) -> None:
    asking = asyncio.create_task(api("POST", f"{host}/containers/web/{action}", {"timeout_seconds": 3, "wait": 9}))
    frame = await answer(agent, "container", exit_code=0, stdout="web\n")
    assert (frame["action"], frame["container"], frame["timeout_seconds"]) == (action, "web", 3)
    status, body = await asking
    assert status == 200 and body["operation"]["args"] == {"action": action, "container": "web"}


async def test_a_container_is_removed_by_force_only_when_that_is_said(
    api: Api, agent: ScriptedAgent, host: str
) -> None:
    for query, force in (("", None), ("?force=true", True)):
        assert (await api("DELETE", f"{host}/containers/web{query}"))[0] == 202
        frame = await asked(agent, "container")
        assert (frame["action"], frame.get("force")) == ("remove", force)


async def test_an_unknown_container_is_a_failure_of_the_operation(api: Api, agent: ScriptedAgent, host: str) -> None:
    asking = asyncio.create_task(api("POST", f"{host}/containers/ghost/stop", {"wait": 9}))
    await answer(agent, "container", success=False, exit_code=1, stderr="there is no container 'ghost'\n")
    operation = (await asking)[1]["operation"]
    assert (operation["status"], operation["exit_code"]) == ("failed", 1) and "ghost" in operation["stderr"]


async def test_images_are_pulled_and_prunes_previewed(api: Api, agent: ScriptedAgent, host: str) -> None:
    assert (await api("POST", f"{host}/images/pull", {"image": "nginx:1"}))[0] == 202
    assert (await asked(agent, "image_pull"))["image"] == "nginx:1"
    would = {"images": [{"id": "1", "name": "old", "size": 5}], "volumes": []}
    asking = asyncio.create_task(api("GET", f"{host}/prune?what=images,volumes&unused_images=true"))
    frame = await answer(agent, "prune_preview", output=json.dumps(would))
    assert frame["what"] == ["images", "volumes"] and frame["unused_images"] is True
    assert await asking == (200, {"preview": would})
    asking = asyncio.create_task(api("GET", f"{host}/prune?what=images"))
    await answer(agent, "prune_preview", output="what?")
    assert code(await asking) == (503, "unavailable")
    assert code(await api("GET", f"{host}/prune")) == (400, "validation_error")
    assert (await api("POST", f"{host}/prune", {"what": ["images"]}))[0] == 202
    assert (await asked(agent, "prune"))["what"] == ["images"]


async def test_a_prune_names_the_applications_whose_things_stay(
    api: Api, roci: Roci, agent: ScriptedAgent, host: str
) -> None:
    def add() -> None:
        for name, where, backend in (
            ("Shop.eu", agent.agent_id, "docker"),
            ("wiki", None, "compose"),
            ("spread", None, "swarm"),
        ):
            applications.add(name, "services: {}", host_id=where, backend=backend)

    await roci.write(add)
    assert (await api("POST", f"{host}/prune", {"what": ["volumes"]}))[0] == 202
    assert sorted((await asked(agent, "prune"))["keep"]) == ["shop_eu", "spread"]
    asking = asyncio.create_task(api("GET", f"{host}/prune?what=volumes"))
    frame = await answer(agent, "prune_preview", output="{}")
    assert sorted(frame["keep"]) == ["shop_eu", "spread"] and (await asking)[0] == 200


async def test_a_stored_credential_logs_a_host_in_and_its_password_is_shown_nowhere(
    api: Api, roci: Roci, agent: ScriptedAgent, host: str
) -> None:
    new = registries.NewCredential("mine", "me", Sensitive(SECRET), registry_url="registry.lan:5000")
    row = await roci.write(registries.add, keyring.of(roci), new)
    status, body = await api("POST", f"{host}/registries/login", {"credential_id": row.id})
    assert status == 202
    frame = await asked(agent, "registry_login")
    assert (frame["registry_url"], frame["username"], frame["password"]) == ("registry.lan:5000", "me", SECRET)
    _, operation = await api("GET", f"/operations/{body['operation_id']}")
    assert operation["args"]["credential_id"] == row.id and SECRET not in json.dumps(operation)
    unknown = {"credential_id": NOBODY}
    assert code(await api("POST", f"{host}/registries/login", unknown)) == (404, "not_found")
    assert (await api("POST", f"{host}/registries/logout", {"registry_url": "registry.lan:5000"}))[0] == 202
    assert (await asked(agent, "registry_logout"))["registry_url"] == "registry.lan:5000"


# --- logs ---


async def test_the_last_lines_of_a_container(api: Api, agent: ScriptedAgent, host: str) -> None:
    asking = asyncio.create_task(api("GET", f"{host}/containers/web/logs?tail=2&timestamps=true"))
    frame = await answer(agent, "logs", output="one\ntwo\n")
    assert (frame["tail"], frame["timestamps"]) == (2, True)
    assert await asking == (200, {"lines": ["one", "two"], "truncated": False})
    for bad in ("tail=0", "since=never"):
        assert code(await api("GET", f"{host}/containers/web/logs?{bad}")) == (400, "validation_error")
    assert code(await api("GET", f"{host}/containers/web/logs?tail=-1")) == (400, "bad_request")


class Following:
    """An open stream of a container's lines."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.text = connection, ""

    async def until(self, event: str) -> list[Any]:
        """All data of the events so far, once one of this name has come."""
        async with asyncio.timeout(30):
            while f"event: {event}\n" not in self.text or not self.text.endswith("\n\n"):
                self.text += (await self.connection.receive()).decode()
        return [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]


async def test_lines_are_followed_until_the_host_leaves(app: Quart, people: People, agent: ScriptedAgent) -> None:
    ann = await people("ann", Rule("containers.logs"))
    path = f"/api/v1/agents/{agent.agent_id}/containers/web/logs?follow=true"
    async with app.test_client().request(path, headers=ann.headers) as connection:
        await connection.send_complete()
        frame = await asked(agent, "logs")
        await agent.say("output", command_id=frame["command_id"], data="one\ntwo\n")
        following = Following(connection)
        assert await following.until("lines") == [{"lines": ["one", "two"]}]
        await agent.hang_up()
        last = (await following.until("end"))[-1]
        assert "left" in last["reason"]


async def test_following_ends_with_the_right_to_it_and_on_the_host_too(
    app: Quart, people: People, roci: Roci, agent: ScriptedAgent
) -> None:
    ann = await people("ann", Rule("containers.logs"))
    headers = {**ann.headers, "Accept": "text/event-stream"}
    path = f"/api/v1/agents/{agent.agent_id}/containers/web/logs"
    async with app.test_client().request(path, headers=headers) as connection:
        await connection.send_complete()
        frame = await asked(agent, "logs")
        assert frame["follow"] is True
        await agent.say("output", command_id=frame["command_id"], data="one\n")
        await Following(connection).until("lines")
        await roci.write(access.remove_role, "of-ann")
        assert (await asked(agent, "cancel"))["command_id"] == frame["command_id"]
        await connection.disconnect()
    assert not roci.part(Operator).calls._calls


async def test_a_reader_that_hangs_up_ends_it_on_the_host(
    app: Quart, people: People, roci: Roci, agent: ScriptedAgent
) -> None:
    ann = await people("ann", Rule("containers.logs"))
    path = f"/api/v1/agents/{agent.agent_id}/containers/web/logs?follow=true"
    async with app.test_client().request(path, headers=ann.headers) as connection:
        await connection.send_complete()
        frame = await asked(agent, "logs")
        await connection.disconnect()
        assert (await asked(agent, "cancel"))["command_id"] == frame["command_id"]
    await heard(roci, agent)
    assert not roci.part(Operator).calls._calls


async def test_an_unknown_container_is_not_found_and_ends_a_stream_with_a_word(
    api: Api, app: Quart, people: People, agent: ScriptedAgent, host: str
) -> None:
    asking = asyncio.create_task(api("GET", f"{host}/containers/ghost/logs"))
    await answer(agent, "logs", success=False, exit_code=1, stderr="there is no container 'ghost'")
    assert code(await asking) == (404, "not_found")
    ann = await people("ann", Rule("containers.logs"))
    path = f"/api/v1{host}/containers/ghost/logs?follow=true"
    async with app.test_client().request(path, headers=ann.headers) as connection:
        await connection.send_complete()
        await answer(agent, "logs", success=False, exit_code=1, stderr="there is no container 'ghost'")
        assert "ghost" in (await Following(connection).until("end"))[-1]["reason"]
