"""/hosts/add: the line to run elsewhere, and the host that came of it."""

from __future__ import annotations

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.core.serve import Listening

from .reading import send, text


async def waiting(client: Client) -> str:
    """The address of the page, which remembers since when it waits."""
    answer = await client.get("/hosts/add")
    assert answer.status_code == 303
    return str(answer.headers["Location"])


async def test_a_host_that_comes_appears_and_turns_good_when_it_is_let_in(client: Client, roci: Roci) -> None:
    path = await waiting(client)
    page = await text(client, path)
    assert "/install.sh | sudo sh" in page and "Waiting for a host" in page
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        part = await text(client, f"{path}&part=newcomers")
        assert "pi" in part and "asks to join" in part and "Waiting" not in part and "<html" not in part
        await send(client, path, f"/hosts/{agent.agent_id}/decide", answer="approve")
        part = await text(client, f"{path}&part=newcomers")
        assert 'class="newcomer good"' in part and "connected and ready" in part


@pytest.mark.parametrize("path", ["/", "/policies", "/hosts/add?since=2999-01-01T00:00:00Z"])
async def test_an_address_that_may_not_stand_in_a_script_is_told_in_place_of_the_line(
    client: Client, path: str
) -> None:
    answer = await client.get(path, headers={"Host": "my_nas:8080"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200 and "set public_url" in page and "install.sh" not in page


async def test_a_host_that_comes_does_not_take_the_place_of_another_under_the_mouse(client: Client, roci: Roci) -> None:
    path = await waiting(client)
    async with scripted_agent(roci) as one, scripted_agent(roci) as other:
        await one.register("pi")
        await other.register("nas")
        part = await text(client, f"{path}&part=newcomers")
        for agent in (one, other):
            row = part.partition(f'id="newcomer-{agent.agent_id}"')[2].partition("</form>")[0]
            assert f'action="/hosts/{agent.agent_id}/decide"' in row and row.count("<form") == 1


async def test_hosts_of_before_are_not_shown(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("old")
        page = await text(client, "/hosts/add?since=2999-01-01T00:00:00Z")
        assert "Waiting for a host" in page and "asks to join" not in page


async def test_a_moment_that_is_none_is_named(client: Client) -> None:
    assert "since:" in await text(client, "/hosts/add?since=now", 400)


@pytest.mark.parametrize(
    ("url", "is_deaf"),
    [("http://127.0.0.1:8080/", True), ("http://[::1]:8080/", True), ("http://0.0.0.0/", False)],
)
async def test_a_server_that_others_cannot_reach_says_so(client: Client, roci: Roci, url: str, is_deaf: bool) -> None:
    roci.provide(Listening([url]))
    assert ("Only this machine can reach" in await text(client, await waiting(client))) is is_deaf
    assert ("Only this machine can reach" in await text(client, "/")) is is_deaf
    assert ("ROCI_BIND=0.0.0.0:8080" in await text(client, "/")) is is_deaf
