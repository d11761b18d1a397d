"""The editor of Compose files: what it says of a text, that nothing typed is lost, and who may not use it."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import access, applications, credentials, hosts, principals, secrets
from roci_plugins.domain.applications import Application
from roci_plugins.domain.keyring import of as keyring
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui import diffs

from .reading import EVIL, send, text

COMPOSE = "services:\n  web:\n    image: nginx\n"
NEW = "/applications/new"
JSON = {"Accept": "application/json"}


@pytest.fixture
async def wiki(roci: Roci) -> Application:
    return await roci.write(lambda: applications.add("wiki", COMPOSE))


async def somebody(roci: Roci, client: Client, *rules: Rule) -> None:
    """Sign a client in who may do this only."""
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("some", list(rules)))
    await roci.write(access.bind, "bob", "some")
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))


async def token(client: Client, page: str = NEW) -> str:
    found = re.search(r'name="token" value="(\w+)"', await text(client, page))
    assert found
    return found[1]


async def script(client: Client, path: str, page: str = NEW, **form: str) -> tuple[int, dict[str, Any]]:
    """Send a form as the page's script does."""
    answer = await client.post(path, form={"token": await token(client, page), **form}, headers=JSON)
    return answer.status_code, await answer.get_json()


async def latest(roci: Roci, app: Application) -> str:
    return await roci.read(lambda: applications.text(applications.get(app.id)))


async def test_a_text_is_checked_as_it_is_typed(client: Client) -> None:
    answer = await send(
        client, NEW, f"{NEW}/check", name="x", backend="compose", compose="services:\n  a:\n    imge: x\n"
    )
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200 and "<html" not in page
    assert 'data-kind="error"' in page and 'data-line="2"' in page and "has no `image`" in page
    assert 'data-kind="warning"' in page and 'data-line="3"' in page and "is `image` meant?" in page


async def test_an_open_editor_is_told_that_it_runs_now(client: Client, roci: Roci, wiki: Application) -> None:
    path = f"/applications/{wiki.id}/edit"
    page = await text(client, path)
    parts = {part: await text(client, f"{path}?part={part}") for part in ("state", "where", "by")}
    for part, shown in parts.items():
        assert f'hx-get="{path}?part={part}"' in page and f'id="{part}"' in shown
        assert "<textarea" not in shown and "disabled" not in shown
    assert "for the next deploy" not in parts["state"]
    await roci.write(runs, wiki.id)
    assert "for the next deploy" in await text(client, f"{path}?part=state")
    for part in ("where", "by"):
        assert "<select" in parts[part] and "disabled" in await text(client, f"{path}?part={part}")
    assert 'hx-get="/applications/new' not in await text(client, NEW)


def runs(id: str) -> None:
    """It was deployed on a host that nobody knows of here."""
    host = hosts.expect("far")
    applications.begin_deploy(applications.get(id), host.id)
    applications.move(applications.get(id), "running")


async def test_names_in_a_text_are_text_and_never_markup(client: Client) -> None:
    compose = f"services:\n  a:\n    image: '{EVIL}'\n    '{EVIL}': 1\nvolumes:\n  '{EVIL}':\n"
    page = await (await send(client, NEW, f"{NEW}/check", compose=compose)).get_data(as_text=True)
    assert EVIL not in page and page.count("&lt;script&gt;") >= 3


async def test_a_check_tells_which_variables_have_values(client: Client, roci: Roci, wiki: Application) -> None:
    await roci.write(secrets.put, keyring(roci), f"application/{wiki.id}", "PASSWORD", "hunter2secret")
    compose = COMPOSE + "    command: ${PASSWORD} ${NOTHING} ${SOME:-thing} ${HOME}\n"
    path = f"/applications/{wiki.id}"
    page = await (await send(client, f"{path}/edit", f"{path}/check", compose=compose)).get_data(as_text=True)
    assert "hunter2secret" not in page
    for name, origin in {"PASSWORD": "secret", "NOTHING": "no value", "SOME": "default", "HOME": "given"}.items():
        assert re.search(rf"<code>{name}</code></a>\s*<span[^>]*>{origin}", page), name


async def test_a_backend_that_is_no_more_is_told(client: Client) -> None:
    answer = await send(client, NEW, f"{NEW}/check", backend="pigeons", compose=COMPOSE)
    assert "backend: must be one of" in await answer.get_data(as_text=True)


