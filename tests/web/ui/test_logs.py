"""The pages of logs: what may be chosen, what is read, in which order and by whom."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, applications, credentials, principals
from roci_plugins.domain.applications import Application
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui.containers import logs
from roci_plugins.work import enrol

from .reading import EVIL, text

WEB = {"id": "abcdef123456", "name": "shop-web-1", "image": "web", "status": "running", "app": "shop"}
DB = {**WEB, "id": "dbdbdbdbdbdb", "name": "shop-db-1"}
ODD = {"id": "0123456789ab", "name": EVIL, "image": "odd", "status": "exited"}


@contextlib.asynccontextmanager
async def host(roci: Roci, name: str, *containers: dict[str, Any]) -> AsyncIterator[ScriptedAgent]:
    async with scripted_agent(roci) as agent:
        await agent.register(name, protocol=2, capabilities=["logs"])
        await enrol.approve(roci, agent.agent_id)
        await agent.hear()
        await agent.say("heartbeat", containers=containers)
        await until(lambda: roci.part(Hub).roster[agent.agent_id].containers)
        yield agent


@pytest.fixture
async def box(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    async with host(roci, "box", WEB, DB, ODD) as agent:
        yield agent


@pytest.fixture
async def shop(roci: Roci, box: ScriptedAgent) -> Application:
    app = await roci.write(lambda: applications.add("shop", "services:\n  web:\n    image: nginx\n"))
    await roci.write(lambda: applications.begin_deploy(applications.get(app.id), box.agent_id))
    return app


async def told(agent: ScriptedAgent, **answers: str) -> list[dict[str, Any]]:
    """Answer the questions for these containers, by the last word of their names; the questions."""
    questions = [await agent.hear() for _ in answers]
    for each in questions:
        output = next(text for name, text in answers.items() if f"-{name}-" in each["container"])
        await agent.say("result", command_id=each["command_id"], success=True, output=output)
    return questions


async def as_reader(roci: Roci, client: Client, *rules: Rule) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("reader", list(rules)))
    await roci.write(access.bind, "bob", "reader")
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))


def at(second: int, words: str) -> str:
    return f"2026-11-22T10:00:{second:02}.000000000Z {words}\n"


async def test_what_may_be_chosen_is_listed_as_text(client: Client, box: ScriptedAgent) -> None:
    for path in ("/logs", f"/hosts/{box.agent_id}/logs"):
        page = await text(client, path)
        assert 'value="shop-web-1"' in page and EVIL not in page and "&lt;script&gt;alert(1)" in page
    chosen = await text(client, f"/hosts/{box.agent_id}/logs?container=shop-db-1")
    assert 'id="logs"' in chosen and 'value="shop-web-1"' not in chosen
    part = await text(client, f"/hosts/{box.agent_id}/logs?container=shop-db-1&part=pick")
    assert 'value="shop-db-1" checked' in part and 'value="shop-web-1">' in part and "<html" not in part


async def test_without_scripts_the_last_lines_are_a_table_in_the_order_of_their_time(
    client: Client, box: ScriptedAgent, shop: Application
) -> None:
    asking = asyncio.create_task(text(client, f"/applications/{shop.id}/logs?plain=1"))
    questions = await told(box, web=at(1, "first <b>") + at(4, "last"), db=at(2, "second") + "\x02" + at(3, "third"))
    assert {each["tail"] for each in questions} == {logs.TAIL} and all(each["marked"] for each in questions)
    page = await asking
    places = [page.index(words) for words in ("first &lt;b&gt;", "second", "third", "last</td>")]
    assert places == sorted(places) and page.count('<tr class="err">') == 1


async def test_what_cannot_be_read_is_said_of_that_container_only(client: Client, box: ScriptedAgent) -> None:
    path = f"/logs?plain=1&host={box.agent_id}&container=shop-web-1&container=shop-db-1"
    asking = asyncio.create_task(text(client, path))
    for _ in range(2):
        question = await box.hear()
        is_web = question["container"] == "shop-web-1"
        said = (
            {"success": True, "output": at(1, "all is well")} if is_web else {"success": False, "stderr": "no driver"}
        )
        await box.say("result", command_id=question["command_id"], **said)
    page = await asking
    assert "all is well" in page and "shop-db-1: no driver" in page


async def test_a_stream_tells_of_each_container_as_it_comes(client: Client, box: ScriptedAgent) -> None:
    query = f"host={box.agent_id}&container=shop-web-1&since=2026-11-22T10:00:00.5Z&container=dbdb&tail=7"
    async with client.request(f"/logs/stream?{query}") as connection:
        await connection.send_complete()
        asked = {each["container"]: each for each in [await box.hear(), await box.hear()]}
        web, db = asked["shop-web-1"], asked["shop-db-1"]
        assert (web["tail"], web["since"], web["follow"]) == (-1, "2026-11-22T10:00:00.500000+00:00", True)
        assert (db["tail"], db["since"]) == (7, None)
        await box.say("output", command_id=db["command_id"], data=at(1, "one") + at(2, "half")[:-1])
        await box.say("output", command_id=db["command_id"], data="\n")
        await box.say("result", command_id=db["command_id"], success=True)
        await box.say("result", command_id=web["command_id"], success=False, stderr="gone")
        received = b""
        while b"event: over" not in received:
            received += await asyncio.wait_for(connection.receive(), 30)
    events = [part.split("\ndata: ") for part in received.decode().replace("event: ", "").strip().split("\n\n")]
    said = [(name, json.loads(data)) for name, data in events]
    assert ("lines", {"c": 1, "lines": [at(1, "one")[:-1]]}) in said
    assert ("lines", {"c": 1, "lines": [at(2, "half")[:-1]]}) in said
    assert ("end", {"c": 1, "reason": ""}) in said and ("end", {"c": 0, "reason": "gone"}) in said


async def test_who_leaves_a_stream_ends_it_on_the_host(client: Client, box: ScriptedAgent) -> None:
    async with client.request(f"/logs/stream?host={box.agent_id}&container=shop-web-1") as connection:
        await connection.send_complete()
        question = await box.hear()
        await connection.disconnect()
    assert (await box.hear()) == {"type": "cancel", "command_id": question["command_id"]}


async def test_older_lines_are_looked_for_further_and_further_back(client: Client, box: ScriptedAgent) -> None:
    query = f"host={box.agent_id}&container=shop-web-1&before=2026-11-22T10:00:00.123456789Z"
    asking = asyncio.create_task(client.get(f"/logs/older?{query}"))
    asked = [(await told(box, web=""))[0] for _ in range(3)]
    asked += await told(box, web=at(1, "old"))
    assert [each["since"] for each in asked] == [
        "2026-11-22T09:50:00.123456+00:00",
        "2026-11-22T04:00:00.123456+00:00",
        "2026-11-15T10:00:00.123456+00:00",
        None,
    ]
    assert {each["until"] for each in asked} == {"2026-11-22T10:00:00.123457+00:00"}
    found = await (await asking).get_json()
    assert found == [{"source": 0, "lines": [at(1, "old")[:-1]], "reason": None}]


async def test_a_download_is_merged_and_names_its_file(client: Client, box: ScriptedAgent) -> None:
    query = f"host={box.agent_id}&container=shop-web-1&container=shop-db-1&from=2026-11-22T10:00:00Z"
    asking = asyncio.create_task(client.get(f"/logs/download?{query}"))
    questions = await told(box, web=at(1, "one") + at(4, "four"), db=at(2, "two") + "  of two\n" + at(3, "three"))
    assert {(each["since"], each["tail"]) for each in questions} == {("2026-11-22T10:00:00+00:00", -1)}
    answer = await asking
    assert await answer.get_data(as_text=True) == (
        f"shop-web-1 {at(1, 'one')}shop-db-1 {at(2, 'two')}shop-db-1   of two\n"
        f"shop-db-1 {at(3, 'three')}shop-web-1 {at(4, 'four')}"
    )
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="logs-')


async def test_a_merged_download_has_no_line_in_the_name_of_another(client: Client, roci: Roci) -> None:
    liar = {**WEB, "name": "x\nshop-db-1 2026-11-22"}
    async with host(roci, "box", liar, DB) as box:
        asking = asyncio.create_task(client.get(f"/logs/download?host={box.agent_id}&container=abcd&container=dbdb"))
        forged = "a\tb\rshop-db-1 2026\x0bshop-db-1 2026\x1b[1A\x85\u2028\x9b"
        for _question in range(2):
            question = await box.hear()
            output = at(2, "true") if question["container"] == "shop-db-1" else at(1, forged)
            await box.say("result", command_id=question["command_id"], success=True, output=output)
        said = await (await asking).get_data(as_text=True)
    assert said.splitlines() == [
        f"x\ufffdshop-db-1 2026-11-22 {at(1, 'a')[:-1]}\tb␍shop-db-1 2026␋shop-db-1 2026␛[1A" + "\ufffd" * 3,
        f"shop-db-1 {at(2, 'true')[:-1]}",
    ]


async def test_a_download_of_one_container_is_as_it_was_printed(client: Client, box: ScriptedAgent) -> None:
    asking = asyncio.create_task(client.get(f"/logs/download?host={box.agent_id}&container=shop-web-1"))
    await told(box, web=at(1, "\x1b[31mred\x1b[0m"))
    assert await (await asking).get_data(as_text=True) == at(1, "\x1b[31mred\x1b[0m")


async def test_a_container_that_has_only_a_name_like_an_applications_is_not_its(client: Client, roci: Roci) -> None:
    private = {**WEB, "id": "feedfeedfeed", "name": "shop-private", "app": None}
    async with host(roci, "box", WEB, private) as box:
        shop = await roci.write(lambda: applications.add("shop", "services:\n  web:\n    image: nginx\n"))
        await roci.write(lambda: applications.begin_deploy(applications.get(shop.id), box.agent_id))
        for door in ("", "/terminal", "/logs", "/manage"):
            assert "shop-private" not in await text(client, f"/applications/{shop.id}{door}"), door
        for name in ("shop-private", "feedfeedfeed"):
            await text(client, f"/logs/download?application={shop.id}&container={name}", 404)
            await text(client, f"/applications/{shop.id}/logs?container={name}", 404)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("container=web", 422),
        ("host=x&container=web", 400),
        ("host={host}&container=web&since=yesterday", 400),
        ("host=00000000-0000-4000-8000-000000000000&container=web", 404),
        ("application=00000000-0000-4000-8000-000000000000&container=web", 404),
        ("host={host}" + "".join(f"&container=c{number}" for number in range(21)), 422),
    ],
    ids=["no host", "no id", "no time", "no such host", "no such application", "too many"],
)
async def test_a_bad_question_is_refused(client: Client, box: ScriptedAgent, query: str, status: int) -> None:
    answer = await client.get(f"/logs?{query.format(host=box.agent_id)}")
    assert answer.status_code == status


async def test_an_application_shows_its_own_containers_only(
    client: Client, box: ScriptedAgent, shop: Application
) -> None:
    page = await text(client, f"/applications/{shop.id}/logs")
    assert "shop-web-1" in page and "shop-db-1" in page and "&lt;script" not in page
    await text(client, f"/applications/{shop.id}/logs?container=0123456789ab", 404)
    await box.hang_up()
    page = await text(client, f"/applications/{shop.id}/logs")
    assert 'id="logs"' not in page and "Unknown: this host cannot be asked now." in page


async def test_who_may_not_read_the_logs_of_a_host_sees_and_gets_none_of_them(
    roci: Roci, anonymous: Client, box: ScriptedAgent
) -> None:
    async with host(roci, "other", {**WEB, "name": "secret-1"}) as other:
        await as_reader(roci, anonymous, Rule("containers.logs", f"host/{box.agent_id}"))
        page = await text(anonymous, "/logs")
        assert "shop-web-1" in page and "secret-1" not in page
        for path in ("/logs", "/logs/stream", "/logs/older", "/logs/download"):
            await text(anonymous, f"{path}?host={box.agent_id}&host={other.agent_id}&container=secret-1", 403)
        await text(anonymous, f"/hosts/{other.agent_id}/logs", 403)


async def test_who_may_read_no_logs_at_all_is_told_so(roci: Roci, anonymous: Client, box: ScriptedAgent) -> None:
    await as_reader(roci, anonymous, Rule("hosts.read"))
    assert "containers.logs" in await text(anonymous, "/logs", 403)


async def test_a_stream_ends_with_the_right_to_it(roci: Roci, anonymous: Client, box: ScriptedAgent) -> None:
    await as_reader(roci, anonymous, Rule("containers.logs", f"host/{box.agent_id}"))
    async with anonymous.request(f"/logs/stream?host={box.agent_id}&container=shop-web-1") as connection:
        await connection.send_complete()
        question = await box.hear()
        await roci.write(access.change_role, "reader", rules=[Rule("hosts.read")])
        assert (await box.hear()) == {"type": "cancel", "command_id": question["command_id"]}
