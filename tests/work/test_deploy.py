"""Deploy, stop, start, delete, over the wire and against the status machine of spec/roci.md section 4."""

from __future__ import annotations

import asyncio

import pytest

from roci import Conflict, Invalid, NotFound, NotReady, Roci, Sensitive
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import applications, deployments
from roci_plugins.domain.applications import Application
from roci_plugins.work import deploy
from roci_plugins.work.operate import Operator

from .deploying import COMPOSE, SECRET, deployed, ended, state


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


async def test_newer_images_are_asked_for_only_where_that_is_wanted(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, {}, deploy.Terms(pull=True))
    assert operation.args["pull"] is True and (await agent.answer())["pull"] is True
    await ended(roci, operation)
    await deploy.deploy(roci, a1.id, agent.agent_id, {})
    assert "pull" not in await agent.hear()


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


@pytest.mark.parametrize("name", ["1ST", "A B", "", "A=B", "PATH", "LD_PRELOAD", "DOCKER_HOST", "OTEL_X"])
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


async def test_deleting_takes_along_the_volumes_that_are_named_and_no_others(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    await deployed(roci, a1, agent)
    operation = await deploy.delete(roci, a1.id, "a1", volumes=["a1_data"])
    assert operation is not None and operation.args == {"volumes": ["a1_data"]}
    assert (await agent.hear())["volumes"] == ["a1_data"]


async def test_deleting_with_its_host_away_needs_force(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    await deployed(roci, a1, agent)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    with pytest.raises(Conflict, match="force"):
        await deploy.delete(roci, a1.id, "a1")
    assert await deploy.delete(roci, a1.id, "a1", force=True) is None


async def test_deleting_what_was_never_deployed_tells_nobody(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    assert await deploy.delete(roci, a1.id, "a1") is None


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


async def test_an_unknown_application_comes_before_bad_secrets(roci: Roci, agent: ScriptedAgent) -> None:
    with pytest.raises(NotFound):
        await deploy.deploy(roci, "00000000-0000-4000-8000-000000000000", None, {"A B": Sensitive("x")})


async def test_secrets_have_a_number(roci: Roci, agent: ScriptedAgent, a1: Application) -> None:
    with pytest.raises(Invalid, match="100"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {f"S{number}": Sensitive("x") for number in range(101)})


def test_close_codes_are_those_of_the_spec() -> None:
    codes = wire.MALFORMED, wire.NO_REGISTER, wire.STALE, wire.REJECTED, wire.REPLACED, wire.DELETED, wire.GOING_AWAY
    assert codes == (4000, 4001, 4002, 4003, 4009, 4010, 1001)
