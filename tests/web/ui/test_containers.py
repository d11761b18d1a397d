"""All containers on one page: which are shown, how many at once, and what is done to several of them."""

from __future__ import annotations

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.web.live import Changes

from .reading import EVIL, send, text
from .test_hosts import RUNS, comes, someone, ticked


def many(count: int) -> list[dict[str, Any]]:
    return [{**RUNS, "id": f"{number:012x}", "name": f"web-{number:04}", "app": "shop"} for number in range(count)]


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("q=web+nginx", "web", "db-1"),
        ("q=postgres", "db-1", ">web<"),
        ("state=exited", "db-1", ">web<"),
        ("state=ill", "No container is like this", "db-1"),
        ("application=shop", "db-1", ">web<"),
        ("q=nas+running", ">web<", "db-1"),
    ],
)
async def test_containers_are_found_by_text_state_and_application(
    client: Client, roci: Roci, query: str, shown: str, hidden: str
) -> None:
    async with scripted_agent(roci) as agent:
        db = {**RUNS, "id": "d" * 12, "name": "db-1", "image": "postgres", "status": "exited", "app": "shop"}
        await comes(roci, agent, "nas", RUNS, db)
        page = await text(client, f"/containers?part=list&{query}")
        assert shown in page and hidden not in page


async def test_an_image_without_a_name_is_told_by_the_beginning_of_its_digest(client: Client, roci: Roci) -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    async with scripted_agent(roci) as agent:
        host = await comes(roci, agent, "nas", {**RUNS, "image": digest})
        for page in ("/containers", host, f"{host}/containers/{RUNS['id']}/remove"):
            found = await text(client, page)
            assert f'<span title="{digest}">0123456789ab</span>' in found and found.count(digest) == 1, page
        assert "nas" in await text(client, f"/containers?part=list&q={digest}")


async def test_the_containers_of_one_host_are_shown_alone(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as one, scripted_agent(roci) as other:
        await comes(roci, one, "nas", {**RUNS, "name": EVIL})
        await comes(roci, other, "pi", {**RUNS, "name": "pi-web"})
        page = await text(client, f"/containers?host={other.agent_id}")
        assert "pi-web" in page and "alert(1)" not in page
        page = await text(client, "/containers")
        assert EVIL not in page and "alert(1)" in page and "pi-web" in page


async def test_of_many_containers_a_page_has_a_hundred(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await comes(roci, agent, "nas", *many(2000))
        page = await text(client, "/containers")
        assert page.count('name="picked"') == 100 and "Page 1 of 20" in page and "web-0100" not in page
        page = await text(client, "/containers?page=99&part=list")
        assert "web-1999" in page and "Page 20 of 20" in page


async def test_the_name_of_a_container_leads_to_its_log_and_below_it_to_a_terminal(
    client: Client, anonymous: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    async with scripted_agent(roci) as agent:
        host = await comes(roci, agent, "pi", {**RUNS, "name": "pi web"}, capabilities=["terminal"])
        page = await text(client, f"/containers?host={agent.agent_id}")
        logs = f"/logs?host={agent.agent_id}&amp;container=pi%20web"
        assert f'<td class="name"><a href="{logs}">pi web</a>' in page
        assert f'href="{host}/terminal?container=pi%20web"' in page
        assert "/terminal?" not in await text(client, f"/containers?host={nas.agent_id}")
        await someone(roci, anonymous, "hosts.read")
        page = await text(anonymous, f"/containers?host={agent.agent_id}")
        assert '<td class="name">pi web<' in page and "/logs?" not in page and "/terminal?" not in page


async def test_those_that_are_ticked_are_stopped_only_after_a_question(client: Client, nas: ScriptedAgent) -> None:
    before, _id, asked = (await text(client, "/containers")).partition('id="stop-ticked"')
    assert 'popovertarget="stop-ticked"' in before and 'formaction="/containers/stop"' not in before
    assert '<button formaction="/containers/stop" form="acts">Stop them</button>' in asked


async def test_what_runs_on_a_host_that_is_away_is_unknown(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    page = await text(client, "/containers")
    assert "is unknown" in page and "nas" in page and "alert(1)" not in page


async def test_what_runs_is_unknown_until_a_host_that_is_back_has_told(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        host = await comes(roci, agent, "nas", RUNS)
        token = {"agent_id": agent.agent_id, "agent_token": agent.agent_token}
        await agent.hang_up()
        await until(lambda: not roci.part(Hub).connected)
    async with scripted_agent(roci) as back:
        await back.register("nas", protocol=2, **token)
        await until(lambda: roci.part(Hub).connected)
        for page in ("/containers", host, "/hosts"):
            assert "nknown" in (await text(client, page)).partition("<main")[2], page
        assert "Logs of web" not in await text(client, "/containers")
        following = roci.part(Changes).follow({"containers"})
        assert (await anext(following)).event == "ready"
        await back.say("heartbeat", containers=[RUNS])
        assert (await anext(following)).event == "containers"  # though they are the same as before
        await following.aclose()  # type: ignore[attr-defined]
        assert "Logs of web" in await text(client, "/containers")


async def test_several_are_restarted_and_it_says_what_became_of_each(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await comes(roci, agent, "nas", *many(2))
        picked = [f"{agent.agent_id}/{number:012x}" for number in range(2)] + [f"{'0' * 8}-0000/{EVIL}"]
        page = await text(client, "/containers")
        answer = await ticked(client, page, "/containers/restart", picked=picked)
        where = answer.headers["Location"]
        assert where.startswith("/containers/done/restart-")
        assert (await agent.answer())["action"] == "restart"
        await agent.answer(success=False, output="it is stuck")
        while "under way" in (page := await text(client, where)):
            pass
        assert "web-0000" in page and "1 of 3 are done" in page and "failed" in page and "refused" in page
        assert EVIL not in page
    await text(client, "/containers/done/restart-nothing", 404)


async def test_who_may_not_read_operations_is_told_on_the_list(anonymous: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await comes(roci, agent, "nas", *many(2))
        await someone(roci, anonymous, "hosts.read", "containers.control")
        mine = [f"{agent.agent_id}/{number:012x}" for number in range(2)]
        for picked, said in (
            (mine[:1], "Asked of all that were ticked"),
            ([mine[1], "nowhere/web"], "Asked of 1 of 2; 1 refused, the first of them web: "),
        ):
            page = await text(anonymous, "/containers")
            answer = await ticked(anonymous, page, "/containers/restart", picked=picked)
            assert answer.headers["Location"] == "/containers"
            assert said in await text(anonymous, "/containers")


async def test_ticking_nothing_or_another_act_is_refused(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    assert (await send(client, "/containers", "/containers/restart")).status_code == 422
    picked = f"{nas.agent_id}/0123456789ab"
    assert (await send(client, "/containers", "/containers/remove", picked=picked)).status_code == 404
    assert (await client.post("/containers/stop", form={"picked": picked})).status_code == 403


async def test_who_may_only_look_ticks_nothing(anonymous: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await someone(roci, anonymous, "hosts.read", "operations.read")
    page = await text(anonymous, "/containers")
    assert 'name="picked"' not in page and "Restart" not in page
    answer = await send(anonymous, "/containers", "/containers/stop", picked=f"{nas.agent_id}/0123456789ab")
    assert "you may not do this there" in await text(anonymous, answer.headers["Location"])
