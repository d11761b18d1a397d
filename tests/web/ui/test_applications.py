"""The pages of applications: the list, what runs of one, its file, its history, its end."""

from __future__ import annotations

import asyncio
import html
import json
import re
from urllib.parse import quote

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import alerts, applications, operations, secrets
from roci_plugins.domain.applications import Application
from roci_plugins.domain.keyring import of as keyring
from roci_plugins.domain.rules import Rule
from roci_plugins.surfaces.http import documented
from roci_plugins.web.shell import Panel, Shell
from roci_plugins.work import deploy, enrol, execute

from .reading import EVIL, send, text, topics
from .test_editor import somebody
from .test_operations import watcher

COMPOSE = "services:\n  web:\n    image: nginx:1.27\n  db:\n    image: postgres\n"
WEB = {
    "id": "aaaaaaaaaaaa",
    "name": "wiki-web-1",
    "image": "nginx:1.26",
    "status": "running",
    "state": "Up 3 minutes",
    "app": "wiki",
    "ports": ["0.0.0.0:8081->80/tcp", "[::]:8081->80/tcp", "443/tcp"],
}
STRANGE = {"id": "bbbbbbbbbbbb", "name": EVIL, "image": "x", "status": "exited", "state": "Exited (1)", "app": "wiki"}


@pytest.fixture
async def wiki(roci: Roci, nas: ScriptedAgent) -> Application:
    """An application that runs on the host, at revision 1."""
    app = await roci.write(lambda: applications.add("wiki", COMPOSE, "all we know", nas.agent_id))
    run = await deploy.deploy(roci, app.id, None, {})
    await nas.answer(output="up")
    while (await roci.read(operations.get, run.id)).status == "running":
        pass
    await nas.say("heartbeat", containers=[WEB, STRANGE])
    live = roci.part(Hub).roster[nas.agent_id]
    await until(lambda: any(each.name == "wiki-web-1" for each in live.containers or ()))
    return await roci.read(applications.get, app.id)


async def test_the_list_tells_of_each_what_is_wrong(client: Client, roci: Roci, wiki: Application) -> None:
    await roci.write(lambda: applications.add("blog", COMPOSE))
    page = await text(client, "/applications")
    assert "1 of 2" in page and "all we know" in page and "none yet" in page
    assert page.index("wiki</a>") < page.index("blog</a>")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("q=WIK", ["wiki"], id="by name"),
        pytest.param("q=know", ["wiki"], id="by description"),
        pytest.param("q=nas", ["wiki"], id="by host"),
        pytest.param("status=stopped", ["blog"], id="by status"),
        pytest.param("q=o&status=running", ["wiki"], id="by both"),
        pytest.param("q=nothing", [], id="none"),
    ],
)
async def test_the_list_is_filtered_by_its_address(
    client: Client, roci: Roci, wiki: Application, query: str, names: list[str]
) -> None:
    await roci.write(lambda: applications.add("blog", COMPOSE))
    part = await text(client, f"/applications?part=list&{query}")
    assert [name for name in ("wiki", "blog") if f">{name}</a>" in part] == names


async def test_five_hundred_applications_come_a_hundred_at_a_time(client: Client, roci: Roci) -> None:
    await roci.write(lambda: [applications.add(f"app-{number:03}", COMPOSE) for number in range(500)])
    page = await text(client, "/applications?page=5")
    assert page.count('class="name"') == 100 and "app-499" in page and "page 5 of 5" in page


async def test_services_show_what_runs_and_what_is_missing(client: Client, wiki: Application) -> None:
    page = await text(client, f"/applications/{wiki.id}")
    assert re.search(r'<a href="http://[^"/]+:8081/"', page)
    assert page.count("8081 → 80") == 1 and "the file says nginx:1.27" in page
    assert "not there" in page and "not in the file" in page and EVIL not in page
    assert f"/containers/{quote(EVIL, safe='')}/start" in page