async def test_a_script_saves_and_stays(client: Client, roci: Roci, wiki: Application) -> None:
    path = f"/applications/{wiki.id}/edit"
    mine = COMPOSE.replace("nginx", "caddy").replace("\n", "\r\n")  # as browsers send it
    status, told = await script(client, path, path, compose=mine, seen="1")
    assert (status, told["seen"]) == (200, "2") and "Saved as revision 2" in told["html"]
    assert await latest(roci, wiki) == COMPOSE.replace("nginx", "caddy")
    status, told = await script(client, path, path, compose="services: []", seen="2")
    assert (status, told["line"]) == (422, 1) and 'role="alert"' in told["html"]
    assert await latest(roci, wiki) == COMPOSE.replace("nginx", "caddy")


async def test_who_saves_second_sees_the_difference_and_may_save_again(
    client: Client, roci: Roci, wiki: Application
) -> None:
    path = f"/applications/{wiki.id}/edit"
    await roci.write(lambda: applications.change(wiki.id, compose=COMPOSE.replace("nginx", "caddy")))
    mine = COMPOSE.replace("nginx", "httpd")
    status, told = await script(client, path, path, compose=mine, seen="1")
    assert (status, told["seen"]) == (409, "2") and "saved revision 2 while you were writing" in told["html"]
    rows = re.findall(r'<tr class="(gone|new)">.*?<td class="text">(.*?)</td>', told["html"])
    assert rows == [
        ("gone", "    image: nginx"),
        ("new", "    image: caddy"),
        ("gone", "    image: caddy"),
        ("new", "    image: httpd"),
    ]
    status, told = await script(client, path, path, compose=mine, seen="9" * 5000)
    assert (status, told["seen"]) == (409, "2")
    status, told = await script(client, path, path, compose=mine, seen="2")
    assert status == 200 and await latest(roci, wiki) == mine


async def test_a_script_that_creates_is_led_to_the_editor(client: Client, roci: Roci) -> None:
    status, told = await script(client, NEW, name="shop", compose=COMPOSE, description="of books", backend="compose")
    (app,) = await roci.read(applications.all_)
    assert (status, told) == (200, {"to": f"/applications/{app.id}/edit"}) and app.description == "of books"


async def test_what_is_saved_and_cannot_be_deployed_is_told(client: Client, roci: Roci) -> None:
    answer = await send(client, NEW, NEW, name="shop", compose=COMPOSE, backend="compose", then="deploy")
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/edit")
    assert "not deployed" in await text(client, answer.headers["Location"])


async def test_what_runs_is_saved_for_its_next_deploy_or_deployed_at_once(
    client: Client, roci: Roci, nas: ScriptedAgent, wiki: Application
) -> None:
    path = f"/applications/{wiki.id}/edit"
    app = await roci.write(lambda: applications.begin_deploy(applications.get(wiki.id), nas.agent_id))
    await roci.write(applications.come_up, app, True)
    assert "until then it runs on as it is" in await text(client, path)
    mine = COMPOSE.replace("nginx", "caddy")
    status, told = await script(client, path, path, compose=mine, seen="1", host_id=nas.agent_id)
    assert status == 200 and "Saved as revision 2" in told["html"]
    status, told = await script(
        client, path, path, compose=mine + "# 3\n", seen="2", then="deploy", host_id=nas.agent_id
    )
    assert status == 200 and told["to"].startswith("/operations/")
    assert (await nas.answer())["compose_yml"] == mine + "# 3\n"


async def test_a_docker_run_becomes_a_compose_file_with_scripts_and_without(client: Client) -> None:
    line = "docker run -d --rm --name shop -p 8081:80 nginx:1"
    status, told = await script(client, f"{NEW}/convert", docker_run=line)
    assert status == 200 and told["name"] == "shop" and "8081:80" in told["compose"] and "--rm" in told["left_out"][0]
    status, told = await script(client, f"{NEW}/convert", docker_run="docker run --wat nginx")
    assert status == 400 and "--wat" in str(told)
    answer = await send(client, NEW, NEW, name="", compose="", docker_run=line, then="convert")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200 and 'value="shop"' in page and "container_name: shop" in page and "--rm" in page
    answer = await send(client, NEW, NEW, name="", compose="mine", docker_run="docker run --wat x", then="convert")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and "docker run --wat x" in page and "--wat is no flag" in page and "mine" in page


