"""Operations on hosts from their sending to their end: what may be shown, who waits, and every way not to end well."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from roci import Roci, Sensitive, Settings, current_actor
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import applications, hosts, operations
from roci_plugins.domain.operations import Operation
from roci_plugins.work import deploy, execute, operate, raw
from roci_plugins.work.operate import Operator
from roci_plugins.work.outcome import WITHHELD
from roci_plugins.work.run import Run

from .able import CAPABILITIES, able_agent, ended, heard, stored

SECRET = "verysecret1"
KIB = 1024


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with able_agent(roci) as agent:
        yield agent


async def begun(roci: Roci, agent: ScriptedAgent, command: str = "true", **more: Any) -> Run:
    """A command that the agent has received."""
    run = await execute.execute(roci, agent.agent_id, command, **more)
    while (await agent.hear())["type"] != "exec":
        pass
    return run


async def tell(agent: ScriptedAgent, run: Run, success: bool = True, **said: Any) -> None:
    await agent.say("result", command_id=run.operation.id, success=success, **said)


async def test_who_listens_hears_of_an_operation_before_its_command_is_sent_and_cannot_stop_it(
    roci: Roci, agent: ScriptedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Operation] = []

    def fail(operation: Operation) -> None:
        assert roci.part(Hub).require(operation.host_id).waiting == 0
        told.append(operation)
        raise RuntimeError("on purpose")

    roci.part(Operator).listeners.append(fail)
    run = await begun(roci, agent)
    assert told == [run.operation]
    assert [record.exc_text is not None for record in caplog.records if "failed on exec" in record.message] == [True]
    await tell(agent, run, exit_code=0)
    assert (await ended(roci, run)).status == "succeeded"


# --- what may be shown ---


async def test_live_output_is_masked_however_it_is_cut(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent, env={"T": SECRET})
    text = (
        f"token {SECRET}, clone https://me:hunter2x@git.lan/x.git and https://0123456789abcdef0123456789@git.lan: done"
    )
    for seq, piece in enumerate(text):  # one character at a time
        await agent.say("output", command_id=run.operation.id, seq=seq, data=piece)
    seen: list[str] = []
    reading = asyncio.create_task(_collect(run, seen))
    await tell(agent, run, exit_code=0)
    row = await ended(roci, run)
    await reading
    assert "".join(seen) == "token ***, clone https://me:***@git.lan/x.git and https://***@git.lan: done"
    assert row.output == "".join(seen)


async def _collect(run: Run, seen: list[str]) -> None:
    async for _, text in run.follow():
        seen.append(text)


async def test_a_secret_that_the_cut_went_through_is_hidden_too(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent, env={"T": SECRET})
    out = "secret1" + "x" * (64 * KIB - 7)
    err = "unter2x@git.lan " + "y" * 100
    await tell(agent, run, exit_code=0, output="", stdout=out, stderr=err, truncated=True)
    row = await ended(roci, run)
    assert row.result and row.result["stdout"].startswith("***xxx") and row.result["stderr"].startswith("***@git.lan")
    assert row.result["truncated"] is True
    shown = roci.part(Operator).result(row, current_actor.get())
    assert shown and shown["stdout"] == out, "who gave the value may see what there is of it"


async def test_what_is_as_long_as_it_may_be_perhaps_begins_in_the_middle_of_a_secret(
    roci: Roci, agent: ScriptedAgent
) -> None:
    run = await begun(roci, agent, env={"T": SECRET})
    for begins in ("secret1 ", "//me:hunter2x@git.lan "):
        await agent.say("output", command_id=run.operation.id, data=begins + "x" * 64 * KIB)
        await heard(roci, agent)
        assert "secret1" not in run.so_far and "hunter2x" not in run.so_far
    await tell(agent, run, exit_code=0, output="unter2x@git.lan " + "x" * (64 * KIB - 16))
    assert (await ended(roci, run)).output.startswith("***@git.lan xxx")


async def test_streams_are_kept_to_their_last_64_kib_and_say_so(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    await tell(agent, run, exit_code=0, stdout="ä" * 64 * KIB, stderr="short")
    row = await ended(roci, run)
    assert row.result
    assert (row.result["stdout"], row.result["stderr"]) == ("ä" * 32 * KIB, "short")
    assert row.result["truncated"] is True


async def test_an_agent_that_does_not_keep_streams_apart(roci: Roci, agent: ScriptedAgent) -> None:
    good, bad = await begun(roci, agent), await begun(roci, agent)
    await tell(agent, good, output="fine")
    await tell(agent, bad, success=False, output="not fine")
    rows = [await ended(roci, run) for run in (good, bad)]
    assert [(row.result["stdout"], row.result["stderr"]) for row in rows if row.result] == [
        ("fine", ""),
        ("", "not fine"),
    ]


async def test_the_unmasked_result_is_gone_after_its_time(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "LASTS", 0.0)
    run = await begun(roci, agent, env={"T": SECRET})
    await tell(agent, run, stdout=SECRET)
    row = await ended(roci, run)
    assert roci.part(Operator).result(row, current_actor.get()) == row.result
    assert row.result and row.result["stdout"] == "***"


@pytest.mark.parametrize(("protocol", "shown"), [(2, "masked by the agent: ***"), (1, WITHHELD)], ids=["new", "old"])
async def test_after_a_restart_nobody_knows_the_values_any_more(tmp_path: Path, protocol: int, shown: str) -> None:
    """An agent of today masks by itself; of another one nothing is stored. What is not masked is never given out."""
    settings = Settings(data_dir=str(tmp_path), local_agent=False)
    first = Roci(settings)
    async with first.running(), able_agent(first, protocol=protocol) as agent:
        run = await begun(first, agent, env={"T": SECRET})
    second = Roci(settings)
    async with second.running():
        known = {"agent_id": agent.agent_id, "agent_token": agent.agent_token, "protocol": protocol}
        async with able_agent(second, running=run, **known) as back:
            again = second.part(Operator).run(run.operation.id)
            assert again
            said = {"stdout": f"raw {SECRET}", "stderr": SECRET, "output": "masked by the agent: ***"}
            await back.say("result", command_id=run.operation.id, success=True, exit_code=0, **said)
            row = await ended(second, again)
        assert (row.status, row.output) == ("succeeded", shown)
        assert row.result and (row.result["stdout"], row.result["stderr"]) == (shown, "")
        assert second.part(Operator).result(row, current_actor.get()) == row.result
        assert SECRET.encode() not in stored(second)


async def test_a_password_is_not_shown_after_a_restart_either(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), local_agent=False)
    first = Roci(settings)
    async with first.running(), able_agent(first) as agent:
        run = await execute.log_in(first, agent.agent_id, "ghcr.io", "me", Sensitive(SECRET))
    second = Roci(settings)
    async with second.running():
        known = {"agent_id": agent.agent_id, "agent_token": agent.agent_token}
        async with able_agent(second, running=run, **known) as back:
            again = second.part(Operator).run(run.operation.id)
            assert again
            await back.say("result", command_id=run.operation.id, success=False, output="no ***", stderr=f"no {SECRET}")
            await ended(second, again)
        assert SECRET.encode() not in stored(second)


# --- how it ends ---


@pytest.mark.parametrize(
    ("said", "status", "exit_code"),
    [
        ({"success": False, "exit_code": 3}, "failed", 3),
        ({"success": False, "exit_code": 124}, "failed", 124),
        ({"success": False, "exit_code": 124, "data": {"timed_out": True}}, "timed_out", 124),
        ({"success": False, "data": {"cancelled": True}}, "cancelled", 1),
        ({"success": False, "data": {"interrupted": True}}, "interrupted", 1),
        ({"success": True, "exit_code": 2**40, "duration_ms": -5}, "succeeded", None),
    ],
    ids=str,
)
async def test_an_end_is_believed_as_it_is_told(
    roci: Roci, agent: ScriptedAgent, said: dict[str, Any], status: str, exit_code: int | None
) -> None:
    run = await begun(roci, agent)
    await tell(agent, run, stdout="partly", **said)
    row = await ended(roci, run)
    assert (row.status, row.exit_code) == (status, exit_code)
    assert row.result and (row.result["stdout"], row.result["duration_ms"]) == ("partly", 0)


async def test_a_host_that_says_nothing_has_its_time_and_fifteen_seconds(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await begun(roci, agent, seconds=2)
    assert run.deadline
    assert 10 < run.deadline.when() - asyncio.get_running_loop().time() <= 17
    await tell(agent, run)
    await ended(roci, run)
    monkeypatch.setattr(operate, "HAND_SLACK", -2.0)
    late = await begun(roci, agent, seconds=2)
    await agent.say("output", command_id=late.operation.id, data="so far\n")
    row = await ended(roci, late)
    assert (row.status, row.exit_code, row.reason) == ("timed_out", 124, "no result in 2 s")
    assert row.result and row.result["stderr"] == "no result in 2 s"
    while (frame := await agent.hear())["type"] != "cancel":
        pass
    assert frame["command_id"] == late.operation.id


async def test_what_a_host_still_runs_after_its_time_is_cancelled_when_it_is_back(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate, "HAND_SLACK", -1.0)
    run = await begun(roci, agent, seconds=1)
    await agent.hang_up()
    assert (await ended(roci, run)).status == "timed_out"
    async with scripted_agent(roci) as back:
        await back.register(
            protocol=2, capabilities=CAPABILITIES, agent_id=agent.agent_id, agent_token=agent.agent_token
        )
        await back.say("heartbeat", containers=[], running_commands=[run.operation.id, "another"])
        assert await back.hear() == {"type": "cancel", "command_id": run.operation.id}
        await heard(roci, back)


async def test_a_lost_host_leaves_what_it_had_said(roci: Roci, agent: ScriptedAgent) -> None:
    roci.part(Hub).times.grace = 0.05
    run = await begun(roci, agent)
    await agent.say("output", command_id=run.operation.id, data="half\n")
    await agent.hang_up()
    row = await ended(roci, run)
    assert (row.status, row.reason, row.exit_code) == ("interrupted", "agent lost", 1)
    assert row.result and (row.result["stdout"], row.result["stderr"]) == ("half\n", "agent lost")


async def test_what_was_printed_before_a_kill_is_there_after_the_next_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), local_agent=False)
    first = Roci(settings)
    async with first.running(), able_agent(first) as agent:
        run = await begun(first, agent)
        await agent.say("output", command_id=run.operation.id, data="half\n")
        await until(lambda: run.so_far)
        await first.part(Operator).keep_output()
        assert (await first.read(operations.get, run.operation.id)).output == "half\n"
        assert run.unkept() is None
    second = Roci(settings)
    async with second.running():
        second.part(Hub).times.grace = 0.05
        again = second.part(Operator).run(run.operation.id)
        assert again and again.so_far == "half\n" and again.unkept() is None
        known = {"agent_id": agent.agent_id, "agent_token": agent.agent_token}
        async with able_agent(second, **known):
            row = await ended(second, again)
    assert (row.status, row.output) == ("interrupted", "half\n")


def _most_pages(count: int) -> None:
    Operation._meta.database.execute_sql(f"pragma max_page_count = {count}")


async def test_output_that_could_not_be_written_down_is_written_the_next_time(roci: Roci, agent: ScriptedAgent) -> None:
    run, much = await begun(roci, agent), "half\n" * 10_000
    await roci.store.alter(_most_pages, 1)  # it is as large as it may be
    await agent.say("output", command_id=run.operation.id, data=much)
    await until(lambda: run.so_far)
    await roci.part(Operator).keep_output()
    assert roci.store.is_full and run.unkept() == (much, 1)
    await roci.store.alter(_most_pages, 1_000_000)
    await roci.part(Operator).keep_output()
    assert (await roci.read(operations.get, run.operation.id)).output == much and run.unkept() is None


async def test_an_agent_that_was_restarted_has_forgotten_what_the_server_knows(
    roci: Roci, agent: ScriptedAgent
) -> None:
    run, why = await begun(roci, agent), "the agent was restarted"
    run.operation.started_at -= datetime.timedelta(seconds=7)
    await agent.say("output", command_id=run.operation.id, data="half\n")
    await tell(agent, run, success=False, output=why, data={"interrupted": True, "reason": why})
    row = await ended(roci, run)
    assert (row.status, row.reason, row.exit_code, row.output) == ("interrupted", why, 1, "half\n")
    assert row.result and (row.result["stdout"], row.result["stderr"]) == ("half\n", why)
    assert 7000 <= row.result["duration_ms"] < 60_000


async def test_a_removed_host_ends_what_is_under_way(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    await deploy.remove_host(roci, agent.agent_id)
    row = await ended(roci, run)
    assert (row.status, row.reason) == ("interrupted", "agent removed")


async def test_a_cancelled_command_ends_when_the_host_says_so(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    await roci.part(Operator).cancel(run.operation.id)
    assert await agent.hear() == {"type": "cancel", "command_id": run.operation.id}
    assert (await roci.read(operations.get, run.operation.id)).status == "running"
    await tell(agent, run, success=False, stdout="half", data={"cancelled": True})
    row = await ended(roci, run)
    assert row.status == "cancelled" and row.result and row.result["stdout"] == "half"


async def test_two_hundred_commands_at_once_all_come_back(roci: Roci, agent: ScriptedAgent) -> None:
    async def answering() -> None:
        for _ in range(200):
            while (command := await agent.hear())["type"] != "exec":
                pass
            await agent.say("result", command_id=command["command_id"], success=True, stdout=command["command"])

    answers = asyncio.create_task(answering())
    runs = await asyncio.gather(*(execute.execute(roci, agent.agent_id, f"n{number}") for number in range(200)))
    rows = [await ended(roci, run) for run in runs]
    await answers
    assert [row.result["stdout"] for row in rows if row.result] == [f"n{number}" for number in range(200)]


# --- rebooting ---


async def test_a_reboot_ends_when_the_host_is_back(roci: Roci, agent: ScriptedAgent) -> None:
    run = await execute.reboot(roci, agent.agent_id)
    assert run.deadline and 290 < run.deadline.when() - asyncio.get_running_loop().time() <= 300
    while (frame := await agent.hear())["type"] != "reboot":
        pass
    await agent.say("ack", command_id=frame["command_id"])
    await agent.say("heartbeat", containers=[], running_commands=[])
    await heard(roci, agent)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    assert run.ended is None
    async with able_agent(roci, agent_id=agent.agent_id, agent_token=agent.agent_token):
        row = await ended(roci, run)
    assert (row.kind, row.status, row.exit_code, row.output) == ("reboot", "succeeded", 0, "the agent is back")


async def test_a_host_that_is_back_without_another_boot_was_not_rebooted(roci: Roci) -> None:
    async with able_agent(roci, boot_id="one") as agent:
        run = await execute.reboot(roci, agent.agent_id)
        assert run.operation.args == {"boot_id": "one"}  # so it is known after a restart of the server
    known = {"agent_id": agent.agent_id, "agent_token": agent.agent_token}
    async with able_agent(roci, boot_id="one", **known) as agent:
        await heard(roci, agent)
        await roci.write(lambda: None)  # one after the other: what was to be written before is written
        assert roci.part(Operator).run(run.operation.id) is run
    async with able_agent(roci, boot_id="two", **known):
        row = await ended(roci, run)
    assert (row.status, row.exit_code, row.output) == ("succeeded", 0, "the host is back")


async def test_a_host_that_refuses_to_reboot_says_why(roci: Roci, agent: ScriptedAgent) -> None:
    run = await execute.reboot(roci, agent.agent_id)
    await tell(agent, run, success=False, exit_code=126, stderr="no systemctl here")
    row = await ended(roci, run)
    assert (row.status, row.exit_code) == ("failed", 126)
    assert row.result and row.result["stderr"] == "no systemctl here"


async def test_a_reboot_that_was_never_asked_for_does_not_end_well(roci: Roci, agent: ScriptedAgent) -> None:
    """The link is lost between the record and the frame: that the host comes back means nothing."""

    def begin() -> Operation:
        return operations.begin("reboot", hosts.get(agent.agent_id), 300)

    operation = await roci.write(begin)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_connected)
    run = await roci.part(Operator).launch(operation, wire.Reboot(command_id=operation.id))
    async with able_agent(roci, agent_id=agent.agent_id, agent_token=agent.agent_token):
        row = await ended(roci, run)
    assert row.status == "interrupted" and "not connected" in row.reason


async def test_a_host_that_stays_away_did_not_reboot(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "REBOOT_WITHIN", 0)
    run = await execute.reboot(roci, agent.agent_id)
    row = await ended(roci, run)
    assert (row.status, row.exit_code) == ("timed_out", 124)


# --- who waits ---


async def test_whoever_waits_is_answered_within_their_time(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    assert await run.finished(0.01) is None
    waiting = asyncio.create_task(run.finished(60))
    await tell(agent, run)
    operation = await waiting
    assert operation and operation.status == "succeeded"


async def test_nobody_is_kept_waiting_when_roci_is_to_stop(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    waiting = asyncio.create_task(run.finished(60))
    roci.draining.set()
    async with asyncio.timeout(30):
        assert await waiting is None
    assert (await roci.read(operations.get, run.operation.id)).status == "running"


# --- whose result it is ---


async def test_an_agent_that_repeats_ids_means_no_other_command(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    await agent.say("result", command_id="of-a-question-long-closed", success=False, data={"cancelled": True})
    await heard(roci, agent)
    assert run.ended is None


async def test_a_host_cannot_speak_for_another(roci: Roci, agent: ScriptedAgent) -> None:
    run = await begun(roci, agent)
    async with able_agent(roci, hostname="h2") as other:
        await tell(other, run, stdout="mine")
        await other.say("output", command_id=run.operation.id, data="mine")
        await heard(roci, other)
    assert run.ended is None and run.so_far == ""


async def test_deploys_keep_no_streams(roci: Roci, agent: ScriptedAgent) -> None:
    app = await roci.write(applications.add, "a1", "services:\n  w:\n    image: nginx\n")
    operation = await deploy.deploy(roci, app.id, agent.agent_id, {})
    run = roci.part(Operator).run(operation.id)
    assert run
    await tell(agent, run, output="done")
    assert (await ended(roci, run)).result is None
