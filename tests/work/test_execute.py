"""What is done to hosts: what is refused, what is sent, what is recorded and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from roci import Actor, Conflict, Invalid, NotFound, NotReady, Roci, Sensitive, current_actor
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import applications, operations
from roci_plugins.domain.applications import Application
from roci_plugins.domain.operations import Cause, current_cause
from roci_plugins.work import deploy, execute
from roci_plugins.work.operate import Operator

from .able import SIDE, WEB, able_agent, ended, heard, stored

NOBODY = "00000000-0000-4000-8000-000000000000"
COMPOSE = "services:\n  w:\n    image: nginx\n"
SECRET = "verysecret1"


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with able_agent(roci) as agent:
        yield agent


@pytest_asyncio.fixture
async def shop(roci: Roci, agent: ScriptedAgent) -> Application:
    """An application that runs on the host: its container is in the heartbeat."""
    row = await roci.write(applications.add, "Shop", COMPOSE)
    await deploy.deploy(roci, row.id, agent.agent_id, {})
    command = await agent.answer()
    run = roci.part(Operator).run(command["command_id"])
    if run:
        await ended(roci, run)
    assert (await agent.hear())["type"] == "ack"
    return row


async def recorded(roci: Roci) -> int:
    return (await roci.read(operations.list_, 1))[1]


async def test_a_command_is_recorded_sent_and_its_streams_come_back_apart(roci: Roci, agent: ScriptedAgent) -> None:
    run = await execute.execute(roci, agent.agent_id, "echo $FOO", "/srv", {"FOO": SECRET}, 30)
    frame = await agent.hear()
    assert frame == {
        "type": "exec",
        "command_id": run.operation.id,
        "command": "echo $FOO",
        "working_directory": "/srv",
        "env": {"FOO": SECRET},
        "timeout_seconds": 30,
    }
    streams = {"stdout": f"{SECRET}\n", "stderr": "careful\n", "duration_ms": 12}
    await agent.say(
        "result", command_id=run.operation.id, success=True, exit_code=0, output="***\ncareful\n", **streams
    )
    row = await ended(roci, run)
    assert (row.kind, row.status, row.exit_code, row.output) == ("exec", "succeeded", 0, "***\ncareful\n")
    assert row.args == {"command": "echo $FOO", "working_directory": "/srv", "secrets": ["FOO"]}
    assert row.result == {"stdout": "***\n", "stderr": "careful\n", "duration_ms": 12, "truncated": False}
    raw = roci.part(Operator).result(row, current_actor.get())
    assert raw and raw["stdout"] == f"{SECRET}\n"
    assert b"careful" in stored(roci) and SECRET.encode() not in stored(roci)


async def test_what_an_agent_says_is_masked_is_not_taken_for_what_was_printed(roci: Roci, agent: ScriptedAgent) -> None:
    run = await execute.execute(roci, agent.agent_id, "echo $FOO", None, {"FOO": SECRET})
    await agent.hear()
    said = {"stdout": "***\n", "data": {"masked": True}}
    await agent.say("result", command_id=run.operation.id, success=True, exit_code=0, output="***\n", **said)
    row = await ended(roci, run)
    assert row.result["stdout"] == "***\n"
    assert run.raw is None and roci.part(Operator).result(row, current_actor.get()) == row.result


async def test_what_a_client_says_of_itself_shows_no_secret_either(roci: Roci, agent: ScriptedAgent) -> None:
    context = {"provider": "ci", "more": {"url": "https://me:hunter2x@git.lan/x"}, "list": [f"--token={SECRET}", 3]}
    token = current_cause.set(Cause("run-7", context))
    try:
        command = f"git clone https://me:tok@git.lan && login {SECRET}"
        run = await execute.execute(roci, agent.agent_id, command, f"/srv/{SECRET}", {"T": SECRET})
    finally:
        current_cause.reset(token)
    frame = await agent.hear()
    assert frame["command"].endswith(SECRET), "the host gets it as it is"
    row = await roci.read(operations.get, run.operation.id)
    assert row.args["command"] == "git clone https://me:***@git.lan && login ***"
    assert row.args["working_directory"] == "/srv/***"
    assert row.run_id == "run-7"
    assert row.run_context == {
        "provider": "ci",
        "more": {"url": "https://me:***@git.lan/x"},
        "list": ["--token=***", 3],
    }
    assert SECRET.encode() not in stored(roci) and b"hunter2x" not in stored(roci)


async def test_a_record_keeps_who_it_was_whatever_becomes_of_them(roci: Roci, agent: ScriptedAgent) -> None:
    who = Actor("p1", "ann", via="automation key", credential="k1", address="192.0.2.7")
    token = current_actor.set(who)
    try:
        run = await execute.execute(roci, agent.agent_id, "true")
    finally:
        current_actor.reset(token)
    await agent.answer(exit_code=0)
    row = await ended(roci, run)  # no such principal and no such key: they are gone by now
    assert (row.actor_id, row.actor_name, row.via, row.credential) == ("p1", "ann", "automation key", "k1")
    assert (row.address, row.status) == ("192.0.2.7", "succeeded")


BAD: list[dict[str, Any]] = [
    {"command": " \n"},
    {"command": "x" * 8193},
    {"command": "a\0b"},
    {"command": "x", "working_directory": "relative"},
    {"command": "x", "working_directory": "/" + "x" * 1024},
    {"command": "x", "seconds": 0},
    {"command": "x", "seconds": 901},
    {"command": "x", "env": {"A-B": "1"}},
    {"command": "x", "env": {"A": "a\0"}},
    {"command": "x", "env": {f"K{number}": "" for number in range(201)}},
    {"command": "x", "env": {"A": "x" * 65536}},
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
async def test_a_command_that_breaks_a_rule_is_refused_and_not_recorded(
    roci: Roci, agent: ScriptedAgent, bad: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await execute.execute(roci, agent.agent_id, **bad)
    assert await recorded(roci) == 0


async def test_the_largest_that_is_allowed_is_taken(roci: Roci, agent: ScriptedAgent) -> None:
    await execute.execute(roci, agent.agent_id, "ä" * 8192, "/" + "x" * 1023, {"A": "x" * 65535}, 900)
    assert (await agent.hear())["timeout_seconds"] == 900
    await execute.execute(roci, agent.agent_id, "x", env={f"K{number}": "" for number in range(200)}, seconds=1)
    assert len((await agent.hear())["env"]) == 200


BAD_CALLS: list[tuple[Any, tuple[Any, ...]]] = [
    (execute.control, ("explode", "web")),
    (execute.control, ("stop", " ")),
    (execute.control, ("stop", "web", 601)),
    (execute.pull, ("-x",)),
    (execute.pull, ("a b",)),
    (execute.pull, ("nginx", 0)),
    (execute.prune, ([],)),
    (execute.prune, (["everything"],)),
    (execute.log_out, ("--all",)),
    (execute.log_out, ("",)),
    (execute.log_in, ("ghcr.io", "-u", Sensitive("password"))),
    (execute.log_in, ("ghcr.io\n", "me", Sensitive("password"))),
    (execute.log_in, ("ghcr.io", "me", Sensitive(""))),
]


@pytest.mark.parametrize(("what", "args"), BAD_CALLS, ids=range(len(BAD_CALLS)))
async def test_arguments_that_break_a_rule_are_refused(
    roci: Roci, agent: ScriptedAgent, what: Any, args: tuple[Any, ...]
) -> None:
    with pytest.raises(Invalid):
        await what(roci, agent.agent_id, *args)
    assert await recorded(roci) == 0


async def test_a_host_that_is_unknown_away_or_unwilling_is_told_apart(roci: Roci) -> None:
    async with able_agent(roci, "exec", "reboot") as agent:
        with pytest.raises(NotFound):
            await execute.execute(roci, NOBODY, "true")
        with pytest.raises(NotReady, match=r"h1 does not allow exec.*--allow"):
            await execute.execute(roci, agent.agent_id, "true")
        with pytest.raises(NotReady, match="reboot"):
            await execute.reboot(roci, agent.agent_id)
        async with able_agent(roci, hostname="old", capabilities=["ack", "cancel"]) as old:
            with pytest.raises(NotReady, match="agent on old is older than this server and knows no exec: update it"):
                await execute.execute(roci, old.agent_id, "true")
        async with able_agent(roci, hostname="h2") as other:
            await other.hang_up()
            await other.closed()
            with pytest.raises(NotReady, match="h2 is not connected"):
                await execute.pull(roci, other.agent_id, "nginx")
    assert await recorded(roci) == 0


async def test_a_password_goes_in_the_frame_and_nowhere_else(roci: Roci, agent: ScriptedAgent) -> None:
    run = await execute.log_in(roci, agent.agent_id, "ghcr.io", "me", Sensitive(SECRET), credential_id="c1")
    frame = await agent.hear()
    assert (frame["type"], frame["password"]) == ("registry_login", SECRET)
    said = {"stdout": "", "stderr": f"denied: {SECRET}\n"}
    await agent.say("result", command_id=run.operation.id, success=False, exit_code=1, output="denied: ***\n", **said)
    row = await ended(roci, run)
    assert row.args == {"registry_url": "ghcr.io", "username": "me", "secrets": ["password"], "credential_id": "c1"}
    assert row.result and row.result["stderr"] == "denied: ***\n"
    assert SECRET.encode() not in stored(roci)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shop-web-1", "shop-web-1"),
        ("/shop-web-1", "shop-web-1"),
        ("abcd", "shop-web-1"),
        ("abcdef1234560000", "shop-web-1"),
        ("abcdef", "abcdef"),  # a name comes before the beginning of an id
        ("abc", None),
        ("shop-web", None),
    ],
)
async def test_a_container_is_known_by_name_id_or_the_beginning_of_that(
    roci: Roci, agent: ScriptedAgent, text: str, name: str | None
) -> None:
    found = execute.container_called(roci.part(Hub), agent.agent_id, text)
    assert (found and found.name) == name


async def test_a_container_of_an_application_is_left_alone_while_that_is_worked_on(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    stopping = await deploy.stop(roci, shop.id)
    assert (await agent.hear())["type"] == "stop"
    with pytest.raises(Conflict, match="a stop under way"):
        await execute.control(roci, agent.agent_id, "restart", "shop-web-1")
    other = await execute.control(roci, agent.agent_id, "restart", SIDE["name"])  # nobody's: it may
    assert (await agent.hear())["container"] == SIDE["name"]
    assert (other.operation.application_id, other.operation.timeout) == (None, 600)  # its grace may be long
    run = roci.part(Operator).run(stopping.id)
    await agent.say("result", command_id=stopping.id, success=True)
    assert run
    await ended(roci, run)


async def test_an_application_is_left_alone_while_a_container_of_it_is_worked_on(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    run = await execute.control(roci, agent.agent_id, "restart", "abcdef123456", 3)
    frame = await agent.hear()
    assert (frame["action"], frame["container"], frame["timeout_seconds"]) == ("restart", "abcdef123456", 3)
    assert (run.operation.application_id, run.operation.timeout) == (shop.id, 63)
    for act in (deploy.stop(roci, shop.id), deploy.deploy(roci, shop.id, None, {})):
        with pytest.raises(Conflict, match="one of its containers"):
            await act
    with pytest.raises(Conflict):
        await deploy.delete(roci, shop.id, "Shop")
    await agent.say("result", command_id=run.operation.id, success=True, exit_code=0)
    await ended(roci, run)
    assert (await roci.read(applications.get, shop.id)).status == "running"
    await deploy.stop(roci, shop.id)


async def test_two_actions_on_one_applications_containers_do_not_run_at_once(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    asked = [execute.control(roci, agent.agent_id, "restart", "shop-web-1") for _ in range(5)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in results].count(Conflict) == 4


async def test_what_is_done_to_a_container_does_not_hide_how_a_deploy_ended(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    roci.section(deploy.Operations).deploy_timeout = 0
    stopping = await deploy.stop(roci, shop.id)
    await agent.answer()
    if run := roci.part(Operator).run(stopping.id):
        await ended(roci, run)
    late = await deploy.deploy(roci, shop.id, agent.agent_id, {})
    if run := roci.part(Operator).run(late.id):
        run.deadline and run.deadline.cancel()
        roci.part(Operator)._end_untold(run, "timed_out", "no result in 0 s")
        await ended(roci, run)
    restarting = await execute.control(roci, agent.agent_id, "restart", "shop-web-1")
    await agent.say("result", command_id=restarting.operation.id, success=True, exit_code=0)
    await ended(roci, restarting)
    await agent.say("result", command_id=late.id, success=True, output="up at last")
    await heard(roci, agent)
    assert (await roci.read(applications.get, shop.id)).status == "running"


async def test_an_application_is_restarted_whole_by_one_operation(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    run = await execute.restart(roci, shop.id, 3)
    frame = await agent.hear()
    assert (frame["type"], frame["project"], frame["timeout_seconds"]) == ("restart", "shop", 3)
    with pytest.raises(Conflict, match="a restart under way"):
        await deploy.stop(roci, shop.id)
    with pytest.raises(Conflict, match="a restart under way"):
        await execute.control(roci, agent.agent_id, "stop", "shop-web-1")
    await agent.say("result", command_id=run.operation.id, success=True, exit_code=0, stdout="shop-web-1\n")
    row = await ended(roci, run)
    assert (row.kind, row.status, row.application_id) == ("restart", "succeeded", shop.id)


async def test_what_a_swarm_would_start_again_is_not_stopped(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    await roci.write(lambda: Application.update(backend="swarm").execute())
    for action in ("stop", "remove"):
        with pytest.raises(Conflict, match="the swarm would start it again"):
            await execute.control(roci, agent.agent_id, action, "shop-web-1")
    assert await recorded(roci) == 1, "the deploy"
    run = await execute.control(roci, agent.agent_id, "restart", "shop-web-1")
    await agent.answer(exit_code=0)
    await ended(roci, run)
    await heard(roci, agent)
    await execute.restart(roci, shop.id)
    frame = await agent.hear()
    assert (frame["type"], frame["app_id"], frame["backend"]) == ("restart", "Shop", "swarm")


async def test_a_container_that_a_swarm_is_done_with_may_be_removed(
    roci: Roci, agent: ScriptedAgent, shop: Application
) -> None:
    await roci.write(lambda: Application.update(backend="swarm").execute())
    await agent.say("heartbeat", containers=[{**WEB, "status": "exited"}])
    await heard(roci, agent)
    await execute.control(roci, agent.agent_id, "remove", "shop-web-1")
    assert (await agent.hear())["action"] == "remove"


async def test_what_does_not_run_is_not_restarted(roci: Roci, agent: ScriptedAgent, shop: Application) -> None:
    new = await roci.write(applications.add, "new", COMPOSE)
    with pytest.raises(Conflict, match="lies on no host"):
        await execute.restart(roci, new.id)
    with pytest.raises(Invalid):
        await execute.restart(roci, shop.id, -1)
    stopping = await deploy.stop(roci, shop.id)
    await agent.answer()
    if run := roci.part(Operator).run(stopping.id):
        await ended(roci, run)
    with pytest.raises(Conflict, match="nothing to restart"):
        await execute.restart(roci, shop.id)
