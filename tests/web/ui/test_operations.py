"""The pages of operations: the list with its filters, one with its output, and what is under way."""

from __future__ import annotations

import asyncio
import re

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Outcome, Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, applications, credentials, hosts, operations, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui.activity import doings
from roci_plugins.work import deploy, enrol
from roci_plugins.work.operate import Operator
from roci_plugins.work.run import MARK

from .reading import EVIL, send, text

COMPOSE = "services:\n  web:\n    image: nginx\n"


@pytest.fixture
async def wiki(roci: Roci, nas: ScriptedAgent) -> str:
    """The id of an application whose deploy is under way."""
    app = await roci.write(lambda: applications.add("wiki", COMPOSE, host_id=nas.agent_id))
    return str((await deploy.deploy(roci, app.id, None, {})).id)


async def watcher(roci: Roci, anonymous: Client, *actions: str) -> None:
    """Sign somebody in who may do only this."""
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("watcher", [Rule(action) for action in actions]))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))


async def test_an_operation_under_way_can_be_followed_and_not_cancelled_where_that_is_not_known(
    client: Client, wiki: str
) -> None:
    page = await text(client, f"/operations/{wiki}")
    assert f'data-follow="/operations/{wiki}/live"' in page and "data-seconds" in page and "/cancel" not in page


async def test_an_operation_under_way_is_asked_for_anew_without_scripts_and_is_of_activity(
    client: Client, roci: Roci, wiki: str, nas: ScriptedAgent
) -> None:
    page = await text(client, f"/operations/{wiki}")
    assert '<noscript><meta http-equiv="refresh"' in page
    assert 'href="/activity" aria-current="page"' in page
    assert 'http-equiv="refresh"' not in await text(client, "/operations")


