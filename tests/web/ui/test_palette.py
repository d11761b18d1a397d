"""The command palette: what it finds, in which order and for whom; and the finders of plugins."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Actor, Roci, Settings, core, hookimpl
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent
from roci_plugins.domain import access, applications, credentials, principals
from roci_plugins.domain.applications import Application
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web import language
from roci_plugins.web.ui.palette.pages import Finder, Found, Question

from .reading import EVIL, send, text


class Kettle:
    """A stranger's plugin with something to do."""

    @hookimpl
    def register_finders(self, roci: Roci) -> list[Finder]:
        async def find(roci: Roci, who: Actor, question: Question) -> Iterable[Found]:
            return [Found("action", "Boil water", "/kettle", words="tea", form={"cups": '2 "big"'})]

        return [Finder("kettle", find)]


@pytest.fixture
async def roci(tmp_path: Path) -> AsyncIterator[Roci]:
    instance = Roci(Settings(data_dir=str(tmp_path), local_agent=False), [Kettle()])
    async with instance.running():
        yield instance


@pytest.fixture
async def wiki(roci: Roci, nas: ScriptedAgent) -> Application:
    row = await roci.write(lambda: applications.add("wiki", "services:\n  web:\n    image: nginx\n"))
    await roci.write(
        lambda: applications.come_up(applications.begin_deploy(applications.get(row.id), nas.agent_id), deployed=True)
    )
    return row


async def found(client: Client, question: str) -> list[str]:
    """The labels, in their order."""
    page = await text(client, f"/palette?part=found&q={question}")
    return [html.unescape(each) for each in re.findall(r'role="option".*?<span>(.*?)</span>', page)]


async def test_before_anything_is_typed_it_offers_the_pages(client: Client) -> None:
    labels = await found(client, "")
    assert {"Overview", "Hosts", "My account"} <= set(labels) and "Sign out" not in labels


async def test_what_fits_best_comes_first_and_places_before_actions(client: Client, wiki: Application) -> None:
    labels = await found(client, "wiki")
    assert labels[0] == "wiki" and {"Deploy wiki", "Restart wiki", "Stop wiki", "Edit wiki"} < set(labels[1:])
    assert (await found(client, "hosts"))[0] == "Hosts"
    assert await found(client, "restart+wiki") == ["Restart wiki"]
    assert await found(client, "wiki+rest") == ["Restart wiki"]


async def test_words_of_other_products_find_it_too(client: Client, wiki: Application) -> None:
    assert "wiki" in await found(client, "stack") and "nas" in await found(client, "server")
    assert "Deploy wiki" in await found(client, "redeploy+wiki")
    assert await found(client, "nothing+of+the+kind") == []


async def test_pages_are_found_by_what_one_does_there(client: Client, nas: ScriptedAgent) -> None:
    assert "Policies" in await found(client, "policy") and "Add a host" in await found(client, "add")
    assert "Prune nas" in await found(client, "prune") and "Images on nas" in await found(client, "image")
    assert {"Containers", "Images on nas"} <= set(await found(client, "update"))


async def test_containers_are_found_as_text(client: Client, nas: ScriptedAgent) -> None:
    page = await text(client, "/palette?part=found&q=alert(1)")
    assert EVIL not in page and f"Restart {html.escape(EVIL)}" in page
    assert EVIL in await found(client, "nginx")


async def test_a_container_is_found_by_the_verbs_of_the_readers_language(client: Client, nas: ScriptedAgent) -> None:
    client.set_cookie("localhost", language.COOKIE, "de")
    assert f"{EVIL} neu starten" in await found(client, "neu+starten")
    assert f"{EVIL} stoppen" in await found(client, "nginx+stoppen")


async def test_an_action_is_a_form_that_is_sent(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        page = await text(client, "/palette?part=found&q=approve+pi")
        path = f"/hosts/{agent.agent_id}/decide"
        form = re.search(rf'data-path="{path}" data-form="([^"]*)"', page)
        assert form
        answer = await send(client, "/palette?q=approve", path, **json.loads(html.unescape(form[1])))
        assert answer.status_code == 303 and roci.part(Hub).roster[agent.agent_id].host.status == "approved"


async def test_without_scripts_it_is_a_page_with_links_and_forms(client: Client, wiki: Application) -> None:
    page = await text(client, "/palette?q=wiki")
    assert f'<a href="/applications/{wiki.id}">wiki</a>' in page
    assert f'<form method="post" action="/applications/{wiki.id}/restart">' in page and 'name="token"' in page


async def test_stop_asks_first_in_the_palette_and_restart_does_not(
    client: Client, nas: ScriptedAgent, wiki: Application
) -> None:
    page = await text(client, "/palette?part=found&q=wiki")
    asked = re.findall(r'data-asks="([^"]*)"><span>(.*?)<', page)
    assert asked == [("Stop all containers of wiki? They stay as they are until it is started.", "Stop wiki")]
    assert "data-asks" in await text(client, "/palette?part=found&q=stop+nginx")
    page = await text(client, "/palette?q=wiki")
    opens = re.search(r'popovertarget="([\w-]+)">Stop wiki<', page)
    assert opens and re.search(rf'role="dialog" id="{opens[1]}".*formaction="/applications/{wiki.id}/stop"', page)


async def test_a_container_leads_to_its_log(client: Client, nas: ScriptedAgent) -> None:
    page = await text(client, "/palette?part=found&q=nginx")
    assert re.search(
        rf'data-path="/hosts/{nas.agent_id}/logs\?container=[^"]*"><span>{re.escape(html.escape(EVIL))}', page
    )


async def test_a_plugin_adds_what_it_finds(client: Client) -> None:
    page = await text(client, "/palette?part=found&q=tea")
    assert await found(client, "tea") == ["Boil water"]
    form = re.search(r'data-path="/kettle" data-form="([^"]*)"', page)
    assert form and json.loads(html.unescape(form[1])) == {"cups": '2 "big"'}


async def test_nobody_finds_what_they_may_not_see_or_do(
    roci: Roci, anonymous: Client, nas: ScriptedAgent, wiki: Application
) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("applications.read")]))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    assert await found(anonymous, "wiki") == ["wiki"]
    assert await found(anonymous, "nas") == [] and await found(anonymous, "nginx") == []
    assert "Hosts" not in await found(anonymous, "")


async def test_nobody_who_is_not_signed_in_finds_anything(roci: Roci) -> None:
    app = core("app").create_app(roci)
    assert (await app.test_client().get("/palette?part=found&q=a")).status_code == 401
