"""Hosts on pages: which are listed, who is let in, what is done to their containers, and what is noted about them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, alerts, applications, credentials, hostcards, keyring, principals, registries
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui.hosts import pages as host_pages
from roci_plugins.work import enrol

from .reading import EVIL, send, text

RUNS = {"id": "0123456789ab", "name": "web", "image": "nginx", "status": "running", "state": "Up 3 minutes"}
CAPABILITIES = ["container", "logs", "registry_login", "registry_logout", "prune", "reboot"]


async def someone(roci: Roci, client: Client, *rights: str) -> None:
    """Sign a person in who may do no more than this."""
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("some", [Rule(right) for right in rights]))
    await roci.write(access.bind, "bob", "some")
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))


async def ticked(client: Client, page: str, path: str, **form: list[str]) -> Any:
    """Post a form of this page in which a field stands more than once."""
    token = page.split('name="token" value="')[1].split('"')[0]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await client.post(path, data=urlencode({**form, "token": token}, doseq=True), headers=headers)


async def comes(
    roci: Roci,
    agent: ScriptedAgent,
    name: str,
    *containers: dict[str, object],
    capabilities: Sequence[str] = CAPABILITIES,
) -> str:
    """Let a host in, with these containers; its path."""
    await agent.register(name, protocol=2, capabilities=list(capabilities))
    await enrol.approve(roci, agent.agent_id)
    await agent.hear()
    await agent.say("heartbeat", containers=list(containers))
    await until(lambda: roci.part(Hub).roster[agent.agent_id].containers is not None)
    return f"/hosts/{agent.agent_id}"


async def test_hosts_are_found_by_text_and_state_without_scripts(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as first, scripted_agent(roci) as second:
        await comes(roci, first, "nas")
        await second.register("pi", ip_address="10.0.0.7")
        await roci.write(hostcards.note, first.agent_id, ["cellar"], name="Big box")
        page = await text(client, "/hosts?part=hosts")
        assert page.index(">pi<") < page.index(">nas<") and "Big box" in page and "cellar" in page
        for query in ("q=nas", "q=cellar", "q=big+box", "state=online"):
            found = await text(client, f"/hosts?part=hosts&{query}")
            assert ">nas<" in found and ">pi<" not in found, query
        assert "No host is like this" in await text(client, "/hosts?q=%3Cscript%3E&part=hosts")
        assert "<script>" not in await text(client, "/hosts?q=%3Cscript%3E&part=hosts")


@pytest.mark.parametrize(("query", "first"), [("sort=name", "nas"), ("sort=name&order=down", "pi"), ("sort=cpu", "pi")])
async def test_hosts_are_in_the_order_that_was_asked_for(client: Client, roci: Roci, query: str, first: str) -> None:
    async with scripted_agent(roci) as one, scripted_agent(roci) as other:
        await comes(roci, one, "nas")
        await other.register("pi")
        page = await text(client, f"/hosts?part=hosts&{query}")
        assert min(("nas", "pi"), key=lambda name: page.index(f">{name}<")) == first and "aria-sort" in page


async def test_many_hosts_come_a_page_at_a_time(client: Client, roci: Roci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_pages, "PER_PAGE", 1)
    async with scripted_agent(roci) as one, scripted_agent(roci) as other:
        await comes(roci, one, "nas")
        await comes(roci, other, "pi")
        page = await text(client, "/hosts?sort=name")
        assert ">nas<" in page and ">pi<" not in page and "Page 1 of 2" in page
        assert 'href="/hosts?sort=name&amp;page=2"' in page and "All <" in page
        page = await text(client, "/hosts?sort=name&page=2")
        assert ">pi<" in page and ">nas<" not in page and 'hx-get="/hosts?part=hosts&amp;page=2"' in page


async def test_who_waits_stands_on_top_with_the_reason_and_is_rejected_with_one(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi", ip_address="192.168.1.9", os="Debian", agent_version="0.1")
        page = await text(client, "/hosts")
        waiting = page[: page.index('id="hosts"')]
        assert all(each in waiting for each in ("192.168.1.9", "Debian", "no policy is enabled", "Why is it waiting?"))
        form = {"answer": "reject", "reason": "not mine", "next": "/hosts"}
        answer = await send(client, "/hosts", f"/hosts/{agent.agent_id}/decide", **form)
        assert answer.headers["Location"] == "/hosts"
        assert "not mine" in await text(client, f"/hosts/{agent.agent_id}")


async def test_enter_in_the_field_for_the_reason_approves_nobody(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        for path in ("/hosts", f"/hosts/{agent.agent_id}"):
            forms = (await text(client, path)).split("<form")
            (typed,) = [
                each.partition("</form>")[0] for each in forms if 'name="reason"' in each.partition("</form>")[0]
            ]
            assert 'value="reject"' in typed and 'value="approve"' not in typed


async def test_a_form_leads_to_no_other_site(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        form = {"answer": "approve", "next": "https://evil.example/"}
        answer = await send(client, "/hosts", f"/hosts/{agent.agent_id}/decide", **form)
        assert answer.headers["Location"] == "/"


async def test_what_is_wrong_stands_before_what_runs(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        ill = {**RUNS, "id": "1" * 12, "name": "zz-ill", "state": "Up 2 minutes (unhealthy)"}
        again = {**RUNS, "id": "2" * 12, "name": "zz-again", "status": "restarting"}
        ended = {**RUNS, "id": "3" * 12, "name": "aa-ended", "status": "exited", "state": "Exited (0) 1 hour ago"}
        path = await comes(roci, agent, "nas", ended, RUNS, ill, again)
        page = await text(client, f"{path}?part=containers")
        order = sorted(("zz-ill", "zz-again", "web", "aa-ended"), key=lambda name: page.index(f"<strong>{name}<"))
        assert order == ["zz-again", "zz-ill", "web", "aa-ended"]


async def test_of_many_containers_the_page_of_a_host_shows_those_that_matter(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        many = [{**RUNS, "id": f"{number:012x}", "name": f"web-{number}"} for number in range(300)]
        path = await comes(roci, agent, "nas", *many, {**RUNS, "id": "f" * 12, "name": "zz", "status": "dead"})
        page = await text(client, path)
        assert page.count("<strong>web-") == 199 and "<strong>zz" in page and "101 more containers" in page


async def test_a_container_leads_to_its_application_and_its_log(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(
            roci, agent, "nas", {**RUNS, "name": "a&b", "app": "wiki", "ports": ["0.0.0.0:8080->80/tcp"]}
        )
        app = await roci.write(lambda: applications.add("wiki", "services: {}", host_id=agent.agent_id))
        await roci.write(lambda: applications.begin_deploy(applications.get(app.id), agent.agent_id))
        page = await text(client, path)
        assert f'href="/applications/{app.id}">wiki' in page and "8080:80" in page
        assert f"/logs?host={agent.agent_id}&amp;container=a%26b" in page


@pytest.mark.parametrize(
    ("action", "said"),
    [("restart", "web was restarted"), ("stop", "web was stopped"), ("pause", "web was paused")],
)
async def test_a_container_obeys_a_form_and_the_page_says_so(
    client: Client, roci: Roci, action: str, said: str
) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", RUNS)
        asking = asyncio.create_task(send(client, path, f"{path}/containers/{RUNS['id']}/{action}"))
        frame = await agent.answer()
        assert (frame["action"], frame["container"]) == (action, RUNS["id"])
        assert (await asking).headers["Location"] == path
        assert said in await text(client, path)


async def test_what_fails_leads_to_the_operation_that_says_why(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", RUNS)
        asking = asyncio.create_task(send(client, path, f"{path}/containers/{RUNS['id']}/stop"))
        await agent.answer(success=False, output="no such container")
        where = (await asking).headers["Location"]
        assert where.startswith("/operations/") and "no such container" in await text(client, where)


async def test_a_container_is_removed_after_it_was_said_what_goes(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", {**RUNS, "name": EVIL})
        ask = f"{path}/containers/{RUNS['id']}/remove"
        page = await text(client, ask)
        assert "it is killed" in page and "Its volumes" in page and EVIL not in page
        asking = asyncio.create_task(send(client, ask, ask, force="yes"))
        frame = await agent.answer()
        assert (frame["action"], frame["force"]) == ("remove", True)
        assert (await asking).headers["Location"] == path
        await text(client, f"{path}/containers/ffffffffffff/remove", 404)


async def test_the_question_before_a_removal_is_of_the_container_as_it_is_now(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", {**RUNS, "status": "exited", "state": "Exited (0)"})
        ask = f"{path}/containers/{RUNS['id']}/remove"
        page, part, live = await text(client, ask), f"{ask}?part=container", roci.part(Hub).roster[agent.agent_id]
        assert f'hx-get="{part}" hx-trigger="live-host-{agent.agent_id} from:body"' in page
        assert "it is killed" not in page and 'name="force"' not in page
        await agent.say("heartbeat", containers=[RUNS])
        await until(lambda: live.containers and live.containers[0].is_running)
        page = await text(client, part)
        assert "it is killed" in page and 'name="force"' in page and "<nav" not in page
        await agent.say("heartbeat", engine_error="the engine is away")
        await until(lambda: not live.is_current)
        page = await text(client, part)
        assert "cannot be asked now" in page and "<form" not in page
        await agent.say("heartbeat", containers=[])
        await until(lambda: live.containers == [])
        await text(client, part, 404)


async def test_what_runs_is_unknown_while_the_engine_does_not_answer(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", RUNS)
        await agent.say("heartbeat", engine_error="the engine is away")
        await until(lambda: not roci.part(Hub).roster[agent.agent_id].is_current)
        page = await text(client, f"{path}?part=containers")
        assert "cannot be asked now" in page and "it had 1 container." in page and "<table" not in page


async def test_a_page_of_a_host_that_waits_becomes_another_when_it_is_let_in(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        paths = [f"/hosts/{agent.agent_id}{tab}" for tab in ("", "/manage")]
        for path in paths:
            assert f'hx-get="{path}?part=decided" hx-trigger="live-hosts from:body"' in await text(client, path)
            assert "HX-Refresh" not in (await client.get(f"{path}?part=decided")).headers
        await enrol.approve(roci, agent.agent_id)
        for path in paths:
            assert (await client.get(f"{path}?part=decided")).headers["HX-Refresh"] == "true"
            assert "part=decided" not in await text(client, path)


async def test_a_page_of_a_host_renews_what_was_done_there_alone(client: Client, nas: ScriptedAgent) -> None:
    path = f"/hosts/{nas.agent_id}"
    trigger = (await text(client, path)).partition(f'hx-get="{path}?part=latest"')[2].partition(">")[0]
    assert f'"live-operations-{nas.agent_id} from:body"' in trigger


async def test_who_may_only_restart_can_neither_remove_nor_manage(
    client: Client, anonymous: Client, roci: Roci
) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", RUNS)
        await someone(roci, anonymous, "hosts.read", "containers.control")
        page = await text(anonymous, path)
        assert "Restart" in page and "Remove" not in page and "Done last" not in page and "Logs" not in page
        await text(anonymous, f"{path}/containers/{RUNS['id']}/remove", 403)
        answer = await send(anonymous, path, f"{path}/containers/{RUNS['id']}/remove")
        assert answer.status_code == 403
        for verb in ("note", "remove", "reboot", "login"):
            assert (await send(anonymous, path, f"{path}/{verb}", confirm="nas")).status_code == 403, verb
        page = await text(anonymous, f"{path}/manage")
        assert "you need another role" in page and "Restart the machine" not in page


async def test_who_may_not_read_operations_is_led_back_with_words(anonymous: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", RUNS)
        await someone(roci, anonymous, "hosts.read", "containers.control", "hosts.reboot")
        asking = asyncio.create_task(send(anonymous, path, f"{path}/containers/{RUNS['id']}/stop"))
        await agent.answer(success=False, output="no such container")
        assert (await asking).headers["Location"] == path
        assert "that went wrong; whoever may read operations sees why" in await text(anonymous, path)
        answer = await send(anonymous, f"{path}/manage", f"{path}/reboot", confirm="nas")
        assert answer.headers["Location"] == f"{path}/manage"
        assert "Reboot: under way" in await text(anonymous, f"{path}/manage")


async def test_notes_are_kept_and_other_data_stays(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas")
        await roci.write(hostcards.change, agent.agent_id, data={"rack": 7})
        form = {"name": "Big box", "address": "nas.lan", "port": "22", "labels": "cellar, backup, cellar,"}
        assert (await send(client, f"{path}/manage", f"{path}/note", **form)).status_code == 303
        card = (await roci.read(hostcards.get, agent.agent_id)).card
        assert card and (card.name, card.address, card.port) == ("Big box", "nas.lan", 22)
        assert card.data == {"rack": 7, "labels": ["cellar", "backup"]}
        page = await text(client, path)
        assert "Big box" in page and "nas.lan" in page and "cellar" in page
        await send(client, f"{path}/manage", f"{path}/note", name="", address="", port="", labels="")
        card = (await roci.read(hostcards.get, agent.agent_id)).card
        assert card and (card.name, card.port, card.data) == (None, None, {"rack": 7})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("port", "99999", "port: a whole number from 1"),
        ("port", "ssh", "port: a whole number"),
        ("labels", "x" * 41, "labels: at most"),
        ("name", "y" * 256, "name: 1 to 255"),
    ],
    ids=["great port", "no port", "long label", "long name"],
)
async def test_a_bad_note_is_named_and_what_was_typed_stays(
    client: Client, roci: Roci, field: str, value: str, said: str
) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas")
        form = {"name": "Big box", "address": "nas.lan", "port": "22", "labels": "", field: value}
        answer = await send(client, f"{path}/manage", f"{path}/note", **form)
        page = await answer.get_data(as_text=True)
        assert answer.status_code == 422 and said in page and value in page and 'value="nas.lan"' in page
        assert (await roci.read(hostcards.get, agent.agent_id)).card is None


async def test_a_host_is_rebooted_only_by_its_name_and_where_it_allows_that(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas")
        assert (await send(client, f"{path}/manage", f"{path}/reboot", confirm="nass")).status_code == 409
        answer = await send(client, f"{path}/manage", f"{path}/reboot", confirm="nas")
        assert answer.headers["Location"].startswith("/operations/")
        assert (await agent.hear())["type"] == "reboot"


async def test_a_host_that_is_old_or_away_says_so_on_its_manage_page(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    path = f"/hosts/{nas.agent_id}/manage"
    assert "--allow reboot" in await text(client, path)
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    page = await text(client, path)
    assert "not connected" in page and "--allow reboot" not in page


async def test_a_manage_page_follows_its_host_its_applications_and_the_credentials(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = f"{await comes(roci, agent, 'nas')}/manage"
        answer = await send(client, path, path.replace("manage", "note"), port="ssh")
        for page in (await text(client, path), str(await answer.get_data(as_text=True))):
            for part, topic in (("registries", "registry_credential"), ("reboot", "hosts"), ("goes", "applications")):
                trigger = page.partition(f'hx-get="{path}?part={part}"')[2].partition(">")[0]
                assert f"live-{topic} from:body" in trigger, part
                topics = page.partition("data-live=")[2].partition("&amp;")[0].split("=")[1].split(",")
                assert topic in topics, part
        parts = {part: await text(client, f"{path}?part={part}") for part in ("registries", "reboot", "goes")}
        assert all("<nav" not in each and "What is noted" not in each for each in parts.values())
        assert "no registry credential yet" in parts["registries"] and "wiki" not in parts["goes"]
        assert "Type nas to restart" in parts["reboot"] and "Type nas to remove" not in "".join(parts.values())
        new = registries.NewCredential("mine", "me", Sensitive("x"), registry_url="registry.lan:5000")
        row = await roci.write(registries.add, keyring.of(roci), new)
        await roci.write(lambda: applications.add("wiki", "services: {}", host_id=agent.agent_id))
        assert f'<option id="login-{row.id}"' in await text(client, f"{path}?part=registries")
        assert ">wiki</a>" in await text(client, f"{path}?part=goes")
        await agent.hang_up()
        await until(lambda: not roci.part(Hub).connected)
        for part in ("registries", "reboot"):
            page = await text(client, f"{path}?part={part}")
            assert "not connected" in page and "<form" not in page


async def test_removing_a_host_says_which_applications_lose_it(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await roci.write(lambda: applications.add("wiki", "services: {}", host_id=nas.agent_id))
    page = await text(client, f"/hosts/{nas.agent_id}/manage")
    assert "What goes" in page and "What stays" in page and ">wiki</a>" in page


async def test_a_host_logs_in_with_a_credential_that_is_kept(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas")
        new = registries.NewCredential("mine", "me", Sensitive("top-secret-word"), registry_url="registry.lan:5000")
        row = await roci.write(registries.add, keyring.of(roci), new)
        page = await text(client, f"{path}/manage")
        assert '<a href="/automation/registries">Registry credentials' in page
        assert "mine (registry.lan:5000)" in page and "top-secret-word" not in page
        answer = await send(client, f"{path}/manage", f"{path}/login", credential=row.id)
        assert answer.headers["Location"].startswith("/operations/")
        assert (await agent.hear())["username"] == "me"
        await send(client, f"{path}/manage", f"{path}/logout", registry_url="registry.lan:5000")
        assert (await agent.hear())["type"] == "registry_logout"


async def test_alerts_of_a_host_are_for_who_may_read_alerts(anonymous: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await roci.write(alerts.fire, alerts.Fire(nas.agent_id, "memory", "critical", "it is hot in there"))
    await someone(roci, anonymous, "hosts.read")
    assert "it is hot" not in await text(anonymous, f"/hosts/{nas.agent_id}")
    await roci.write(access.change_role, "some", rules=[Rule("hosts.read"), Rule("alerts.read")])
    assert "it is hot" in await text(anonymous, f"/hosts/{nas.agent_id}")


async def test_no_host_has_its_buttons_act_on_another(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        path = await comes(roci, agent, "nas", {**RUNS, "id": "../../../hosts/other/containers/x"}, RUNS)
        page = await text(client, path)
        assert f'"{path}/containers/{RUNS["id"]}/stop"' in page and "/other/" not in page
