"""Terminals as a browser has them: who is let in, what passes, and when one ends. The agent is scripted."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from quart import Quart
from quart.testing import connections
from quart.typing import TestClientProtocol as Client
from quart.typing import TestWebsocketConnectionProtocol as Connection

from roci import Actor, Roci
from roci_plugins.agent import terminal_wire as said
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, applications, credentials, events, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.work import enrol
from roci_plugins.work.operate import Operator
from roci_plugins.work.terminal import KEPT, UNSEEN, Terminal
from roci_plugins.work.terminals import OF_ONE, Terminals

from .reading import EVIL, text

if not hasattr(connections, "WebsocketDisconnectError"):
    pytest.skip("the test client of this Quart does not tell how a websocket was closed", allow_module_level=True)
WebsocketDisconnectError: Any = connections.WebsocketDisconnectError
WebsocketResponseError: Any = connections.WebsocketResponseError
ORIGIN = {"Origin": "http://localhost"}


@pytest_asyncio.fixture
async def pi(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    """A host that allows terminals, with one container."""
    async with scripted_agent(roci) as agent:
        await join(roci, agent, ["exec", "terminal"])
        await enrol.approve(roci, agent.agent_id)
        await agent.hear()
        await agent.say("heartbeat", containers=[{"id": "0123456789ab", "name": EVIL, "status": "running"}])
        await until(lambda: roci.part(Hub).roster[agent.agent_id].containers)
        yield agent


async def join(roci: Roci, agent: ScriptedAgent, capabilities: list[str], **fields: Any) -> None:
    await agent.register("pi", protocol=2, capabilities=["ack", "container", *capabilities], **fields)


class Screen:
    """A browser's end."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def say(self, type: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type, **fields}))

    async def hear(self, type: str) -> dict[str, Any]:
        """The next frame of this type; others are dropped."""
        async with asyncio.timeout(10):
            while True:
                frame = dict(json.loads(await self.connection.receive()))
                if frame["type"] == type:
                    return frame

    async def closed(self) -> tuple[int, str]:
        while True:
            try:
                await self.hear("nothing")
            except WebsocketDisconnectError as end:
                return int(end.args[0]), str(end.args[1] if len(end.args) > 1 else "")


@asynccontextmanager
async def screen(client: Client, host_id: str, headers: dict[str, str] = ORIGIN) -> AsyncIterator[Screen]:
    async with client.websocket(f"/ws/terminal/{host_id}", headers=headers) as connection:
        yield Screen(connection)


@asynccontextmanager
async def opened(client: Client, pi: ScriptedAgent, **wish: Any) -> AsyncIterator[tuple[Screen, str]]:
    async with screen(client, pi.agent_id) as browser:
        await browser.say("open", **wish)
        asked = await pi.hear()
        assert asked["type"] == "terminal"
        assert (await browser.hear("attached"))["terminal"] == asked["terminal_id"]
        yield browser, asked["terminal_id"]


async def show(pi: ScriptedAgent, id: str, text: str, at: int, taken: int = 0) -> None:
    await pi.say("terminal_output", terminal_id=id, data=text, at=at, taken=taken)


async def recorded(roci: Roci) -> list[Any]:
    rows = await roci.read(lambda: events.find([events.Where("noun", "terminal")], descending=False))
    return [(row.name, row.actor_name, row.data) for row in rows]


def terminals(roci: Roci) -> Terminals:
    return roci.part(Operator).terminals


def only(roci: Roci) -> Terminal:
    (found,) = terminals(roci)._terminals.values()
    return found


