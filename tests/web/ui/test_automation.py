"""Automation on pages: keys made, limited and revoked, registry credentials, runs grouped, and who may not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Outcome, Roci, now
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import (
    access,
    applications,
    automation,
    credentials,
    hosts,
    keyring,
    operations,
    principals,
    registries,
)
from roci_plugins.domain.automation import AutomationKey
from roci_plugins.domain.operations import Cause, current_cause
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

from .reading import EVIL, send, text, topics

PAGE = "/automation"
KEY = {"name": "shop CI", "operations": "deploy", "rate": "100", "expires": "2099-12-31", "networks": "10.0.0.0/8"}
CREDENTIAL = {"name": "lan", "registry_type": "generic", "registry_url": "registry.lan:5000", "username": "ann"}


async def made(client: Client, roci: Roci, **changes: str) -> tuple[str, AutomationKey]:
    """The page that shows a new key's secret, and the key."""
    answer = await send(client, PAGE, PAGE, **{**KEY, **changes})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    return await answer.get_data(as_text=True), (await roci.read(automation.list_))[0][0]


async def test_a_key_is_made_and_its_secret_shown_once_with_an_example(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", "services:\n  web:\n    image: nginx\n"))
    page, row = await made(client, roci, application=app.id)
    secret = re.search(r"<code>(rca_[\w-]+)<", page)
    assert secret and await roci.read(automation.verify, secret[1])
    assert "/api/automation/v1/deploy" in page and app.id in page and "${{ secrets.ROCI_KEY }}" in page
    assert (row.name, row.allowed_operations, row.ip_allowlist) == ("shop CI", ["deploy"], ["10.0.0.0/8"])
    assert row.expires_at and row.expires_at.isoformat() == "2100-01-01T00:00:00+00:00"
    for path in (PAGE, f"{PAGE}/keys/{row.id}"):
        page = await text(client, path)
        assert "shop CI" in page and "deploy applications" in page and secret[1] not in page


async def test_whether_a_key_works_is_renewed_by_events_and_by_the_clock(client: Client, roci: Roci) -> None:
    _page, row = await made(client, roci)
    path = f"{PAGE}/keys/{row.id}"
    assert topics(await text(client, PAGE), "list") == {"automation_key", "operations", "beats"}
    page = await text(client, path)
    assert topics(page, "key") == {"automation_key", "beats"} and f'action="{path}/revoke"' in page
    await roci.write(automation.revoke, row.id)
    part = await text(client, f"{path}?part=key")
    assert "revoked</span>" in part and "/revoke" not in part and "Change what it may" not in part


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"name": " "}, "name", id="no name"),
        pytest.param({"networks": "everywhere"}, "ip_allowlist", id="no network"),
        pytest.param({"expires": "2001-01-01"}, "expires_at", id="over"),
        pytest.param({"expires": "soon"}, "expires_at", id="no day"),
        pytest.param({"rate": "lots"}, "rate_limit_per_minute", id="no number"),
        pytest.param({"rate": "9" * 5000}, "rate_limit_per_minute", id="a long number"),
    ],
)
async def test_what_is_wrong_with_a_key_is_said_at_its_field(
    client: Client, roci: Roci, changes: dict[str, str], field: str
) -> None:
    answer = await send(client, PAGE, PAGE, **{**KEY, **changes})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and re.search(rf'id="{field}-wrong">.+<', page)
    assert "2099-12-31" in page or "expires" in changes
    assert await roci.read(automation.list_) == ([], 0)