async def test_services_show_the_beginning_of_a_digest_where_an_image_lost_its_name(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    await nas.say("heartbeat", containers=[{**WEB, "image": digest}])
    live = roci.part(Hub).roster[nas.agent_id]
    await until(lambda: len(live.containers or ()) == 1)
    page = await text(client, f"/applications/{wiki.id}")
    assert f'<span title="{digest}">0123456789ab</span><br>' in page and "the file says nginx:1.27" in page


async def test_services_of_a_host_that_is_away_are_unknown(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    page = await text(client, f"/applications/{wiki.id}")
    assert "What runs is unknown" in page and "wiki-web-1" not in page and "which is not connected" in page
    assert "unknown: its host cannot be asked" in await text(client, "/applications")


async def test_what_runs_where_the_engine_does_not_answer_is_unknown_everywhere(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    path, live = f"/applications/{wiki.id}", roci.part(Hub).roster[nas.agent_id]
    pages = {"/": "<strong>1 of 1</strong> application running", "/containers": "wiki-web-1", path: "wiki-web-1"}
    pages |= {"/applications": "1 of 2", "/logs": "wiki-web-1", f"{path}/manage": "the container wiki-web-1"}
    for page, words in pages.items():
        assert words in await text(client, page), page
    await nas.say("heartbeat", engine_error="the engine does not answer")
    await until(lambda: not live.is_current)
    for page, words in pages.items():
        found = (await text(client, page)).partition("<main")[2]
        assert words not in found and "nknown" in found, page
    found = await text(client, "/?part=state")
    for words in ("<strong>0</strong> containers running", "<strong>0 of 1</strong> application running"):
        assert f'{words} <span class="soft">as far as is known</span>' in found
    assert "which cannot be asked: how it is now is unknown" in await text(client, f"{path}?part=state")
    assert "wiki-web-1" not in await text(client, "/palette?q=wiki-web")
    await nas.say("heartbeat", containers=[WEB, STRANGE])
    await until(lambda: live.is_current)
    for page, words in pages.items():
        assert words in await text(client, page), page


async def test_a_container_is_restarted_from_the_services(
    client: Client, wiki: Application, nas: ScriptedAgent
) -> None:
    path = f"/applications/{wiki.id}"
    assert (await send(client, path, f"{path}/containers/other/restart")).status_code == 404
    async with asyncio.TaskGroup() as both:
        answer = both.create_task(send(client, path, f"{path}/containers/wiki-web-1/restart"))
        asked = await nas.answer()
    assert (asked["action"], asked["container"]) == ("restart", "wiki-web-1")
    assert answer.result().headers["Location"] == path
    assert "wiki-web-1 was restarted" in await text(client, path)


async def test_what_can_be_done_to_a_container_comes_back_when_the_operation_ends(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    path = f"/applications/{wiki.id}"
    services = f"{path}?part=services"
    assert "live-operations from:body" in (await text(client, services)).partition(">")[0]
    allow(roci, nas, "restart")
    run = await execute.restart(roci, wiki.id)
    assert "Restart wiki-web-1" not in await text(client, services)
    await nas.answer()
    await run.finished(10)
    assert "Restart wiki-web-1" in await text(client, services)


def allow(roci: Roci, agent: ScriptedAgent, what: str) -> None:
    """As if the host had said so when it came."""
    link = roci.part(Hub).roster[agent.agent_id].link
    assert link is not None
    link.capabilities = [*link.capabilities, what]


async def test_where_it_can_be_deployed_is_told_as_hosts_come_and_go(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", COMPOSE))
    part = f"/applications/{app.id}?part=deploy"
    assert f'hx-get="{part}" hx-trigger="live-hosts from:body' in await text(client, f"/applications/{app.id}")
    assert "There is no host yet" in await text(client, part)
    async with scripted_agent(roci) as first, scripted_agent(roci, peer="127.0.0.9") as other:
        for agent, name in ((first, "attic"), (other, "cellar")):
            await agent.register(name)
            await enrol.approve(roci, agent.agent_id)
        await first.hang_up()
        await until(lambda: roci.part(Hub).connected == 1)
        options = re.findall(r"<option[^>]*>[^<]*", await text(client, part))
        assert options == [
            f'<option id="on-{first.agent_id}" value="{first.agent_id}">attic (not connected)',
            f'<option id="on-{other.agent_id}" value="{other.agent_id}" selected>cellar',
        ]


async def test_manage_follows_what_happens_to_the_application(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    path = f"/applications/{wiki.id}/manage"
    page = await text(client, path)
    for part in ("where", "ending"):
        assert f'hx-get="{path}?part={part}"' in page and "<html" not in await text(client, f"{path}?part={part}")
    assert topics(page, "ending") == {f"application-{wiki.id}", "hosts"}  # each time it asks the engine
    assert "stop it first" in await text(client, f"{path}?part=where")
    await stopped(roci, wiki, nas)
    found = await text(client, f"{path}?part=where")
    assert "stop it first" not in found and "disabled" not in found and f'id="on-{nas.agent_id}"' in found
    await roci.write(secrets.put, keyring(roci), f"application/{wiki.id}", "PASSWORD", "x")
    assert "its secrets PASSWORD" in await text(client, f"{path}?part=ending")
    run = await deploy.deploy(roci, wiki.id, None, {})
    assert "It is being deployed" in await text(client, f"{path}?part=ending")
    await nas.answer()
    while (await roci.read(operations.get, run.id)).status == "running":
        pass
    assert "It is being deployed" not in await text(client, f"{path}?part=ending")
    answer = await send(client, path, f"/applications/{wiki.id}/delete", confirm="other")
    assert f'hx-get="{path}?part=ending"' in await answer.get_data(as_text=True)


async def test_a_tick_of_a_volume_stays_with_that_volume(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    allow(roci, nas, "inventory")
    told = [{"name": name, "project": "wiki"} for name in ("wiki_data", "wiki_more")]
    async with asyncio.TaskGroup() as both:
        page = both.create_task(text(client, f"/applications/{wiki.id}/manage"))
        for _kind in ("networks", "volumes"):
            await nas.answer(output=json.dumps({"count": 2, "things": told}))
    assert '<li id="volume-wiki_data">' in page.result() and '<li id="volume-wiki_more">' in page.result()


async def test_stop_leads_back_to_where_it_was_asked(client: Client, wiki: Application, nas: ScriptedAgent) -> None:
    answer = await send(client, "/applications", f"/applications/{wiki.id}/stop", back="/applications?q=w")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/applications?q=w")
    page = await text(client, f"/applications/{wiki.id}")
    assert "Stop wiki" in page and "data-seconds" in page
    answer = await send(
        client, f"/applications/{wiki.id}", f"/applications/{wiki.id}/stop", back="https://evil.example"
    )
    assert answer.status_code == 409


@pytest.mark.parametrize("path", ["/applications", "/applications/{app}", "/hosts/{host}"])
async def test_stop_asks_first_wherever_it_stands_and_may_be_left(client: Client, wiki: Application, path: str) -> None:
    page = await text(client, path.format(app=wiki.id, host=wiki.deployed_host_id))
    ids = re.findall(r'<button class="[\w ]*" type="button" popovertarget="(stop[\w-]*)"', page)
    assert ids and page.count('/stop"') == len(ids)
    for id in ids:
        asked = page.split(f'<span popover role="dialog" id="{id}"')[1].split("</button></span>")[0]
        assert 'aria-label="Stop ' in asked and '/stop"' in asked
        assert f'popovertarget="{id}" popovertargetaction="hide" data-first>Cancel' in asked


async def test_the_file_is_compared_with_what_runs(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    path = f"/applications/{wiki.id}"
    assert "which is the one on the host" in await text(client, f"{path}/compose")
    await stopped(roci, wiki, nas)
    await roci.write(lambda: applications.change(wiki.id, compose=COMPOSE.replace("1.27", "1.28")))
    page = await text(client, f"{path}/compose")
    assert "What changed since revision 1" in page and 'class="gone"' in page and "nginx:1.28" in page


def state_line(page: str) -> str:
    """What the line of its state says."""
    line = page.split('<p class="how">')[1].split("</p>")[0]
    return re.sub(r"<time.*?</time>", "AT", line)


async def test_the_state_tells_which_revision_was_deployed_when(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    at = f"/applications/{wiki.id}?part=state"
    assert "revision 1 deployed AT<" in state_line(await text(client, at))
    await roci.write(lambda: applications.change(wiki.id, for_next_deploy=True, compose=COMPOSE + "# 2\n"))
    line = state_line(await text(client, at))
    assert "revision 1 deployed AT; revision 2 not yet<" in line and "revision 1 runs" in line
    assert ">runs<" in await text(client, f"/applications/{wiki.id}/history")
    assert "runs: 1" in await text(client, "/applications")
    await stopped(roci, wiki, nas)
    line = state_line(await text(client, at))
    assert "revision 1 deployed AT; revision 2 not yet<" in line and "runs" not in line
    assert ">runs<" not in await text(client, f"/applications/{wiki.id}/history")
    assert "runs: 1" not in await text(client, "/applications")


async def test_a_first_deploy_that_fails_has_no_date(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    app = await roci.write(lambda: applications.add("blog", COMPOSE))
    await roci.write(lambda: applications.begin_deploy(applications.get(app.id), nas.agent_id))
    await roci.write(lambda: applications.move(applications.get(app.id), "failed", "no such image"))
    line = state_line(await text(client, f"/applications/{app.id}"))
    assert "revision 1<" in line and "deployed" not in line


@pytest.mark.parametrize(("running", "tone", "shown"), [(1, "busy", "1 of 2"), (0, "bad", "0 of 1")])
async def test_an_application_of_which_not_all_runs_looks_so(
    client: Client, roci: Roci, nas: ScriptedAgent, wiki: Application, running: int, tone: str, shown: str
) -> None:
    if not running:
        await nas.say("heartbeat", containers=[{**WEB, "status": "exited", "state": "Exited (137)"}])
        await until(lambda: len(roci.part(Hub).roster[nas.agent_id].containers or ()) == 1)
    page = await text(client, f"/applications/{wiki.id}?part=state")
    assert "live-containers" in page.split(">")[0]  # so that it is told while one looks on
    assert (
        f'<span class="badge {tone}">running</span> <span class="wrong">{shown}</span>' in page and "/restart" in page
    )
    page = await text(client, "/")
    down = html.escape(EVIL) if running else "web"
    assert page.count(f"<strong>wiki</strong> not running: {down}</a>") == 1 and "All is well" not in page
    assert page.index("not running: ") < page.index('class="tiles"')
    assert f'<span class="badge {tone}">running</span>' in page.split("<h2>Applications</h2>")[1]
    assert f"<strong>{running} of 1</strong> application running" in page


async def test_an_alert_about_its_container_is_trouble_enough(
    client: Client, roci: Roci, nas: ScriptedAgent, wiki: Application
) -> None:
    await roci.write(alerts.fire, alerts.Fire(nas.agent_id, "container_stopped", "critical", "it ended", EVIL))
    page = await text(client, "/?part=state")
    assert "it ended" in page and "not running: " not in page


async def test_the_end_of_what_was_stopped_on_purpose_is_no_failure(
    client: Client, roci: Roci, nas: ScriptedAgent, wiki: Application
) -> None:
    assert '<span class="badge bad">exited</span>' in await text(client, f"/applications/{wiki.id}?part=services")
    await stopped(roci, wiki, nas)
    page = await text(client, f"/applications/{wiki.id}?part=services")
    assert '<span class="badge plain">exited</span>' in page and "badge bad" not in page


async def stopped(roci: Roci, app: Application, nas: ScriptedAgent) -> None:
    run = await deploy.stop(roci, app.id)
    await nas.answer()
    while (await roci.read(operations.get, run.id)).status == "running":
        pass


async def test_any_two_revisions_are_compared_and_an_earlier_one_is_returned_to(
    client: Client, roci: Roci, wiki: Application, nas: ScriptedAgent
) -> None:
    path = f"/applications/{wiki.id}/history"
    await stopped(roci, wiki, nas)
    for number in (28, 29):
        await roci.write(lambda number=number: applications.change(wiki.id, compose=COMPOSE.replace("27", str(number))))  # type: ignore[misc]
    page = await text(client, f"{path}?from=1&to=3")
    assert "1.27" in page and "1.29" in page and "1.28" not in page and "1 line is new" in page
    assert f'hx-get="{path}?part=compare' in page
    part = await text(client, f"{path}?part=compare")
    assert '<option id="from-3"' in part and '<option id="to-3"' in part and "1.29" not in part and "<html" not in part
    answer = await send(client, path, f"/applications/{wiki.id}/revisions/1/return")
    assert answer.headers["Location"] == f"/applications/{wiki.id}"
    assert await roci.read(lambda: applications.text(applications.get(wiki.id), 4)) == COMPOSE
    for number in (9, 10**20):
        assert (await send(client, path, f"/applications/{wiki.id}/revisions/{number}/return")).status_code == 404


async def test_a_part_of_the_history_reads_no_texts(
    client: Client, roci: Roci, wiki: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int | None] = []
    known = applications.text

    def text_of(app: Application, number: int | None = None) -> str:
        read.append(number)
        return known(app, number)

    await roci.write(lambda: applications.change(wiki.id, compose=f"{COMPOSE}# 2\n", for_next_deploy=True))
    monkeypatch.setattr(applications, "text", text_of)
    path = f"/applications/{wiki.id}/history?from=1&to=2"
    for part, has in (("revisions", "revision-2"), ("latest", "operation-")):
        assert has in await text(client, f"{path}&part={part}") and not read
    assert "# 2" in await text(client, path) and read == [1, 2]


async def test_panels_are_made_for_the_whole_page_alone(client: Client, roci: Roci, wiki: Application) -> None:
    made: list[str] = []

    async def render(_roci: Roci, id: str) -> str:
        made.append(id)
        return "a kettle"

    roci.part(Shell).panels.append(Panel("kettle", "Kettle", "application", render))
    path = f"/applications/{wiki.id}"
    assert "a kettle" in await text(client, path) and made == [wiki.id]
    for part in ("state", "services"):
        await text(client, f"{path}?part={part}")
    assert made == [wiki.id]


async def test_who_may_not_read_operations_is_led_back_with_words(
    roci: Roci, anonymous: Client, wiki: Application, nas: ScriptedAgent
) -> None:
    rights = (
        "applications.read",
        "applications.write",
        "applications.deploy",
        "containers.control",
        "applications.remove",
    )
    await watcher(roci, anonymous, *rights)
    path = f"/applications/{wiki.id}"
    async with asyncio.TaskGroup() as both:
        answer = both.create_task(send(anonymous, path, f"{path}/containers/wiki-web-1/restart"))
        await nas.answer(success=False, output="no such container")
    assert answer.result().headers["Location"] == path
    assert "that went wrong; whoever may read operations sees why" in await text(anonymous, path)
    answers = [await send(anonymous, path, f"{path}/deploy")]
    assert "Deploy wiki: under way" in await text(anonymous, path)
    await nas.answer()
    while (await roci.read(applications.get, wiki.id)).status == "deploying":
        pass
    answers.append(await send(anonymous, f"{path}/edit", f"{path}/edit", compose=COMPOSE, seen="1", then="deploy"))
    await nas.answer()
    assert [each.headers["Location"] for each in answers] == [path, path]


async def test_manage_describes_and_lists_what_goes(client: Client, roci: Roci, wiki: Application) -> None:
    path = f"/applications/{wiki.id}/manage"
    page = await text(client, path)
    assert "the container wiki-web-1" in page and "its file" in page and "stop it first" in page and EVIL not in page
    answer = await send(client, path, path, description="what we know")
    assert answer.headers["Location"] == path
    assert (await roci.read(applications.get, wiki.id)).description == "what we know"


async def test_what_is_wrong_on_manage_is_said_beside_what_was_typed(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", COMPOSE))
    path = f"/applications/{app.id}/manage"
    answer = await send(client, path, path, description="a" * 10_001)
    assert answer.status_code == 422 and "at most 10000" in await answer.get_data(as_text=True)
    answer = await send(client, path, path, description="about", host_id="nowhere")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'role="alert">host_id' in page and 'value="about"' in page
    answer = await send(client, path, f"/applications/{app.id}/delete", confirm="other")
    assert answer.status_code == 422 and 'role="alert"' in await answer.get_data(as_text=True)
    assert '/manage" aria-current="page"' in await answer.get_data(as_text=True)


async def test_who_may_only_look_sees_no_buttons(roci: Roci, anonymous: Client, wiki: Application) -> None:
    await watcher(roci, anonymous, "applications.read")
    path = f"/applications/{wiki.id}"
    for page in (path, f"{path}/compose", f"{path}/history", f"{path}/manage", "/applications"):
        told = await text(anonymous, page)
        assert not re.search(r"formaction|popovertarget|/edit|Delete|>Deploy<|/operations/", told), page
    for action in ("deploy", "stop", "delete", "manage", "revisions/1/return", "containers/wiki-web-1/stop"):
        assert (await anonymous.post(f"{path}/{action}")).status_code == 403


CHANGES = (
    ("edit", {"compose": COMPOSE.replace("nginx", "caddy"), "seen": "1", "then": "deploy", "host_id": "{other}"}),
    ("edit", {"compose": COMPOSE.replace("nginx", "caddy"), "seen": "1", "host_id": "{other}"}),
    ("check", {"compose": COMPOSE}),
    ("deploy", {"host_id": "{other}"}),
    ("manage", {"description": "mine", "host_id": "{other}"}),
    ("revisions/1/return", {"then": "deploy"}),
    ("delete", {"confirm": "wiki"}),
    ("stop", {}),
    ("start", {}),
    ("restart", {}),
)


async def test_all_rights_on_one_application_change_nothing_as_in_the_api(
    roci: Roci, anonymous: Client, wiki: Application
) -> None:
    async with scripted_agent(roci) as other:
        await other.register("other")
        await enrol.approve(roci, other.agent_id)
        await somebody(roci, anonymous, Rule("applications.*", f"application/{wiki.id}"))
        path, before = f"/applications/{wiki.id}", await roci.read(operations.list_, 1)
        for page in (path, f"{path}/compose", f"{path}/history", f"{path}/manage"):
            told = await text(anonymous, page)
            assert not re.search(r"formaction|popovertarget|/edit|Delete|>Deploy<", told), page
        await text(anonymous, f"{path}/edit", 403)
        for where, form in CHANGES:
            fields = {name: value.format(other=other.agent_id) for name, value in form.items()}
            answer = await send(anonymous, "/account", f"{path}/{where}", **fields)
            assert answer.status_code == 403, where
        assert (await anonymous.post(f"/api/v1{path}/deploy", json={"agent_id": other.agent_id})).status_code == 403
        assert (await anonymous.put(f"/api/v1{path}", json={"agent_id": other.agent_id})).status_code == 403
        assert (await roci.read(operations.list_, 1))[1] == before[1]
        assert (await roci.read(applications.get, wiki.id)).revision == 1


def test_no_way_changes_an_application_by_a_right_on_that_one_only(app: Quart) -> None:
    notes = {rule.rule: documented(app.view_functions[rule.endpoint]) for rule in app.url_map.iter_rules()}
    changing = ("applications.write", "applications.deploy", "applications.remove")
    found = {path: note.on for path, note in notes.items() if note.access in changing}
    assert {"/applications/<id>/deploy", "/api/v1/applications/<id>/deploy"} <= found.keys()
    assert not {path for path, on in found.items() if on}
