"""How what was asked of a host ends: by its result, late or twice, without one, in time or not."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest

from roci import Conflict, NotFound, Roci, Settings, now
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import PATIENCE, ScriptedAgent, scripted_agent, until
from roci_plugins.domain import applications, deployments, operations, policies
from roci_plugins.domain.applications import Application
from roci_plugins.work import deploy
from roci_plugins.work.operate import Operator
from roci_plugins.work.outcome import WITHHELD

from .deploying import COMPOSE, SECRET, deployed, ended, state


async def test_a_result_without_an_id_is_of_the_only_command(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hear()
    await agent.say("result", success=True, output="done")
    assert (await ended(roci, operation)).status == "succeeded"


async def test_a_result_without_an_id_is_nobodys_when_two_are_under_way(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    a2 = await roci.write(applications.add, "a2", COMPOSE)
    both = [await deploy.deploy(roci, app.id, agent.agent_id, {}) for app in (a1, a2)]
    await agent.hear(), await agent.hear()
    await agent.say("result", success=True)
    await agent.say("ping")
    await agent.hear()
    assert [(await roci.read(operations.get, each.id)).status for each in both] == ["running", "running"]


async def test_an_outcome_counts_once(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    operation = await deployed(roci, a1, agent, output="first")
    await agent.say("result", command_id=operation.id, success=False, output="second")
    await agent.say("ping")
    await agent.hear()
    assert (await roci.read(operations.get, operation.id)).output == "first"
    assert await state(roci, a1) == ("running", None)


async def test_a_result_told_again_is_not_the_next_commands(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    first = await deployed(roci, a1, agent, output="A is up")
    a2 = await roci.write(applications.add, "a2", COMPOSE)
    second = await deploy.deploy(roci, a2.id, agent.agent_id, {})
    await agent.say("result", command_id=first.id, success=True, output="A is up")
    await agent.say("output", command_id="unknown", data="nobody's")
    await agent.say("ping")
    await agent.hear(), await agent.hear()
    row = await roci.read(operations.get, second.id)
    assert (row.status, roci.part(Operator).run(second.id).so_far) == ("running", "")  # type: ignore[union-attr]


async def test_a_result_and_the_end_of_the_link_at_once_end_the_run_too(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    run = roci.part(Operator).run(operation.id)
    assert run is not None
    await agent.hear()
    await agent.say("result", command_id=operation.id, success=True, output="done")
    await agent.hang_up()
    async with asyncio.timeout(PATIENCE):
        async for _ in run.follow():
            pass
    assert run.ended is not None and run.ended.status in ("succeeded", "running")
    assert (await roci.read(operations.get, operation.id)).status in ("succeeded", "interrupted", "running")


async def test_a_late_result_is_masked_by_what_was_known(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    roci.part(Hub).times.grace = 0.05
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, SECRET)
    await agent.hang_up()
    await ended(roci, operation)
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token, protocol=2)
        data = {"reason": "because of supersecret99"}
        await back.say("result", command_id=operation.id, success=False, output="it was supersecret99", data=data)
        await back.say("ping")
        await back.hear()
    row = await roci.read(operations.get, operation.id)
    assert (row.output, row.reason) == ("it was ***", "because of ***")


async def test_a_host_cannot_end_what_another_host_does(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    async with scripted_agent(roci) as other:
        await other.register("h2")
        await other.say("result", command_id=operation.id, success=True)
        await other.say("ping")
        await other.hear()
    assert (await roci.read(operations.get, operation.id)).status == "running"


async def test_a_lost_agent_has_its_grace_and_a_late_success_still_wins(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    roci.part(Hub).times.grace = 0.05
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hang_up()
    row = await ended(roci, operation)
    assert (row.status, row.reason) == ("interrupted", "agent lost")
    assert await state(roci, a1) == ("failed", "agent lost")
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
        await back.say("result", command_id=operation.id, success=True, output="it went well")
        await back.say("ping")
        await back.hear()
    assert await state(roci, a1) == ("running", None)
    assert (await roci.read(operations.get, operation.id)).status == "succeeded"


async def test_a_late_failure_or_one_of_an_older_command_changes_no_state(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    roci.part(Hub).times.grace = 0.05
    lost = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hang_up()
    await ended(roci, lost)
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
        await deployed(roci, a1, back)
        await deploy.stop(roci, a1.id)
        await back.answer()
        await back.say("result", command_id=lost.id, success=True)
        await back.say("ping")
        await back.hear()
        assert await state(roci, a1) == ("stopped", None)


async def test_an_agent_back_in_time_delivers_its_result(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, SECRET)
    await agent.hang_up()
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
        await back.say("result", command_id=operation.id, success=True, output="with supersecret99")
        row = await ended(roci, operation)
    assert (row.status, row.output) == ("succeeded", "with ***")


async def test_an_agent_that_came_back_without_the_command_ends_it_at_once(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hear()
    await agent.hang_up()
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token, protocol=2)
        await back.say("heartbeat", containers=[], running_commands=[])
        row = await ended(roci, operation)
    assert row.status == "interrupted" and "without this command" in row.reason


async def test_an_agent_that_still_runs_the_command_is_waited_for(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    run = roci.part(Operator).run(operation.id)
    assert run is not None
    await agent.hear()
    await agent.hang_up()
    await until(lambda: run.grace)
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token, protocol=2)
        await back.say("heartbeat", containers=[], running_commands=[operation.id])
        await until(lambda: run.grace is None)
        assert (await roci.read(operations.get, operation.id)).status == "running"
        await back.say("result", command_id=operation.id, success=True)
        assert (await ended(roci, operation)).status == "succeeded"


async def test_an_operation_has_its_time(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    roci.section(deploy.Operations).deploy_timeout = 0
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    row = await ended(roci, operation)
    assert (row.status, row.reason) == ("timed_out", "no result in 0 s")
    assert (await state(roci, a1))[0] == "failed"


async def test_an_agent_that_ran_out_of_time_says_so(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    row = await deployed(roci, a1, agent, success=False, exit_code=124, data={"timed_out": True})
    assert row.status == "timed_out"


async def test_cancel_asks_the_agent_and_believes_it(roci: Roci, a1: Application) -> None:
    async with scripted_agent(roci) as able:
        await able.register("h2", capabilities=["cancel"], protocol=2)
        operation = await deploy.deploy(roci, a1.id, able.agent_id, {})
        await able.hear()
        await roci.part(Operator).cancel(operation.id)
        assert await able.hear() == {"type": "cancel", "command_id": operation.id}
        await able.say("result", command_id=operation.id, success=False, data={"cancelled": True})
        assert (await ended(roci, operation)).status == "cancelled"
        with pytest.raises(Conflict, match="has ended"):
            await roci.part(Operator).cancel(operation.id)
    assert (await state(roci, a1))[0] == "failed"


async def test_an_agent_that_cannot_cancel_is_not_asked(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    with pytest.raises(Conflict, match="cannot cancel"):
        await roci.part(Operator).cancel(operation.id)


async def test_output_arrives_as_it_comes_masked_across_frames(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, SECRET)
    await agent.hear()
    for seq, piece in enumerate(["pulling\npass=super", "secret99\n", "done\n"]):
        await agent.say("output", command_id=operation.id, stream="stdout", seq=seq, data=piece)
    await agent.say("result", command_id=operation.id, success=True)
    row = await ended(roci, operation)
    assert row.output == "pulling\npass=***\ndone\n"


async def test_results_are_acknowledged_to_those_who_want_it(roci: Roci, a1: Application) -> None:
    async with scripted_agent(roci) as able:
        await able.register("h2", capabilities=["ack"], protocol=2)
        operation = await deploy.deploy(roci, a1.id, able.agent_id, {})
        await able.answer()
        assert await able.hear() == {"type": "ack", "command_id": operation.id}
        await able.say("result", command_id="never-heard-of", success=True)
        assert await able.hear() == {"type": "ack", "command_id": "never-heard-of"}


async def test_results_of_no_known_command_are_complained_of_once_in_a_while(
    roci: Roci, agent: ScriptedAgent, a1: Application, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = await deployed(roci, a1, agent)
    async with scripted_agent(roci) as liar:
        await liar.register("h2", capabilities=["ack"], protocol=2)
        for command_id in (theirs.id, theirs.id, "never-heard-of", None):
            await liar.say("result", command_id=command_id, success=False)
        await liar.say("ping")
        while (await liar.hear())["type"] != "pong":
            pass
    assert [line for line in caplog.messages if "no known command" in line] == ["h2 sent a result of no known command"]
    assert (await roci.read(operations.get, theirs.id)).status == "succeeded"


async def test_a_killed_server_finishes_the_story_at_its_next_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), local_agent=False)
    settings.sections = {"links": {"grace": 2.0}}
    first = Roci(settings)
    async with first.running():
        await first.write(policies.add, "all", 1, {"type": "any"}, "approve")
        async with scripted_agent(first) as agent:
            await agent.register("h1")
            apps = [await first.write(applications.add, name, COMPOSE) for name in ("told", "secret", "lost")]
            told, secret, lost = [
                await deploy.deploy(first, app.id, agent.agent_id, SECRET if app.name == "secret" else {})
                for app in apps
            ]
    second = Roci(settings)
    async with second.running():
        async with scripted_agent(second) as back:
            await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
            await back.say("result", command_id=told.id, success=True, output="done meanwhile")
            await back.say("result", command_id=secret.id, success=True, output="supersecret99")
            rows = [await ended(second, each) for each in (told, secret, lost)]
        assert [row.status for row in rows] == ["succeeded", "succeeded", "interrupted"]
        assert [row.output for row in rows] == ["done meanwhile", WITHHELD, ""]
        assert [(await state(second, app))[0] for app in apps] == ["running", "running", "failed"]


async def test_a_removed_host_is_the_reason_whatever_was_printed(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.say("output", command_id=operation.id, stream="stdout", seq=0, data="pulling\n")
    await until(lambda: roci.part(Operator).run(operation.id).so_far)
    await deploy.remove_host(roci, agent.agent_id)
    assert (await ended(roci, operation)).status == "interrupted"
    assert await state(roci, a1) == ("failed", "agent removed")
    assert [each.status for each in await roci.read(deployments.all_, a1.id)] == ["removed"]


async def test_an_interrupted_run_says_why_and_then_what_it_had_printed(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    roci.part(Hub).times.grace = 0.05
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.say("output", command_id=operation.id, stream="stdout", seq=0, data="pulling\n")
    await agent.hang_up()
    await ended(roci, operation)
    assert await state(roci, a1) == ("failed", "agent lost\npulling")


@pytest.mark.parametrize("jump", [-86400, 86400])
async def test_a_clock_that_jumped_leaves_an_operation_its_time_and_no_more(
    roci: Roci, agent: ScriptedAgent, a1: Application, jump: int
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    operation.started_at = now() + datetime.timedelta(seconds=jump)
    left = roci.part(Operator)._left(operation)
    assert roci.part(Hub).times.grace <= left <= operation.timeout


async def test_old_operations_are_forgotten_and_those_under_way_are_not(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    old = await deployed(roci, a1, agent)
    running = await deploy.stop(roci, a1.id)
    assert await roci.write(operations.prune, now() - datetime.timedelta(days=1)) == 0
    assert await roci.write(operations.prune, now() + datetime.timedelta(days=1)) == 1
    with pytest.raises(NotFound):
        await roci.read(operations.get, old.id)
    assert (await roci.read(operations.get, running.id)).status == "running"
