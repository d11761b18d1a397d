"""The host's end: what it says, does, refuses and remembers. Over a pipe, with commands of the test's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from roci import Invalid, Site, Spec, Step, StepFailed, Unavailable
from roci_plugins.agent import wire
from roci_plugins.agent.engine import Refused
from roci_plugins.agent.journal import RESTARTED, Identity, Journal
from roci_plugins.agent.local import Pipe, pipe
from roci_plugins.agent.scripted import until
from roci_plugins.agent.worker import AgentSettings, Worker


class Engine:
    def __init__(self) -> None:
        self.error: Exception | None = None

    async def containers(self) -> list[dict[str, Any]]:
        if self.error:
            raise self.error
        return [{"id": "abc", "name": "a1-w-1", "image": "nginx", "status": "running", "app": "a1"}]


class Backend:
    """Plans one step, named after what the application's file says."""

    name = "compose"

    def validate(self, spec: Spec) -> None:
        if "bad" in spec.text:
            raise Invalid("compose_yaml line 1: bad")

    def plan(self, action: Literal["deploy", "stop", "start", "delete"], spec: Spec) -> list[Step]:
        return [Step(spec.text or action, {"app": spec.name})]


async def talk(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield "hello\n"
    yield f"password {site.variables.get('DB_PASSWORD', 'none')}\n"


async def fail(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield "trying\n"
    raise StepFailed("no such image", exit_code=18)


async def hang(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    code = "import time; print('started', flush=True); time.sleep(60)"
    async for text in site.spawn([sys.executable, "-c", code], cwd="/", env={}):
        yield text


async def flood(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    for _ in range(200):
        yield "x" * 1024
    yield "the end"


async def tell(site: Site, args: Mapping[str, Any]) -> AsyncIterator[str]:
    yield json.dumps(args) + "\n"


COMMANDS = {"talk": talk, "fail": fail, "hang": hang, "flood": flood, "stop": talk, "delete": tell, "tell": tell}
COMMANDS["project.volumes"] = tell


class Host:
    """A worker, and the server's end of its link as plain JSON."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.engine = Engine()
        self.settings = AgentSettings(name="h1", volume_base="/data", **settings)
        self.journal = Journal(folder)
        self.worker = Worker(self.settings, self.journal, self.engine, {"compose": Backend()}, COMMANDS)
        self.server: Pipe
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, **response: Any) -> dict[str, Any]:
        self.server, end = pipe()
        self._tasks.append(asyncio.create_task(self._converse(end)))
        register = await self.hear("register")
        await self.admit(**response)
        return register

    async def _converse(self, end: Pipe) -> None:
        with contextlib.suppress(wire.Closed):
            await self.worker.converse(end)

    async def admit(self, **fields: Any) -> None:
        answer = {"status": "approved", "agent_id": "id-1", "protocol": 2, "heartbeat_interval": 60, **fields}
        await self.say("registration_response", **answer)

    async def say(self, type: str, **fields: Any) -> None:
        await self.server.send(json.dumps({"type": type, **fields}))

    async def hear(self, type: str, where: Callable[[dict[str, Any]], bool] = lambda frame: True) -> dict[str, Any]:
        """The next frame of this type; others are skipped."""
        async with asyncio.timeout(30):
            while True:
                frame: dict[str, Any] = json.loads(await self.server.receive())
                if frame["type"] == type and where(frame):
                    return frame

    async def deploy(self, text: str, command_id: str = "c1", **fields: Any) -> None:
        await self.say("deploy", app_id="a1", compose_yml=text, command_id=command_id, **{"secrets": [], **fields})

    async def disconnect(self) -> None:
        await self.server.close(1006, "")
        await asyncio.gather(*self._tasks)
        self._tasks.clear()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.worker.stop()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(tmp_path)
    yield host
    await host.end()


async def test_it_registers_with_what_it_is_and_may(host: Host) -> None:
    frame = await host.connect()
    assert (frame["hostname"], frame["volume_base"], frame["protocol"]) == ("h1", "/data", 2)
    assert frame["capabilities"] == ["ack", "cancel", "backend:compose"]
    assert "agent_token" not in frame


async def test_it_keeps_its_token_and_shows_it_next_time(host: Host, tmp_path: Path) -> None:
    await host.connect(agent_token="t" * 64)
    await until(lambda: host.journal.identity().agent_token)
    await host.disconnect()
    frame = await host.connect()
    assert (frame["agent_id"], frame["agent_token"]) == ("id-1", "t" * 64)
    assert (tmp_path / "identity.json").stat().st_mode & 0o777 == 0o600


async def test_a_visit_to_a_wrong_server_does_not_cost_the_token(host: Host) -> None:
    host.journal.remember(Identity("id-right", "t" * 64))
    await host.connect(status="pending", agent_id="id-wrong")
    await host.hear("heartbeat")
    await host.disconnect()
    frame = await host.connect(agent_id="id-right")
    assert (frame["agent_id"], frame["agent_token"]) == ("id-right", "t" * 64)


async def test_approval_under_another_id_replaces_the_token(host: Host) -> None:
    host.journal.remember(Identity("id-old", "t" * 64))
    await host.connect(status="approved", agent_id="id-new", agent_token="n" * 64)
    await until(lambda: host.journal.identity() == Identity("id-new", "n" * 64))


async def test_heartbeats_tell_containers_or_that_the_engine_is_silent(host: Host) -> None:
    await host.connect(heartbeat_interval=0.05)
    beat = await host.hear("heartbeat", lambda frame: "containers" in frame)
    assert beat["containers"][0]["name"] == "a1-w-1"
    host.engine.error = Unavailable("the engine does not answer")
    beat = await host.hear("heartbeat", lambda frame: "engine_error" in frame)
    assert "containers" not in beat and beat["engine_error"] == "the engine does not answer"


@pytest.mark.parametrize("error", [Refused("layer does not exist", status=500), StepFailed("no")])
async def test_an_engine_that_answers_with_an_error_does_not_end_the_heartbeats(host: Host, error: Exception) -> None:
    host.engine.error = error
    await host.connect(heartbeat_interval=0.05)
    for _ in range(2):
        beat = await host.hear("heartbeat", lambda frame: "engine_error" in frame)
        assert beat["engine_error"] == str(error)


async def test_what_runs_is_told_before_the_engine_has_answered(host: Host) -> None:
    host.engine.error = Unavailable("the engine does not answer")
    await host.connect()
    assert await host.hear("heartbeat") == {"type": "heartbeat", "running_commands": []}


async def test_heartbeats_that_fail_end_the_connection_and_say_why(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.engine.error = RuntimeError("a defect")
    await host.connect()
    async with asyncio.timeout(30):
        await asyncio.gather(*host._tasks)
    assert "a defect" in caplog.text
    host.engine.error = None
    await host.connect()
    assert await host.hear("heartbeat")


async def test_a_command_is_done_streamed_and_told(host: Host) -> None:
    await host.connect()
    await host.deploy("talk", secrets=[{"name": "DB_PASSWORD", "value": "supersecret99"}])
    first = await host.hear("output")
    assert first["command_id"] == "c1" and "hello" in first["data"]
    result = await host.hear("result")
    assert (result["success"], result["output"]) == (True, "hello\npassword ***\n")


async def test_newer_images_and_volumes_are_told_to_the_steps_that_see_to_them(host: Host) -> None:
    await host.connect()
    await host.deploy("tell", pull=True)
    assert (await host.hear("result"))["output"] == '{"app": "a1", "pull": true}\n'
    await host.say("delete", app_id="A1", command_id="c2", volumes=["a1_data"])
    told = (await host.hear("result"))["output"].splitlines()
    assert told == ['{"app": "A1"}', '{"project": "a1", "names": ["a1_data"]}']


async def test_no_secret_is_in_the_journal(host: Host, tmp_path: Path) -> None:
    await host.connect()
    await host.deploy("talk", secrets=[{"name": "DB_PASSWORD", "value": "supersecret99"}])
    await host.hear("result")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert b"password" in kept and b"supersecret99" not in kept


async def test_a_failure_tells_the_output_the_reason_and_the_code(host: Host) -> None:
    await host.connect()
    await host.deploy("fail")
    result = await host.hear("result")
    assert (result["success"], result["output"], result["exit_code"]) == (False, "trying\nno such image", 18)


async def test_a_bad_file_an_unknown_step_and_a_missing_backend_are_refused(host: Host) -> None:
    await host.connect()
    await host.deploy("bad", "c1")
    assert "line 1" in (await host.hear("result"))["output"]
    await host.deploy("reformat", "c2")
    assert "no command 'reformat'" in (await host.hear("result"))["output"]
    await host.deploy("talk", "c3", backend="swarm")
    assert "no backend 'swarm'" in (await host.hear("result"))["output"]


async def test_what_runs_out_of_time_is_ended(host: Host) -> None:
    await host.connect()
    await host.deploy("hang", timeout_seconds=1)
    result = await host.hear("result")
    assert (result["exit_code"], result["data"]["timed_out"]) == (124, True)
    assert "started" in result["output"]


async def test_what_runs_out_of_time_while_the_engine_is_silent_says_so(host: Host) -> None:
    host.engine.error = Unavailable("the engine does not answer")
    await host.connect()
    await host.hear("heartbeat")
    await host.deploy("hang", timeout_seconds=1)
    result = await host.hear("result")
    assert result["output"].endswith("not done after 1 s: ended. The engine does not answer")
    assert result["data"]["reason"] == "not done after 1 s: ended. The engine does not answer"


async def test_what_is_cancelled_is_ended_and_says_so(host: Host) -> None:
    await host.connect()
    await host.deploy("hang")
    await host.hear("output")
    groups = json.loads((await until_file(host)).read_text())["groups"]
    await host.say("cancel", command_id="c1")
    result = await host.hear("result")
    assert result["data"]["cancelled"] is True and result["success"] is False
    assert groups and not any(Path(f"/proc/{group}").exists() for group in groups)


async def test_what_is_cancelled_in_the_same_breath_is_told_and_never_begun(host: Host) -> None:
    await host.connect()
    await host.hear("heartbeat")
    frame = {"type": "deploy", "app_id": "a1", "compose_yml": "hang", "secrets": [], "command_id": "c1"}
    for message in (frame, {"type": "cancel", "command_id": "c1"}):  # both before the worker wakes up
        host.server.other._inbox.put_nowait(json.dumps(message))
    result = await host.hear("result")
    assert (result["success"], result["output"], result["data"]["cancelled"]) == (False, "cancelled", True)
    assert host.journal.running() == []


async def until_file(host: Host) -> Path:
    found: list[Path] = []
    await until(lambda: found.extend(host.journal._folder.glob("*.json")) or found)
    return found[0]


async def test_long_output_keeps_its_end(host: Host) -> None:
    await host.connect()
    await host.deploy("flood")
    result = await host.hear("result")
    assert result["truncated"] is True and len(result["output"]) == 64 * 1024 and result["output"].endswith("the end")


async def test_a_result_is_delivered_until_it_is_acknowledged(host: Host) -> None:
    await host.connect()
    await host.deploy("talk")
    await host.hear("result")
    await host.disconnect()
    await host.connect()
    assert (await host.hear("result"))["command_id"] == "c1"
    await host.say("ack", command_id="c1")
    await until(lambda: not host.journal.undelivered())
    await host.disconnect()
    await host.connect()
    assert (await host.hear("heartbeat"))["running_commands"] == []


async def test_a_command_goes_on_while_the_link_is_down(host: Host) -> None:
    await host.connect()
    await host.deploy("hang")
    await host.hear("output")
    await host.disconnect()
    await host.connect()
    assert (await host.hear("heartbeat"))["running_commands"] == ["c1"]
    await host.say("cancel", command_id="c1")
    assert (await host.hear("result"))["command_id"] == "c1"


async def test_a_repeated_command_is_not_done_twice(host: Host) -> None:
    await host.connect()
    await host.deploy("talk")
    await host.hear("result")
    await host.deploy("talk")
    await host.say("ping")
    await host.hear("pong")
    assert host.journal.running() == []


async def test_a_command_that_cannot_be_noted_down_is_refused(host: Host, tmp_path: Path) -> None:
    await host.connect()
    notes = tmp_path / "commands"
    notes.rename(tmp_path / "elsewhere")
    await host.deploy("talk", "c1")
    result = await host.hear("result")
    assert (result["command_id"], result["success"]) == ("c1", False)
    assert result["output"] == "this host cannot note the command down: No such file or directory"
    assert host.journal.running() == []
    (tmp_path / "elsewhere").rename(notes)
    await host.deploy("talk", "c2")
    assert (await host.hear("result"))["success"]


async def test_commands_of_one_application_are_done_in_order(host: Host) -> None:
    await host.connect()
    await host.deploy("hang", "c1")
    await host.hear("output")
    await host.say("stop", app_id="a1", command_id="c2")
    await host.say("deploy", app_id="other", compose_yml="talk", secrets=[], command_id="c3")
    assert (await host.hear("result"))["command_id"] == "c3"
    await host.say("cancel", command_id="c1")
    assert [(await host.hear("result"))["command_id"] for _ in range(2)] == ["c1", "c2"]


async def test_the_host_has_the_last_word(tmp_path: Path) -> None:
    host = Host(tmp_path, allow=["-deploy", "-cancel"])
    frame = await host.connect()
    assert "cancel" not in frame["capabilities"]
    await host.deploy("talk")
    result = await host.hear("result")
    assert result["exit_code"] == 126 and "does not allow deploy" in result["output"]
    await host.end()


async def test_a_killed_agent_tells_of_it_and_ends_what_it_left(tmp_path: Path) -> None:
    host = Host(tmp_path)
    await host.connect()
    await host.deploy("hang")
    await host.hear("output")
    (group,) = json.loads((await until_file(host)).read_text())["groups"]
    after = Host(tmp_path)  # as after kill -9: the same folder, nothing else
    after.journal.recover()
    await until(lambda: has_ended(group))
    await after.connect()
    result = await after.hear("result")
    assert (result["command_id"], result["output"], result["data"]["interrupted"]) == ("c1", RESTARTED, True)
    await after.end()
    await host.end()


def has_ended(pid: str) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


async def test_what_the_server_says_wrongly_is_no_end(host: Host) -> None:
    await host.connect()
    await host.server.send("nonsense")
    await host.say("of the future")
    await host.say("deploy", app_id="a1")
    await host.say("ping")
    assert await host.hear("pong")