async def test_what_is_typed_goes_to_the_host_and_what_is_shown_comes_back(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    async with screen(client, pi.agent_id) as browser:
        await browser.say("open", container="web", shell="bash", name="two", rows=30, cols=100)
        asked = await pi.hear()
        id = asked.pop("terminal_id")
        assert asked == {"type": "terminal", "container": "web", "shell": "bash", "rows": 30, "cols": 100}
        assert await browser.hear("attached") == {"type": "attached", "terminal": id, "name": "two", "received": 0}
        await browser.say("input", seq=1, data="ls\n")
        assert await pi.hear() == {"type": "terminal_input", "terminal_id": id, "seq": 1, "data": "ls\n"}
        await show(pi, id, "ls\r\n\x1b[1mwiki\x1b[0m", 17, taken=1)
        while (await browser.hear("taken"))["taken"] != 1:
            pass
        assert (await browser.hear("output"))["data"] == "ls\r\n\x1b[1mwiki\x1b[0m"
        await browser.say("resize", rows=40, cols=120)
        assert await pi.hear() == {"type": "terminal_resize", "terminal_id": id, "rows": 40, "cols": 120}
        await pi.say("terminal_ended", terminal_id=id, exit_code=3)
        assert await browser.hear("ended") == {"type": "ended", "exit_code": 3, "reason": ""}
    await until(lambda: not terminals(roci)._terminals)  # nobody needs it any more
    while len(await recorded(roci)) < 2:
        pass
    (opened_, who, told), (ended, _, how) = await recorded(roci)
    assert (opened_, ended, who) == ("TerminalOpened", "TerminalEnded", "admin")
    assert (told["host_id"], told["container"], how["exit_code"]) == (pi.agent_id, "web", 3)
    assert "ls" not in json.dumps([told, how]).replace("false", "")


FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "file://localhost"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"},
]


