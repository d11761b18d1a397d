"""What pages name to somebody: no hosts and applications that they may not see, but those a form has chosen already."""

from __future__ import annotations

import datetime

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, now
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.sample import Disk, Sample
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, applications, credentials, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui import shown
from roci_plugins.work import enrol
from roci_plugins.work.metrics import Metrics

from .reading import text

COMPOSE = "services:\n  web:\n    image: nginx\n"


async def somebody(roci: Roci, client: Client, *rules: Rule) -> None:
    """Sign a client in who may do this only."""
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await roci.write(access.add_role, NewRole("some", list(rules)))
    await roci.write(access.bind, "bob", "some")
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))


@pytest.mark.parametrize(
    ("rights", "path"),
    [
        ("applications.read", "/applications"),
        ("applications.read applications.write", "/applications/new"),
        ("applications.read applications.write applications.deploy", "/applications/{wiki}"),
        ("applications.read applications.write", "/applications/{wiki}/edit"),
        ("applications.read applications.write", "/applications/{wiki}/manage"),
        ("operations.read", "/operations"),
        ("operations.read", "/activity"),
        ("thresholds.list thresholds.create", "/alerts/rules"),
        ("policies.read", "/policies"),
        ("server.read", "/system"),
        ("policies.read", "/people/access"),
    ],
    ids=lambda value: value.strip("/").replace("/", "-").replace(" ", "+"),
)
async def test_hosts_are_named_to_who_may_see_them(
    anonymous: Client, roci: Roci, nas: ScriptedAgent, rights: str, path: str
) -> None:
    wiki = await roci.write(lambda: applications.add("wiki", COMPOSE))
    await somebody(roci, anonymous, *(Rule(right) for right in rights.split()))
    page = await text(anonymous, path.format(wiki=wiki.id))
    assert nas.agent_id not in page and ">nas<" not in page
    if not path.startswith("/applications"):
        assert "wiki" not in page
    await roci.write(access.change_role, "some", rules=[*map(Rule, rights.split()), Rule("hosts.read")])
    if path.startswith(("/operations", "/activity", "/alerts", "/system", "/applications")):
        assert nas.agent_id in await text(anonymous, path.format(wiki=wiki.id))


async def test_a_right_on_one_host_shows_that_host(anonymous: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await somebody(roci, anonymous, Rule("operations.read"), Rule("hosts.read", f"host/{nas.agent_id}"))
    assert f'value="{nas.agent_id}"' in await text(anonymous, "/operations")
    assert f'value="{nas.agent_id}"' in await text(anonymous, "/activity")


async def test_a_right_on_one_application_shows_its_name(anonymous: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await roci.write(lambda: applications.add("blog", COMPOSE, host_id=nas.agent_id))
    wiki = await roci.write(lambda: applications.add("wiki", COMPOSE, host_id=nas.agent_id))
    rights = map(Rule, ("hosts.read", "hosts.remove", "operations.read"))
    await somebody(roci, anonymous, Rule("applications.read", f"application/{wiki.id}"), *rights)
    for path in ("/operations", "/activity", f"/hosts/{nas.agent_id}/manage"):
        page = await text(anonymous, path)
        assert "wiki" in page and "blog" not in page, path


async def test_an_application_keeps_the_host_that_its_editor_may_not_see(
    anonymous: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    wiki = await roci.write(lambda: applications.add("wiki", COMPOSE, host_id=nas.agent_id))
    await somebody(roci, anonymous, Rule("applications.read"), Rule("applications.write"))
    for page in ("manage", "edit"):
        path = f"/applications/{wiki.id}/{page}"
        assert f'value="{nas.agent_id}" selected>' in await text(anonymous, path)


async def test_hosts_of_one_name_are_offered_with_their_addresses(client: Client, roci: Roci) -> None:
    async with scripted_agent(roci) as one, scripted_agent(roci) as other, scripted_agent(roci) as third:
        for agent, name, address in ((one, "vm", "192.0.2.1"), (other, "VM", "192.0.2.2"), (third, "pi", "192.0.2.3")):
            await agent.register(name, ip_address=address)
            await enrol.approve(roci, agent.agent_id)
        wiki = await roci.write(lambda: applications.add("wiki", COMPOSE))
        for path in ("/applications/new", f"/applications/{wiki.id}", f"/applications/{wiki.id}/manage", "/operations"):
            page = await text(client, path)
            assert ">vm (192.0.2.1)<" in page and ">VM (192.0.2.2)<" in page and ">pi<" in page, path
            assert ">vm<" not in page, path


BUSY = Sample(timestamp="", cpu_percent=37.0, disk_usage=[Disk("/", 100, 83, 17, 83.0)])


async def test_a_host_that_is_away_has_no_figures_of_now(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    roci.part(Metrics).accept(nas.agent_id, BUSY)
    for path in ("/", "/hosts", f"/hosts/{nas.agent_id}"):
        page = await text(client, path)
        assert 'value="37.0"' in page and 'value="83.0"' in page, path
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    for path in ("/", "/hosts", f"/hosts/{nas.agent_id}"):
        page = await text(client, path)
        assert 'value="37.0"' not in page and 'value="83.0"' not in page, path


async def test_figures_that_a_host_told_long_ago_are_not_those_of_now(
    client: Client, roci: Roci, nas: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    roci.part(Metrics).accept(nas.agent_id, BUSY)
    monkeypatch.setattr(shown, "now", lambda: now() + datetime.timedelta(minutes=10))
    page = await text(client, f"/hosts/{nas.agent_id}")
    assert "online" in page and 'value="37.0"' not in page