async def test_a_text_sent_after_the_stay_is_over_is_shown_back_and_can_be_sent_again(
    client: Client, anonymous: Client, roci: Roci, wiki: Application
) -> None:
    path = f"/applications/{wiki.id}/edit"
    mine = COMPOSE + f"# {EVIL}\n"
    answer = await anonymous.post(path, form={"token": "x", "compose": mine, "seen": "1"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 401 and "# &lt;script&gt;" in page and EVIL not in page
    assert 'name="seen" value="1"' in page and "/login" in page
    assert (await anonymous.post(path, form={"compose": mine}, headers=JSON)).status_code == 401
    assert (await anonymous.post(path, form={"other": "x"})).status_code == 401
    answer = await client.post(path, form={"token": "", "compose": mine, "seen": "1", "then": ""})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 403 and "# &lt;script&gt;" in page and await latest(roci, wiki) == COMPOSE
    again = re.search(r'name="token" value="(\w+)"', page)
    assert again
    answer = await client.post(path, form={"token": again[1], "compose": mine, "seen": "1", "then": ""})
    assert answer.status_code == 303 and await latest(roci, wiki) == mine


async def test_a_text_that_another_site_sends_is_not_shown_as_ones_own(anonymous: Client, wiki: Application) -> None:
    foreign = ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"})
    for path in (NEW, f"/applications/{wiki.id}/edit"):
        for headers in foreign:
            answer = await anonymous.post(path, form={"compose": "theirs: 1\n"}, headers=headers)
            assert answer.status_code == 403 and "theirs" not in await answer.get_data(as_text=True)
        answer = await anonymous.post(path, form={"compose": COMPOSE, "name": "shop", "formaction": "strange"})
        page = await answer.get_data(as_text=True)
        assert answer.status_code == 401 and 'value="shop"' in page and "strange" not in page


async def test_an_older_revision_is_shown_with_what_it_would_change(
    client: Client, roci: Roci, wiki: Application
) -> None:
    await roci.write(lambda: applications.change(wiki.id, compose=COMPOSE.replace("nginx", "caddy")))
    page = await text(client, f"/applications/{wiki.id}/edit?revision=1")
    assert "This is revision 1" in page and "image: caddy</td>" in page and 'name="seen" value="2"' in page
    await text(client, f"/applications/{wiki.id}/edit?revision=77", 404)


async def test_hosts_that_are_away_are_marked(client: Client, nas: ScriptedAgent) -> None:
    assert "(offline)" not in await text(client, NEW)
    await nas.hang_up()
    for _ in range(100):
        if "(offline)" in (page := await text(client, f"{NEW}?host={nas.agent_id}")):
            break
    assert f'value="{nas.agent_id}" selected>nas (offline)' in page


async def test_who_may_write_and_not_deploy_has_no_button_for_it_and_is_refused(
    roci: Roci, anonymous: Client, wiki: Application
) -> None:
    await somebody(roci, anonymous, Rule("applications.read"), Rule("applications.write"))
    path = f"/applications/{wiki.id}/edit"
    assert 'value="deploy"' not in await text(anonymous, path) and 'value="deploy"' not in await text(anonymous, NEW)
    status, _ = await script(anonymous, path, path, compose=COMPOSE + "#\n", seen="1", then="deploy")
    assert status == 403 and await latest(roci, wiki) == COMPOSE
    status, _ = await script(anonymous, NEW, name="shop", compose=COMPOSE, backend="compose", then="deploy")
    assert status == 403 and len(await roci.read(applications.all_)) == 1


async def test_who_may_only_read_gets_no_editor(roci: Roci, anonymous: Client, wiki: Application) -> None:
    await somebody(roci, anonymous, Rule("applications.read"))
    for path in (NEW, f"/applications/{wiki.id}/edit"):
        await text(anonymous, path, 403)
    for path in (f"{NEW}/check", f"{NEW}/convert", f"/applications/{wiki.id}/check"):
        assert (await anonymous.post(path, form={"compose": COMPOSE})).status_code == 403


async def test_long_texts_are_compared_and_judged_beside_the_loop(
    client: Client, roci: Roci, wiki: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[str] = []

    def noted(work: Any) -> Any:
        def done(*args: Any) -> Any:
            where.append(threading.current_thread().name)
            return work(*args)

        return done

    monkeypatch.setattr(diffs, "lines", noted(diffs.lines))
    monkeypatch.setattr(roci.backends["compose"], "validate", noted(roci.backends["compose"].validate))
    path = f"/applications/{wiki.id}"
    await script(client, NEW, name="other", compose=COMPOSE)
    for seen in ("1", "1"):  # the second one is outdated
        await script(client, f"{path}/edit", compose=f"{COMPOSE}# {len(where)}\n", seen=seen)
    await text(client, f"{path}/edit?revision=1")
    assert len(where) >= 6 and {name.partition("_")[0] for name in where} == {"asyncio"}
