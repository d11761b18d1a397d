"""Newer images: which are asked about, how many at a time, and what becomes of the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.agent.wire import Container
from roci_plugins.domain import alerts, hosts, policies
from roci_plugins.work import execute, updates
from roci_plugins.work.alerts.live import Judge
from roci_plugins.work.updates import Updates, images_of

OLD = {"local": ["sha256:aa"], "remote": "sha256:bb"}
SAME = {"local": ["sha256:bb"], "remote": "sha256:bb"}
DOWN = {"error": "the registry does not answer"}


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas", protocol=2, capabilities=["image_check", "image_pull"])
        yield agent


async def runs(roci: Roci, agent: ScriptedAgent, *images: str) -> None:
    """The host tells that containers of these images run on it."""
    live = roci.part(Hub).roster[agent.agent_id]
    version = live.version
    found = [{"id": f"{n:012}", "name": f"c{n}", "image": image, "status": "running"} for n, image in enumerate(images)]
    await agent.say("heartbeat", containers=found, running_commands=[])
    await until(lambda: live.version > version)


async def answer(agent: ScriptedAgent, **said: Any) -> list[str]:
    """Take the next question and answer it; what it was about. `nginx_1` is the image nginx:1."""
    question = await agent.hear()
    assert question["type"] == "image_check"
    told = json.dumps({image.replace("_", ":"): each for image, each in said.items()})
    await agent.say("result", command_id=question["command_id"], success=True, output=told)
    return list(question["images"])


async def check(roci: Roci, agent: ScriptedAgent, **said: Any) -> list[str]:
    checking = asyncio.create_task(roci.part(Updates).check(agent.agent_id))
    asked = await answer(agent, **said)
    await checking
    return asked


async def outdated(roci: Roci) -> list[tuple[str, str, str]]:
    await roci.part(Judge).board.flush()
    rows, _ = await roci.read(alerts.list_, "active")
    return sorted((row.subject, row.severity, row.message) for row in rows if row.type == "image_update")


def one(image: str, status: str = "running", name: str = "web") -> Container:
    return Container(id="a" * 12, name=name, image=image, status=status)


@pytest.mark.parametrize(
    ("container", "asked"),
    [
        (one("nginx"), True),
        (one("ghcr.io/me/app:1.2"), True),
        (one("nginx", "exited"), False),
        (one("nginx@sha256:" + "a" * 64), False),
        (one("sha256:" + "a" * 64), False),
        (one("a1b2c3d4e5f6"), False),
        (one(""), False),
    ],
    ids=["a name", "a registry", "it does not run", "pinned", "an id", "a short id", "nothing"],
)
def test_only_names_that_may_come_to_mean_another_image_are_asked_about(container: Container, asked: bool) -> None:
    assert bool(images_of([container])) == asked


def test_containers_of_one_image_are_one_question() -> None:
    assert images_of([one("nginx", name="web"), one("nginx", name="proxy")]) == {"nginx": ["web", "proxy"]}


async def test_a_newer_image_is_told_of_until_the_host_has_it(roci: Roci, agent: ScriptedAgent) -> None:
    await runs(roci, agent, "nginx:1", "nginx:1", "redis:7")
    assert await check(roci, agent, nginx_1=OLD, redis_7=SAME) == ["nginx:1", "redis:7"]
    assert await outdated(roci) == [("nginx:1", "info", "the registry has a newer nginx:1 (c0, c1) on nas")]
    await check(roci, agent, nginx_1=DOWN, redis_7=DOWN)
    assert len(await outdated(roci)) == 1, "nobody knows, so all stays as it is"
    await check(roci, agent, nginx_1=SAME, redis_7=SAME)
    assert await outdated(roci) == []


async def test_an_image_that_runs_no_longer_is_not_told_of(roci: Roci, agent: ScriptedAgent) -> None:
    await runs(roci, agent, "nginx:1")
    await check(roci, agent, nginx_1=OLD)
    await runs(roci, agent, "redis:7")
    await check(roci, agent, redis_7=SAME)
    assert await outdated(roci) == []


async def test_a_pull_makes_it_look_again_at_once(roci: Roci, agent: ScriptedAgent) -> None:
    await runs(roci, agent, "nginx:1", "redis:7")
    await check(roci, agent, nginx_1=OLD, redis_7=SAME)
    assert len(await outdated(roci)) == 1
    await execute.pull(roci, agent.agent_id, "nginx:1")
    await agent.answer()
    while (question := await agent.hear())["type"] != "image_check":
        assert question["type"] == "ack"
    assert question["images"] == ["nginx:1"]
    said = json.dumps({"nginx:1": SAME})
    await agent.say("result", command_id=question["command_id"], success=True, output=said)
    await until(lambda: not roci.part(Judge).board.keys(agent.agent_id, "image_update"))
    assert await outdated(roci) == []


async def test_each_time_those_have_their_turn_that_waited_longest(roci: Roci, agent: ScriptedAgent) -> None:
    roci.part(Judge).settings.updates = 2
    await runs(roci, agent, "a:1", "b:1", "c:1")
    asked = [await check(roci, agent) for _ in range(3)]
    assert asked == [["a:1", "b:1"], ["c:1", "a:1"], ["b:1", "c:1"]]


async def test_many_images_are_many_questions(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "BATCH", 2)
    await runs(roci, agent, "a:1", "b:1", "c:1")
    checking = asyncio.create_task(roci.part(Updates).check(agent.agent_id))
    assert await answer(agent) == ["a:1", "b:1"]
    assert await answer(agent, c_1=OLD) == ["c:1"]
    await checking
    assert [image for image, *_ in await outdated(roci)] == ["c:1"]


@pytest.mark.parametrize("said", ["no JSON", '{"a:1": 5}', '{"a:1": {"remote": "sha256:bb"}}'])
async def test_a_strange_answer_changes_nothing(roci: Roci, agent: ScriptedAgent, said: str) -> None:
    await runs(roci, agent, "a:1")
    checking = asyncio.create_task(roci.part(Updates).check(agent.agent_id))
    question = await agent.hear()
    await agent.say("result", command_id=question["command_id"], success=True, output=said)
    await checking
    assert await outdated(roci) == []


async def test_a_host_has_its_turn_when_it_is_due_and_may_be_asked(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runs(roci, agent, "a:1")
    mine = Updates(roci)
    await mine.look()  # not at once: all hosts come back together
    monkeypatch.setattr(updates, "FIRST", (0.0, 0.0))
    roci.part(Judge).settings.ignore = ["image_update@nas"]
    mine = Updates(roci)
    await mine.look()
    roci.part(Judge).settings.ignore = []
    looking = asyncio.create_task(mine.look())
    assert await answer(agent, a_1=OLD) == ["a:1"]
    await looking
    await mine.look()  # tomorrow
    assert len(await outdated(roci)) == 1
    await roci.write(hosts.remove, agent.agent_id)
    await mine.look()


async def test_a_host_that_could_not_answer_has_its_turn_again_soon(
    roci: Roci, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runs(roci, agent, "a:1")
    monkeypatch.setattr(updates, "FIRST", (0.0, 0.0))
    monkeypatch.setattr(updates, "AGAIN", 0.0)
    mine = Updates(roci)
    looking = asyncio.create_task(mine.look())
    busy = await agent.hear()
    await agent.say("result", command_id=busy["command_id"], success=False, output="too many questions")
    await looking
    looking = asyncio.create_task(mine.look())
    assert await answer(agent, a_1=OLD) == ["a:1"]
    await looking
    await mine.look()  # tomorrow
    assert len(await outdated(roci)) == 1


async def test_a_host_that_cannot_be_asked_changes_nothing(roci: Roci) -> None:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as old:
        await old.register("old")
        await runs(roci, old, "a:1")
        await roci.part(Updates).check(old.agent_id)
    await roci.part(Updates).check("00000000-0000-4000-8000-000000000000")
    assert await outdated(roci) == []