async def test_an_operation_under_way_is_cancelled_by_a_form(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as pi:
        await pi.register("pi", protocol=2, capabilities=["cancel"])
        await enrol.approve(roci, pi.agent_id)
        await pi.hear()
        app = await roci.write(lambda: applications.add("blog", COMPOSE, host_id=pi.agent_id))
        path = f"/operations/{(await deploy.deploy(roci, app.id, None, {})).id}"
        await pi.hear()
        answer = await send(client, path, f"{path}/cancel")
        assert answer.headers["Location"] == path
        assert (await pi.hear())["type"] == "cancel"


async def test_a_page_of_an_operation_follows_whether_it_can_be_cancelled(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as pi:
        await pi.register("pi", protocol=2, capabilities=["cancel"])
        await enrol.approve(roci, pi.agent_id)
        app = await roci.write(lambda: applications.add("blog", COMPOSE, host_id=pi.agent_id))
        path = f"/operations/{(await deploy.deploy(roci, app.id, None, {})).id}"
        page = await text(client, path)
        assert re.search(r'part=state" hx-trigger="[^"]*live-hosts from:body', page) and f"{path}/cancel" in page
        assert "live-containers" not in page
        await pi.hang_up()
        await until(lambda: not roci.part(Hub).connected)
        assert f"{path}/cancel" not in await text(client, f"{path}?part=state")


async def test_an_ended_deploy_leads_on_and_can_be_done_again(
    client: Client, roci: Roci, wiki: str, nas: ScriptedAgent
) -> None:
    await nas.answer(output="\x1b[32mall is up\x1b[0m\r\n10 %\r100 %\n" + EVIL)
    while (await roci.read(operations.get, wiki)).status == "running":
        pass
    page = await text(client, f"/operations/{wiki}")
    assert "all is up" in page and "100 %" in page and "10 %\r" not in page and "\x1b" not in page and EVIL not in page
    assert 'part=state" hx-trigger="' in page and "live-containers from:body" in page  # for where it publishes
    assert "Go to wiki" in page and "Deploy again" in page and "data-raw" in page and "data-follow" not in page
    whole = await text(client, f"/operations/{wiki}/output.txt")
    assert whole.startswith("\x1b[32mall is up\x1b[0m\r\n")
    answer = await client.get(f"/operations/{wiki}/output.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_failed_deploy_leads_to_the_file(client: Client, roci: Roci, wiki: str, nas: ScriptedAgent) -> None:
    await nas.answer(success=False, output="no such image", exit_code=1)
    while (await roci.read(operations.get, wiki)).status == "running":
        pass
    page = await text(client, f"/operations/{wiki}")
    assert "no such image" in page and "Edit the file" in page and "exit code 1" in page


async def test_output_comes_by_a_stream_and_who_comes_late_is_told_so(
    client: Client, roci: Roci, wiki: str, nas: ScriptedAgent
) -> None:
    command = await nas.hear()
    await nas.say("output", command_id=command["command_id"], data="one\n", seq=0)
    await until(lambda: roci.part(Operator).run(wiki).so_far)  # type: ignore[union-attr]
    told = b""
    async with client.request(f"/operations/{wiki}/live") as connection:
        while b"one" not in told:
            told += await asyncio.wait_for(connection.receive(), 30)
        await nas.say("result", command_id=command["command_id"], success=True, output="one\n")
        while b"event: end" not in told or not told.endswith(b"\n\n"):
            told += await asyncio.wait_for(connection.receive(), 30)
    assert f'"mark":"{MARK}"'.encode() in told and b'"missed":false' in told
    assert '"missed":true' in await text(client, f"/operations/{wiki}/live")


@pytest.fixture
async def many(roci: Roci, nas: ScriptedAgent) -> None:
    """Three operations: two that ended, by other people, and one under way."""

    def write() -> None:
        host = hosts.get(nas.agent_id)
        for name, status in (("wiki", "failed"), ("blog", "succeeded")):
            app = applications.add(name, COMPOSE)
            row = operations.begin("deploy", host, 60, app)
            operations.finish(row.id, Outcome(status, f"{name} {status}", 0))
        operations.begin("exec", host, 60, args={"command": "uptime"})

    await roci.write(write)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("query", "seen", "unseen"),
    [
        pytest.param("status=failed", "Deploy wiki", "Deploy blog", id="by status"),
        pytest.param("kind=exec", "Command", "Deploy wiki", id="by kind"),
        pytest.param("application=blog", "Deploy blog", "Deploy wiki", id="by application"),
        pytest.param("who=nobody", "There is none like this", "Deploy wiki", id="by who"),
        pytest.param("host=elsewhere", "There is none like this", "Deploy wiki", id="by host"),
    ],
)
async def test_the_list_is_filtered_by_its_address(client: Client, query: str, seen: str, unseen: str) -> None:
    part = await text(client, f"/operations?part=list&{query}")
    assert seen in part and unseen not in part and "<html" not in part


@pytest.mark.usefixtures("many")
async def test_what_is_under_way_is_told_in_the_tray(client: Client, roci: Roci, anonymous: Client) -> None:
    tray = await text(client, "/operations/running?part=tray")
    assert "1 operation runs" in tray and "Command" in tray and "Deploy" not in tray
    await watcher(roci, anonymous, "hosts.read")
    tray = await text(anonymous, "/operations/running?part=tray")
    assert " hidden" in tray and "Command" not in tray


async def test_who_may_only_look_cannot_cancel(roci: Roci, anonymous: Client, wiki: str) -> None:
    await watcher(roci, anonymous, "operations.read")
    page = await text(anonymous, f"/operations/{wiki}")
    assert "/cancel" not in page and 'data-follow="' in page
    assert (await anonymous.post(f"/operations/{wiki}/cancel")).status_code == 403


async def test_who_may_not_see_operations_sees_no_output(roci: Roci, anonymous: Client, wiki: str) -> None:
    await watcher(roci, anonymous, "hosts.read")
    for path in (f"/operations/{wiki}", f"/operations/{wiki}/output.txt", f"/operations/{wiki}/live", "/operations"):
        await text(anonymous, path, 403)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colours"),
        pytest.param("1 %\r50 %\r100 %\ndone", "100 %\ndone", id="written over"),
        pytest.param("one\r\ntwo\r\n", "one\ntwo\n", id="ends of lines"),
        pytest.param("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link", id="links"),
    ],
)
def test_without_scripts_output_is_read_as_a_terminal_leaves_it(said: str, left: str) -> None:
    assert doings.plain(said) == left


@pytest.mark.parametrize(
    "piece", ["x", "\x1b", "\x1b[", "\r", "x\r"], ids=["text", "escapes", "codes", "returns", "written over"]
)
def test_one_line_without_end_is_read_once(piece: str) -> None:
    """Were a MiB of it read again from each place, this would take half an hour."""
    assert len(doings.plain(piece * (2**20 // len(piece)))) <= 2**20


async def test_the_part_with_the_state_reads_no_output(
    client: Client, wiki: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(doings, "plain", lambda output: read.append(output) or output)
    assert "<pre" not in await text(client, f"/operations/{wiki}?part=state") and not read
    assert "<pre" in await text(client, f"/operations/{wiki}") and len(read) == 1
