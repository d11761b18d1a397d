"""The host's end of what is done to the host itself: journalled or not, over with its connection or not, limited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from roci import Site, Spec, Step, StepFailed
from roci_plugins.agent.journal import Journal
from roci_plugins.agent.process import Stderr
from roci_plugins.agent.scripted import until
from roci_plugins.agent.worker import Worker

from .test_worker import COMMANDS, Backend, Host

ENDED: list[str] = []
GATE: dict[str, asyncio.Event] = {}


async def execute(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield f"{args['command']} {args['env']}\n"
    yield Stderr("trouble\n")
    if args["command"] == "wait":
        await GATE["open"].wait()
    if args["command"] == "break":
        raise StepFailed("", exit_code=7)


async def logs(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield "line\n"
    try:
        if args["follow"]:
            await asyncio.Event().wait()
    finally:
        ENDED.append(args["command_id"])


async def reboot(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield "in a moment\n"
    await GATE["open"].wait()
    if "refused" in GATE:
        raise StepFailed("", exit_code=126)


HANDS = {**COMMANDS, "exec": execute, "logs": logs, "reboot": reboot}


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    GATE.clear()
    ENDED.clear()
    GATE["open"] = asyncio.Event()
    host = Host(tmp_path, allow=["exec", "reboot"], hands=2)
    host.worker = Worker(host.settings, host.journal, host.engine, {"compose": Backend()}, HANDS)
    yield host
    await host.end()


def kept(host: Host) -> list[str]:
    return [path.stem for path in host.journal._folder.glob("*.json")]


async def test_what_the_host_has_hands_for_is_offered_by_name(host: Host) -> None:
    frame = await host.connect()
    assert frame["capabilities"] == ["ack", "cancel", "backend:compose", "exec", "logs", "reboot"]


async def test_a_result_has_both_streams_as_they_were_and_one_text_masked(host: Host) -> None:
    await host.connect()
    await host.say("exec", command_id="c1", command="break", env={"TOKEN": "supersecret99"})
    result = await host.hear("result")
    assert (result["success"], result["exit_code"]) == (False, 7)
    assert result["stdout"] == "break {'TOKEN': 'supersecret99'}\n" and result["stderr"] == "trouble\n"
    assert result["output"] == "break {'TOKEN': '***'}\ntrouble\n"
    assert isinstance(result["duration_ms"], int) and not result.get("truncated")


async def test_what_a_command_was_given_is_not_on_the_disk_and_still_told_once(host: Host) -> None:
    await host.connect()
    await host.say("exec", command_id="c1", command="break", env={"TOKEN": "supersecret99"})
    assert "supersecret99" in (await host.hear("result"))["stdout"]
    (path,) = host.journal._folder.glob("*.json")
    assert "supersecret99" not in path.read_text()
    (again,) = host.journal.undelivered()
    assert "supersecret99" in again.stdout and not again.data
    restarted = Journal(host.journal._folder.parent)
    restarted.recover()
    (later,) = restarted.undelivered()
    assert later.stdout == "break {'TOKEN': '***'}\n" and later.stderr == "trouble\n" and later.data == {"masked": True}


async def restart(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield f"{args.get('app') or args['project']}\n"


class Kept(Backend):
    name = "kept"

    def restart(self, spec: Spec) -> list[Step]:
        return [Step("kept.restart", {"app": spec.name})]


@pytest.mark.parametrize(("backend", "said"), [("kept", "Shop\n"), ("compose", "shop\n"), ("of elsewhere", "shop\n")])
async def test_an_application_is_restarted_as_its_backend_has_it(tmp_path: Path, backend: str, said: str) -> None:
    host = Host(tmp_path)
    commands = {"restart": restart, "kept.restart": restart}
    backends = {"compose": Backend(), "kept": Kept()}
    host.worker = Worker(host.settings, host.journal, host.engine, backends, commands)
    await host.connect()
    await host.say("restart", command_id="c1", project="shop", app_id="Shop", backend=backend)
    assert (await host.hear("result"))["stdout"] == said
    await host.end()


async def test_a_result_is_journalled_until_it_is_acknowledged_but_not_that_of_a_read(host: Host) -> None:
    await host.connect()
    await host.say("logs", command_id="r1", container="web")
    assert (await host.hear("output"))["data"] == "line\n"
    assert (await host.hear("result"))["success"] is True
    assert kept(host) == []
    await host.say("exec", command_id="c1", command="x")
    await host.hear("result")
    assert kept(host) == ["c1"]
    await host.say("ack", command_id="c1")
    await until(lambda: not kept(host))


async def test_a_read_ends_with_its_connection_and_is_not_told_over_the_next(host: Host) -> None:
    await host.connect()
    await host.say("logs", command_id="r1", container="web", follow=True)
    await host.say("exec", command_id="c1", command="wait")
    await host.hear("output", lambda frame: frame["command_id"] == "r1")
    await host.hear("output", lambda frame: frame["command_id"] == "c1")
    await host.disconnect()
    await until(lambda: ENDED == ["r1"])
    await host.connect()
    assert (await host.hear("heartbeat"))["running_commands"] == ["c1"]
    GATE["open"].set()
    assert (await host.hear("result"))["command_id"] == "c1"


async def test_a_read_that_is_cancelled_says_so(host: Host) -> None:
    await host.connect()
    await host.say("logs", command_id="r1", container="web", follow=True)
    await host.hear("output")
    await host.say("cancel", command_id="r1")
    assert (await host.hear("result"))["data"]["cancelled"] is True
    assert ENDED == ["r1"]


async def test_so_many_run_at_a_time_and_reads_beside_them(host: Host) -> None:
    await host.connect()
    for number in range(3):
        await host.say("exec", command_id=f"c{number}", command="wait")
    heard = {(await host.hear("output"))["command_id"] for _ in range(2)}
    assert heard == {"c0", "c1"}
    await host.say("logs", command_id="r1", container="web")
    assert (await host.hear("result"))["command_id"] == "r1"
    GATE["open"].set()
    assert {(await host.hear("result"))["command_id"] for _ in range(3)} == {"c0", "c1", "c2"}


async def test_one_that_waits_its_turn_can_be_cancelled(host: Host) -> None:
    await host.connect()
    for number in range(3):
        await host.say("exec", command_id=f"c{number}", command="wait")
    await until(lambda: len(kept(host)) == 3)
    await host.say("cancel", command_id="c2")
    result = await host.hear("result")
    assert (result["command_id"], result["data"]["cancelled"]) == ("c2", True)


async def test_one_that_never_had_its_turn_is_told_as_not_run(host: Host) -> None:
    await host.connect()
    for number in range(2):
        await host.say("exec", command_id=f"c{number}", command="wait")
        await host.hear("output")
    await host.say("exec", command_id="late", command="x", timeout_seconds=0)
    result = await host.hear("result")
    assert (result["command_id"], result["exit_code"], "timed_out" in result["data"]) == ("late", 126, False)
    assert result["data"]["reason"].startswith("never begun: 2 other commands were running here (agent.hands: 2")


async def test_a_host_tells_which_boot_it_is_of(host: Host) -> None:
    assert (await host.connect())["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def test_a_reboot_is_acknowledged_at_once_and_leaves_nothing_behind(host: Host) -> None:
    await host.connect()
    await host.say("reboot", command_id="c1")
    assert (await host.hear("ack"))["command_id"] == "c1"
    assert kept(host) == []
    await host.worker.stop()  # as when the machine goes down
    assert kept(host) == [] and host.journal.undelivered() == []


async def test_a_reboot_that_fails_is_told(host: Host) -> None:
    await host.connect()
    GATE["refused"] = GATE["open"]
    await host.say("reboot", command_id="c1")
    await host.hear("ack")
    GATE["open"].set()
    result = await host.hear("result")
    assert (result["command_id"], result["success"], result["exit_code"]) == ("c1", False, 126)


async def test_what_the_host_does_not_allow_is_not_begun(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.worker = Worker(host.settings, host.journal, host.engine, {"compose": Backend()}, HANDS)
    frame = await host.connect()
    assert not {"exec", "reboot"} & set(frame["capabilities"])
    for type in ("exec", "reboot"):
        await host.say(type, command_id=type, command="x")
        heard = json.loads(await host.server.receive())
        while heard["type"] == "heartbeat":
            heard = json.loads(await host.server.receive())
        assert (heard["type"], heard["exit_code"]) == ("result", 126), "no ack of a reboot either"
        assert f"does not allow {type}" in heard["output"]
    await host.end()