async def test_a_page_of_another_site_opens_nothing(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    for headers in FOREIGN:
        with pytest.raises(WebsocketResponseError) as refused:
            async with screen(client, pi.agent_id, headers) as browser:
                await browser.say("open")
                await browser.hear("attached")
        assert refused.value.response.status_code == 403 and not terminals(roci)._terminals, headers


async def test_nobody_is_not_let_in(anonymous: Client, pi: ScriptedAgent) -> None:
    with pytest.raises(WebsocketResponseError) as refused:
        async with screen(anonymous, pi.agent_id) as browser:
            await browser.hear("attached")
    assert refused.value.response.status_code == 401


bound: dict[str, str] = {}


async def person(roci: Roci, app: Quart, name: str, *rules: Rule) -> Client:
    """Somebody signed in who may do what these rules say."""

    def write() -> Any:
        access.add_role(NewRole(name, list(rules)))
        found = principals.add(NewPrincipal(name))
        bound[name] = access.bind(name, name).id
        return credentials.log_in(found)

    client = app.test_client()
    client.set_cookie("localhost", "roci_session", await roci.write(write))
    return client


async def test_it_takes_the_permission_on_that_host(roci: Roci, app: Quart, pi: ScriptedAgent) -> None:
    client = await person(roci, app, "eve", Rule("hosts.terminal", "host/another"), Rule("hosts.read", "*"))
    with pytest.raises(WebsocketResponseError) as refused:
        async with screen(client, pi.agent_id) as browser:
            await browser.hear("attached")
    assert refused.value.response.status_code == 403
    await text(client, f"/hosts/{pi.agent_id}/terminal", 403)


async def test_another_persons_terminal_is_not_there(client: Client, roci: Roci, app: Quart, pi: ScriptedAgent) -> None:
    other = await person(roci, app, "bob", Rule("hosts.*", "*"))
    async with opened(client, pi) as (_, id), screen(other, pi.agent_id) as browser:
        await browser.say("open", terminal=id)
        assert "over" in (await browser.hear("refused"))["reason"]
        assert (await browser.closed())[0] == 1008
        assert id not in await text(other, f"/hosts/{pi.agent_id}/terminal")
        assert only(roci).viewer is not None


async def test_a_lost_right_ends_it_at_once(roci: Roci, app: Quart, pi: ScriptedAgent) -> None:
    client = await person(roci, app, "bob", Rule("hosts.terminal", "*"))
    async with opened(client, pi) as (browser, id):
        await roci.write(access.unbind, bound["bob"])
        assert (await browser.closed())[0] == 1008
    assert await pi.hear() == {"type": "terminal_close", "terminal_id": id}
    assert not terminals(roci)._terminals


async def test_it_outlives_its_browser_and_shows_again_what_it_had_shown(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    async with opened(client, pi) as (browser, id):
        await browser.say("input", seq=1, data="x")
        await pi.hear()
        await show(pi, id, "before ", 7, taken=1)
        await browser.hear("output")
    await until(lambda: only(roci).viewer is None)
    await show(pi, id, "meanwhile", 16)
    await until(lambda: only(roci)._at == 16)
    assert id in await text(client, f"/hosts/{pi.agent_id}/terminal")
    async with screen(client, pi.agent_id) as browser:
        await browser.say("open", terminal=id, rows=10, cols=20)
        assert (await pi.hear())["type"] == "terminal_resize"
        assert (await browser.hear("attached"))["received"] == 1
        output = await browser.hear("output")
        assert (output["data"], output["again"]) == ("before meanwhile", True)
        async with screen(client, pi.agent_id) as newer:
            await newer.say("open", terminal=id)
            await newer.hear("attached")
            await browser.hear("replaced")


async def test_one_that_nobody_comes_back_to_is_ended(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    terminals(roci)._keep = 0.05
    async with opened(client, pi):
        pass
    assert (await pi.hear())["type"] == "terminal_close"
    await until(lambda: not terminals(roci)._terminals)


async def test_a_flood_waits_for_who_looks_and_nothing_grows(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    async with opened(client, pi) as (browser, id):
        terminal = only(roci)
        for number in range(1, 9):
            await show(pi, id, "y" * said.LONGEST_OUTPUT, number * said.LONGEST_OUTPUT)
        at = 0
        while at < said.WINDOW:
            at = (await browser.hear("output"))["at"]
        while (await pi.hear())["at"] <= said.WINDOW - said.WINDOW // 4:  # what was sent to who looks
            pass
        for number in range(9, 41):  # an agent that does not keep to the window
            await show(pi, id, "y" * said.LONGEST_OUTPUT, number * said.LONGEST_OUTPUT)
        await until(lambda: terminal._at == 40 * said.LONGEST_OUTPUT)
        assert len(terminal._text) <= KEPT
        assert terminal.viewer and terminal.viewer.told <= UNSEEN + 32 * 1024
        await browser.say("shown", at=at)
        await browser.hear("output")


async def test_a_browser_that_sends_more_than_is_agreed_is_let_go(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    async with opened(client, pi) as (browser, _):
        for seq in range(1, said.PIECES + 2):
            await browser.say("input", seq=seq, data="x")
        assert (await browser.closed())[0] == 1008
        assert len(only(roci)._typed) == said.PIECES


BAD: list[Any] = [
    {"type": "input", "seq": 1, "data": "x" * (said.LONGEST_PIECE + 1)},
    {"type": "input", "seq": 2, "data": "x"},
    {"type": "resize", "rows": 0, "cols": 80},
    {"type": "resize", "rows": 10**9, "cols": 80},
    {"type": "open"},
    {"type": "what"},
    ["x"],
    {"type": "shown", "at": "x" * 40_000},
]


async def test_what_is_no_frame_ends_the_socket(client: Client, pi: ScriptedAgent) -> None:
    for frame in BAD:
        async with opened(client, pi) as (browser, _):
            await browser.connection.send(json.dumps(frame))
            assert (await browser.closed())[0] == 1008, frame


WISHES: list[tuple[dict[str, Any], str]] = [
    ({"shell": "/bin/sh -c x"}, "shell"),
    ({"container": " "}, "container"),
    ({"name": "x" * 100}, "name"),
    ({"terminal": "no-such"}, "over"),
]


async def test_a_wish_that_cannot_be_is_refused_with_the_reason(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    for wish, words in WISHES:
        async with screen(client, pi.agent_id) as browser:
            await browser.say("open", **wish)
            assert words in (await browser.hear("refused"))["reason"]
    assert not terminals(roci)._terminals


async def test_a_person_has_so_many_on_a_host_and_no_more(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    who = Actor("someone", "someone")
    for _ in range(OF_ONE):
        async with opened(client, pi):
            pass
    async with screen(client, pi.agent_id) as browser:
        await browser.say("open")
        assert str(OF_ONE) in (await browser.hear("refused"))["reason"]
    assert not terminals(roci).of(who, pi.agent_id)


async def test_of_those_that_ended_no_more_are_kept_than_may_be_open(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    for _ in range(OF_ONE + 3):
        async with opened(client, pi) as (_, id):
            pass
        await pi.say("terminal_ended", terminal_id=id, exit_code=126)
        await until(lambda: terminals(roci)._terminals[id].end)
    assert len(terminals(roci)._terminals) == OF_ONE
    assert list(terminals(roci)._terminals)[-1] == id


async def test_it_goes_on_when_its_host_comes_back(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    async with opened(client, pi) as (browser, id):
        await show(pi, id, "one", 3)
        await browser.hear("output")
        token = {"agent_id": pi.agent_id, "agent_token": pi.agent_token}
        await pi.hang_up()
        while (await browser.hear("here"))["here"]:
            pass
        await browser.say("input", seq=1, data="x")
        async with scripted_agent(roci) as back:
            await join(roci, back, ["exec", "terminal"], **token)
            assert (await browser.hear("here"))["here"]
            assert await back.hear() == {"type": "terminal_resume", "terminal_id": id, "at": 3}
            assert (await back.hear())["seq"] == 1
            await show(back, id, "one two", 7)
            assert (await browser.hear("output"))["data"] == " two"


async def test_what_another_host_says_of_it_is_nothing(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    async with scripted_agent(roci, peer="127.0.0.9") as liar:
        await liar.register("liar", protocol=2, capabilities=["terminal"])
        await enrol.approve(roci, liar.agent_id)
        async with opened(client, pi) as (browser, id):
            await show(liar, id, "lies", 4)
            await liar.say("terminal_ended", terminal_id=id, exit_code=0)
            await show(pi, id, "truth", 5)
            assert (await browser.hear("output"))["data"] == "truth" and only(roci).end is None


async def test_a_host_that_does_not_allow_it_says_what_to_set(client: Client, nas: ScriptedAgent) -> None:
    page = await text(client, f"/hosts/{nas.agent_id}/terminal")
    assert "ROCI_AGENT__ALLOW=terminal<" in page and 'id="terminals"' not in page
    async with screen(client, nas.agent_id) as browser:
        await browser.say("open")
        assert "agent.allow" in (await browser.hear("refused"))["reason"]


async def test_an_applications_tab_has_its_own_containers_only(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    compose = "services:\n  web:\n    image: nginx\n"
    app = await roci.write(lambda: applications.add("wiki", compose, host_id=pi.agent_id))
    told = [
        {"id": "a" * 12, "name": "wiki-web-1", "status": "running", "app": "wiki"},
        {"id": "b" * 12, "name": "wiki-old-1", "status": "exited", "app": "wiki"},
        {"id": "c" * 12, "name": "other-1", "status": "running", "app": "other"},
    ]
    await pi.say("heartbeat", containers=told)
    await until(lambda: len(roci.part(Hub).roster[pi.agent_id].containers or ()) == 3)
    page = await text(client, f"/applications/{app.id}/terminal?container=other-1")
    assert 'value="wiki-web-1"' in page and f'data-socket="/ws/terminal/{pi.agent_id}"' in page
    assert (
        "wiki-old-1" not in page and 'value="other-1"' not in page and '<option value=""' in page.partition("Shell")[2]
    )
    assert 'data-wanted=""' in page


async def test_an_application_that_went_to_another_host_has_its_terminals_opened_there(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    app = await roci.write(lambda: applications.add("wiki", "services: {}\n", host_id=pi.agent_id))
    path = f"/applications/{app.id}/terminal"
    page = await text(client, path)
    assert f'id="opener" data-host="pi" data-socket="/ws/terminal/{pi.agent_id}"' in page and "data-moved=" in page
    async with scripted_agent(roci, peer="127.0.0.9") as attic:
        await attic.register("attic", protocol=2, capabilities=["terminal"])
        await enrol.approve(roci, attic.agent_id)
        await roci.write(lambda: applications.change(app.id, host_id=attic.agent_id))
        part = await text(client, f"{path}?part=start")
        assert f'id="opener" data-host="attic" data-socket="/ws/terminal/{attic.agent_id}"' in part
    await roci.write(lambda: applications.change(app.id, host_id=None))
    assert "data-socket" not in await text(client, f"{path}?part=start")


async def test_where_one_may_be_opened_is_renewed_alone(client: Client, pi: ScriptedAgent) -> None:
    path = f"/hosts/{pi.agent_id}/terminal"
    page = await text(client, path)
    for topics in ("hosts", "containers", "applications"):
        assert re.search(rf'hx-get="{path}[?]part=start" hx-trigger="[^"]*live-{topics} from:body', page)
    part = await text(client, f"{path}?part=start")
    assert '<form class="opener" id="opener" ' in part and "<nav" not in part and 'id="terminals"' not in part


async def test_each_container_has_its_own_place_in_the_list_however_many_come_before_it(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    told = [{"id": name * 12, "name": f"{name}-1", "status": "running"} for name in "bc"]
    await pi.say("heartbeat", containers=told)
    live = roci.part(Hub).roster[pi.agent_id]
    await until(lambda: len(live.containers or ()) == 2)
    page = await text(client, f"/hosts/{pi.agent_id}/terminal?container=c-1")
    assert '<option id="itself" value="">' in page and '<option id="in-b-1" value="b-1">' in page
    assert '<option id="in-c-1" value="c-1" selected>' in page


async def test_a_host_that_leaves_an_open_page_is_told_there(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    app = await roci.write(lambda: applications.add("wiki", "services: {}\n", host_id=pi.agent_id))
    paths = [f"/hosts/{pi.agent_id}/terminal", f"/applications/{app.id}/terminal"]
    live = roci.part(Hub).roster[pi.agent_id]
    await pi.say("heartbeat", engine_error="it does not answer")
    await until(lambda: not live.is_current)
    for path in paths:
        part = await text(client, f"{path}?part=start&container=web")
        assert "Which containers run is unknown now" in part and "not running now" not in part
    await pi.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    for path in paths:
        part = await text(client, f"{path}?part=start")
        assert "is not connected" in part and "<button disabled>" in part and "No container" not in part


async def test_an_application_that_is_deployed_offers_terminals_by_itself(
    client: Client, roci: Roci, pi: ScriptedAgent
) -> None:
    app = await roci.write(lambda: applications.add("wiki", "services: {}\n"))
    page = await text(client, f"/applications/{app.id}/terminal")
    assert re.search(r'part=notice" hx-trigger="[^"]*live-applications from:body', page)
    assert re.search(r'data-live="[^"]*topics=[^"]*applications', page)
    await roci.write(lambda: applications.change(app.id, host_id=pi.agent_id))
    assert "Terminals can be opened now" in await text(client, f"/applications/{app.id}/terminal?part=notice")


async def test_an_application_that_lies_nowhere_has_no_terminal(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", "services:\n  web:\n    image: nginx\n"))
    page = await text(client, f"/applications/{app.id}/terminal")
    assert "lies on no host" in page and 'id="terminals"' not in page


async def test_what_the_host_allows_already_stays_in_what_it_is_told_to_set(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await join(roci, agent, ["exec", "reboot"])
        await enrol.approve(roci, agent.agent_id)
        assert "ROCI_AGENT__ALLOW=exec,terminal,reboot<" in await text(client, f"/hosts/{agent.agent_id}/terminal")


async def test_two_of_one_name_are_told_apart(client: Client, roci: Roci, pi: ScriptedAgent) -> None:
    async with opened(client, pi, container="web"), opened(client, pi, container="web"):
        assert [each.name for each in terminals(roci)._terminals.values()] == ["web", "web 2"]


async def test_only_this_page_may_have_styles_of_its_own(client: Client, pi: ScriptedAgent) -> None:
    answer = await client.get(f"/hosts/{pi.agent_id}/terminal")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "style-src 'self' 'unsafe-inline'" in policy and "script" not in policy
    page = await answer.get_data(as_text=True)
    assert EVIL not in page and "&lt;script&gt;" in page
    assert "unsafe-inline" not in (await client.get("/hosts")).headers["Content-Security-Policy"]


async def test_a_container_that_does_not_run_is_named_and_the_host_is_not_meant_in_its_place(
    client: Client, pi: ScriptedAgent
) -> None:
    page = await text(client, f"/hosts/{pi.agent_id}/terminal?container=wiki-1")
    assert "wiki-1 is not running now" in page
    assert "is not running now" not in await text(client, f"/hosts/{pi.agent_id}/terminal")
