"""The pages for who is signed in: what they show, what their forms do, and that they hide what one may not."""

from __future__ import annotations

from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, applications, credentials, operations, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

from .reading import EVIL, send, text

COMPOSE = "services:\n  web:\n    image: nginx\n"


async def test_an_empty_roci_leads_to_the_first_application_and_the_first_host(client: Client) -> None:
    page = await text(client, "/")
    assert "Paste a Compose file" in page and "/install.sh | sudo sh" in page and "All is well" not in page


async def test_what_is_wrong_comes_first(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    app = await roci.write(lambda: applications.add("wiki", COMPOSE))
    await roci.write(
        lambda: applications.move(
            applications.begin_deploy(applications.get(app.id), nas.agent_id), "failed", "x\nno such image"
        )
    )
    page = await text(client, "/")
    assert page.index("no such image") < page.index("<h2>Hosts</h2>")
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    assert "is not connected" in await text(client, "/")


async def test_what_hosts_say_is_text_and_never_markup(client: Client, nas: ScriptedAgent) -> None:
    page = await text(client, f"/hosts/{nas.agent_id}")
    assert EVIL not in page and "&lt;script&gt;alert(1)" in page


async def test_a_part_of_a_page_comes_alone(client: Client, nas: ScriptedAgent) -> None:
    part = await text(client, "/hosts?part=hosts")
    assert "nas" in part and "<html" not in part
    assert (await client.get("/hosts?part=../x")).status_code == 400


async def test_a_host_that_waits_is_let_in_by_a_form(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        path = f"/hosts/{agent.agent_id}"
        assert "asks to join" in await text(client, path)
        answer = await send(client, path, f"{path}/decide", answer="approve")
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
        assert roci.part(Hub).roster[agent.agent_id].host.status == "approved"


async def test_an_application_is_created_and_deployed_by_one_form(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    form = {"name": "wiki", "compose": COMPOSE, "host_id": nas.agent_id, "backend": "compose", "then": "deploy"}
    answer = await send(client, "/applications/new", "/applications/new", **form)
    assert answer.status_code == 303
    deploy = await nas.answer(output="all is up")
    assert (deploy["app_id"], deploy["compose_yml"]) == ("wiki", COMPOSE)
    operation_id = answer.headers["Location"].removeprefix("/operations/")

    async def ended() -> str:
        return str((await roci.read(operations.get, operation_id)).status)

    while await ended() == "running":
        pass
    page = await text(client, f"/operations/{operation_id}")
    assert "all is up" in page and "succeeded" in page and "data-follow" not in page


async def test_what_was_typed_stays_when_it_is_refused(client: Client) -> None:
    form = {"name": "wiki", "compose": "services: [", "host_id": "", "backend": "compose"}
    answer = await send(client, "/applications/new", "/applications/new", **form)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'value="wiki"' in page and "services: [" in page and 'role="alert"' in page


async def test_who_saves_second_is_told_and_sees_both(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", COMPOSE))
    path, theirs = f"/applications/{app.id}/edit", COMPOSE.replace("nginx", "caddy")
    await roci.write(lambda: applications.change(app.id, compose=theirs))
    answer = await send(client, path, path, compose=COMPOSE.replace("nginx", "httpd"), seen="1")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 409 and "httpd" in page and "caddy" in page
    answer = await send(client, path, path, compose=COMPOSE.replace("nginx", "httpd"), seen="2")
    assert answer.status_code == 303
    assert "httpd" in await roci.read(lambda: applications.text(applications.get(app.id)))


async def test_an_application_is_deleted_only_by_its_name(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", COMPOSE))
    path = f"/applications/{app.id}"
    assert (await send(client, path, f"{path}/delete", confirm="wikis")).status_code == 422
    assert (await send(client, path, f"{path}/delete", confirm="wiki")).headers["Location"] == "/applications"
    assert (await client.get(path)).status_code == 404


async def test_a_form_without_its_token_does_nothing(client: Client, nas: ScriptedAgent) -> None:
    for path in (f"/hosts/{nas.agent_id}/remove", "/applications/new", f"/hosts/{nas.agent_id}/containers/x/stop"):
        assert (await client.post(path, form={"confirm": "nas"})).status_code == 403


async def test_who_may_only_look_sees_no_buttons_and_no_entries_beyond(
    roci: Roci, anonymous: Client, nas: ScriptedAgent
) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("hosts.read")]))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    page = await text(anonymous, f"/hosts/{nas.agent_id}")
    assert "Restart" not in page and "Remove" not in page and 'href="/applications"' not in page
    await text(anonymous, "/applications", 403)


async def test_a_host_is_removed_by_its_name_only_and_the_list_says_so(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    path = f"/hosts/{nas.agent_id}"
    assert (await send(client, path, f"{path}/remove", confirm="nass")).status_code == 409
    answer = await send(client, path, f"{path}/remove", confirm="nas")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/hosts")
    assert nas.agent_id not in roci.part(Hub).roster
    assert "nas was removed" in await text(client, "/hosts")
    assert "nas was removed" not in await text(client, "/hosts")
