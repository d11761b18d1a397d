"""Deploy, stop, start, delete, over the wire and against the status machine of spec/roci.md section 4."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from roci import Conflict, Invalid, NotFound, NotReady, Roci, Sensitive, Settings, now
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import applications, deployments, operations, policies
from roci_plugins.domain.applications import Application
from roci_plugins.domain.operations import Operation
from roci_plugins.work import deploy
from roci_plugins.work.operate import Operator
from roci_plugins.work.outcome import WITHHELD

COMPOSE = "services:\n  w:\n    image: nginx\n"
SECRET = {"DB_PASSWORD": Sensitive("supersecret99")}


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("h1")
        yield agent


@pytest_asyncio.fixture
async def a1(roci: Roci, agent: ScriptedAgent) -> Application:
    return await roci.write(applications.add, "a1", COMPOSE)


async def ended(roci: Roci, operation: Operation) -> Operation:
    if run := roci.part(Operator).run(operation.id):
        async with asyncio.timeout(5):
            async for _ in run.follow():
                pass
    return await roci.read(operations.get, operation.id)


async def state(roci: Roci, application: Application) -> tuple[str, str | None]:
    row = await roci.read(applications.get, application.id)
    return row.status, row.last_error


async def deployed(roci: Roci, application: Application, agent: ScriptedAgent, **result: Any) -> Operation:
    operation = await deploy.deploy(roci, application.id, agent.agent_id, {})
    await agent.answer(**result)
    return await ended(roci, operation)


async def test_a_deploy_goes_out_as_published_and_its_secret_stays_nowhere(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, SECRET)
    assert await state(roci, a1) == ("deploying", None)
    frame = await agent.hear()
    assert frame["type"] == "deploy" and frame["app_id"] == "a1" and frame["compose_yml"] == COMPOSE
    assert frame["secrets"] == [{"name": "DB_PASSWORD", "value": "supersecret99"}]
    assert frame["command_id"] == operation.id
    await agent.say("result", command_id=operation.id, success=True, output="made with supersecret99")
    row = await ended(roci, operation)
    assert (row.status, row.output, row.args) == ("succeeded", "made with ***", {"secrets": ["DB_PASSWORD"]})
    assert await state(roci, a1) == ("running", None)
    data = b"".join(path.read_bytes() for path in roci.settings.data.glob("roci.db*"))
    assert b"made with" in data and b"supersecret99" not in data


async def test_a_failure_is_the_end_of_the_output(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    await deployed(roci, a1, agent, success=False, output="no such image", exit_code=18)
    assert await state(roci, a1) == ("failed", "no such image")


async def test_stop_and_start_move_the_application_when_their_results_come(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    await deployed(roci, a1, agent)
    operation = await deploy.stop(roci, a1.id)
    assert (await state(roci, a1))[0] == "running"
    assert (await agent.answer())["type"] == "stop"
    await ended(roci, operation)
    assert await state(roci, a1) == ("stopped", None)
    operation = await deploy.start(roci, a1.id)
    assert (await state(roci, a1))[0] == "deploying"
    assert (await agent.answer())["app_id"] == "a1"
    await ended(roci, operation)
    assert await state(roci, a1) == ("running", None)


async def test_a_stop_that_fails_leaves_it_running_with_the_reason(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    await deployed(roci, a1, agent)
    operation = await deploy.stop(roci, a1.id)
    await agent.answer(success=False, output="it will not")
    await ended(roci, operation)
    assert await state(roci, a1) == ("running", "it will not")


async def test_one_thing_at_a_time(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    results = await asyncio.gather(
        *(deploy.deploy(roci, a1.id, agent.agent_id, {}) for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results].count(Conflict) == 4
    await agent.answer()


async def test_what_its_state_forbids_is_a_conflict(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    for act in (deploy.stop, deploy.start):
        with pytest.raises(Conflict):
            await act(roci, a1.id)
    await deployed(roci, a1, agent)
    with pytest.raises(Conflict):
        await deploy.start(roci, a1.id)
    with pytest.raises(Conflict, match="stop it first"):
        await roci.write(applications.change, a1.id, compose="services:\n  w:\n    image: other\n")
    await roci.write(applications.change, a1.id, description="may change")
    async with scripted_agent(roci) as other:
        await other.register("h2")
        with pytest.raises(Conflict, match="another agent"):
            await deploy.deploy(roci, a1.id, other.agent_id, {})


async def test_a_host_that_is_missing_unknown_waiting_or_away_is_told_apart(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    with pytest.raises(NotReady, match="no agent"):
        await deploy.deploy(roci, a1.id, None, {})
    with pytest.raises(NotFound):
        await deploy.deploy(roci, a1.id, "00000000-0000-4000-8000-000000000000", {})
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    with pytest.raises(NotReady, match="not connected"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {})
    assert await state(roci, a1) == ("stopped", None)


@pytest.mark.parametrize("name", ["1ST", "A B", "", "A=B", "PATH", "LD_PRELOAD", "DOCKER_HOST"])
async def test_a_secret_needs_a_name_that_is_its_own(
    roci: Roci, agent: ScriptedAgent, a1: Application, name: str
) -> None:
    with pytest.raises(Invalid, match="secrets"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {name: Sensitive("x")})


async def test_secrets_have_a_size(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    with pytest.raises(Invalid, match="64 KiB"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {"BIG": Sensitive("x" * 65537)})


async def test_deleting_asks_for_the_name_and_takes_it_down(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    await deployed(roci, a1, agent)
    for wrong in (None, "A1", "a"):
        with pytest.raises(Invalid, match="confirm_name"):
            await deploy.delete(roci, a1.id, wrong)
    operation = await deploy.delete(roci, a1.id, "a1")
    assert operation is not None
    assert (await agent.answer())["type"] == "delete"
    assert (await ended(roci, operation)).status == "succeeded"
    with pytest.raises(NotFound):
        await roci.read(applications.get, a1.id)


async def test_deleting_with_its_host_away_needs_force(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    await deployed(roci, a1, agent)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    with pytest.raises(Conflict, match="force"):
        await deploy.delete(roci, a1.id, "a1")
    assert await deploy.delete(roci, a1.id, "a1", force=True) is None


async def test_deleting_what_was_never_deployed_tells_nobody(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    assert await deploy.delete(roci, a1.id, "a1") is None


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
    async with asyncio.timeout(5):
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
    roci.part(Hub).times.grace = 0.2
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hear()
    await agent.hang_up()
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token, protocol=2)
        await back.say("heartbeat", containers=[], running_commands=[operation.id])
        with pytest.raises(TimeoutError):
            await back.closed(within=0.4)  # well past the grace
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


async def test_a_deployment_follows_its_application(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    await deployed(roci, a1, agent, success=False)
    await deployed(roci, a1, agent)
    stopping = await deploy.stop(roci, a1.id)
    await agent.answer()
    await ended(roci, stopping)
    found = await roci.read(deployments.all_, a1.id)
    assert [each.status for each in found] == ["stopped", "replaced"]


async def test_a_backend_the_host_lacks_is_refused_before_anything(roci: Roci, agent: ScriptedAgent) -> None:
    row = await roci.write(applications.add, "plain", COMPOSE, "", None, "docker")
    with pytest.raises((NotReady, Invalid), match="docker"):
        await deploy.deploy(roci, row.id, agent.agent_id, {})
    assert (await state(roci, row))[0] == "stopped"


async def test_a_killed_server_finishes_the_story_at_its_next_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), local_agent=False)
    settings.sections = {"links": {"grace": 0.3}}
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


async def test_a_client_that_hangs_up_leaves_no_command_unsent(roci: Roci, agent: ScriptedAgent) -> None:
    for number in range(1, 20):
        row = await roci.write(applications.add, f"b{number}", COMPOSE)
        request = asyncio.create_task(deploy.deploy(roci, row.id, agent.agent_id, {}))
        await asyncio.sleep(number / 1000)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await until(lambda row=row: operations_of(roci, row.id))
        assert (await agent.answer())["app_id"] == row.name


def operations_of(roci: Roci, application_id: str) -> list[str]:
    return [id for id, run in roci.part(Operator)._runs.items() if run.operation.application_id == application_id]


@pytest_asyncio.fixture
async def h2(roci: Roci, agent: ScriptedAgent) -> AsyncIterator[ScriptedAgent]:
    async with scripted_agent(roci) as other:
        await other.register("h2")
        yield other


async def stopped(roci: Roci, application: Application, agent: ScriptedAgent) -> None:
    await deployed(roci, application, agent)
    operation = await deploy.stop(roci, application.id)
    await agent.answer()
    await ended(roci, operation)


async def give(roci: Roci, application: Application, agent: ScriptedAgent) -> None:
    await roci.write(applications.change, application.id, host_id=agent.agent_id)


async def test_a_late_success_is_believed_of_the_host_that_tells_it(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    roci.part(Hub).times.grace = 0.05
    lost = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    await agent.hang_up()
    await ended(roci, lost)
    await give(roci, a1, h2)
    async with scripted_agent(roci) as back:
        await back.register("h1", agent_id=agent.agent_id, agent_token=agent.agent_token)
        await back.say("result", command_id=lost.id, success=True)
        await back.say("ping")
        await back.hear()
    row = await roci.read(applications.get, a1.id)
    assert (row.status, row.host_id) == ("running", agent.agent_id)


async def test_what_lies_on_one_host_is_not_started_on_another(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    await give(roci, a1, h2)
    with pytest.raises(Conflict, match="never deployed to that agent"):
        await deploy.start(roci, a1.id)


async def test_an_application_is_taken_down_where_it_lies(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    await give(roci, a1, h2)
    operation = await deploy.delete(roci, a1.id, "a1")
    assert operation is not None and operation.hostname == "h1"
    assert (await agent.hear())["type"] == "delete"


async def test_a_host_that_never_had_it_takes_nothing_down(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await deployed(roci, a1, agent)
    await deploy.remove_host(roci, agent.agent_id)
    await give(roci, a1, h2)
    assert await deploy.delete(roci, a1.id, "a1") is None


async def test_a_deploy_to_another_host_takes_it_down_on_the_first(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    operation = await deploy.deploy(roci, a1.id, h2.agent_id, {})
    assert (await agent.hear())["type"] == "delete"  # and it never answers
    await h2.answer()
    assert (await ended(roci, operation)).args == {"secrets": []}
    assert await state(roci, a1) == ("running", None)
    assert (await deploy.stop(roci, a1.id)).hostname == "h2"
    kinds = {(row.kind, row.hostname) for row in (await roci.read(operations.list_, 9, application_id=a1.id))[0]}
    assert kinds >= {("delete", "h1"), ("deploy", "h2")}


async def test_a_deploy_away_from_a_host_that_is_gone_says_what_it_left(
    roci: Roci, agent: ScriptedAgent, h2: ScriptedAgent, a1: Application
) -> None:
    await stopped(roci, a1, agent)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    operation = await deployed(roci, a1, h2)
    assert operation.args == {"secrets": [], "left_on": "h1"}
    assert await state(roci, a1) == ("running", None)


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


async def test_an_unknown_application_comes_before_bad_secrets(roci: Roci, agent: ScriptedAgent) -> None:
    with pytest.raises(NotFound):
        await deploy.deploy(roci, "00000000-0000-4000-8000-000000000000", None, {"A B": Sensitive("x")})


async def test_secrets_have_a_number(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    with pytest.raises(Invalid, match="100"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {f"S{number}": Sensitive("x") for number in range(101)})


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


@pytest.mark.parametrize("jump", [-86400, 86400])
async def test_a_clock_that_jumped_leaves_an_operation_its_time_and_no_more(
    roci: Roci, agent: ScriptedAgent, a1: Application, jump: int
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {})
    operation.started_at = now() + datetime.timedelta(seconds=jump)
    left = roci.part(Operator)._left(operation)
    assert roci.part(Hub).times.grace <= left <= operation.timeout


def test_close_codes_are_those_of_the_spec() -> None:
    codes = wire.MALFORMED, wire.NO_REGISTER, wire.STALE, wire.REJECTED, wire.REPLACED, wire.DELETED, wire.GOING_AWAY
    assert codes == (4000, 4001, 4002, 4003, 4009, 4010, 1001)