async def test_a_key_is_changed_and_revoked(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    _, row = await made(client, roci)
    one = f"{PAGE}/keys/{row.id}"
    form = {**KEY, "name": "cd", "operations": "exec", "hosts": nas.agent_id, "networks": ""}
    assert (await send(client, one, one, **form)).headers["Location"] == one
    row = await roci.read(automation.get, row.id)
    assert (row.name, row.allowed_operations, row.allowed_server_ids) == ("cd", ["exec"], [nas.agent_id])
    assert row.expires_at and row.ip_allowlist == []
    await send(client, one, f"{one}/revoke")
    assert (await roci.read(automation.get, row.id)).state == "revoked"
    page = await text(client, one)
    assert "revoked" in page and "<button>Save" not in page


async def test_a_host_that_is_gone_still_narrows_its_key(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    """Without it the key would be for all hosts: only who takes its tick away makes it so."""
    gone = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    _, row = await made(client, roci, hosts=gone)
    page = await text(client, f"{PAGE}/keys/{row.id}")
    assert f'value="{gone}" checked' in page and "another host (00000000…)" in page


async def did(roci: Roci, host_id: str, run_id: str, **context: Any) -> None:
    def write() -> str:
        token = current_cause.set(Cause(run_id, context))
        row = operations.begin("exec", hosts.get(host_id), 60)
        current_cause.reset(token)
        return str(row.id)

    id = await roci.write(write)
    await roci.write(operations.finish, id, Outcome("succeeded", "done", 0))


async def test_runs_are_grouped_with_what_was_said_of_them(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await did(roci, nas.agent_id, "4711", repository="me/shop", sha=EVIL)
    await did(roci, nas.agent_id, "4711")
    page = await text(client, "/automation/runs")
    assert page.count("<strong>4711</strong>") == 1 and "me/shop" in page and "2 operations" in page
    assert EVIL not in page and "&lt;script&gt;" in page
    assert "4711" not in await text(client, "/automation/runs?key=none")


async def test_a_registry_credential_is_kept_changed_and_removed(client: Client, roci: Roci) -> None:
    page = f"{PAGE}/registries"
    answer = await send(client, page, page, secret="hush-hush", **CREDENTIAL)
    assert answer.headers["Location"] == page
    (row,) = await roci.read(registries.list_)
    one = f"{page}/{row.id}"
    for path in (page, one):
        assert "hush-hush" not in await text(client, path)
    await send(client, one, one, **{**CREDENTIAL, "name": "home", "secret": ""})
    assert (await roci.read(registries.get, row.id)).name == "home"
    assert await roci.read(registries.password, keyring.of(roci), row.id) == "hush-hush"
    answer = await send(client, one, one, **{**CREDENTIAL, "registry_url": "elsewhere.lan", "secret": ""})
    body = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'id="secret-wrong">send it again, since registry_url has changed' in body
    await send(client, page, f"{one}/remove")
    assert await roci.read(registries.list_) == []


async def test_a_credential_shows_the_keys_that_are_limited_to_it(client: Client, roci: Roci) -> None:
    page = f"{PAGE}/registries"
    await send(client, page, page, secret="hush-hush", **CREDENTIAL)
    (row,) = await roci.read(registries.list_)
    _, key = await made(client, roci, credentials=row.id)
    assert f'<a href="/automation/keys/{key.id}">shop CI</a>' in await text(client, page)
    assert (await send(client, page, f"{page}/{row.id}/remove")).status_code == 409


async def test_a_credential_without_an_address_says_so(client: Client) -> None:
    page = f"{PAGE}/registries"
    answer = await send(client, page, page, secret="x", **{**CREDENTIAL, "registry_url": ""})
    body = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'id="registry_url-wrong">is required for generic' in body
    assert 'value="ann"' in body


async def test_who_may_only_look_has_no_forms(client: Client, roci: Roci, anonymous: Client) -> None:
    _, row = await made(client, roci)
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("automation.list"), Rule("registries.list")]))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.delete_cookie("localhost", "roci_session")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    page = await text(anonymous, PAGE)
    assert (
        "shop CI" in page
        and "<button" not in page.partition("<main")[2].partition("</main>")[0]
        and "/automation/runs" not in page
    )
    await text(anonymous, "/automation/runs", 403)
    for path in (PAGE, f"{PAGE}/keys/{row.id}", f"{PAGE}/keys/{row.id}/revoke", f"{PAGE}/registries"):
        assert (await anonymous.post(path)).status_code == 403
    assert (await roci.read(automation.get, row.id)).expires_at > now()
