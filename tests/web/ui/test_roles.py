"""Roles as forms have them, why somebody may do something, and identity providers without their secrets."""

from __future__ import annotations

import re

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Invalid, Roci
from roci_plugins.domain import access, keyring, principals, providers, roles, spaces
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.providers import NewProvider
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.web.ui.people.roles import joined, meaning, split

from .reading import text
from .test_people import sent, signed_in


def test_rules_become_ticks_and_lines_and_rules_again(roci: Roci) -> None:
    rules = [Rule("hosts.*"), Rule("alerts.read"), Rule("containers.*", "host/nas"), Rule("app:crm:read")]
    ticked, lines = split(rules, roci.permissions)
    assert (ticked, lines) == (["hosts.*", "alerts.read"], ["containers.* on host/nas", "app:crm:read on *"])
    assert set(joined(ticked, "\n".join(lines))) == set(rules)
    assert joined(["*"], "  \n") == [Rule("*")]


def test_a_line_that_is_no_rule_is_named() -> None:
    with pytest.raises(Invalid, match="line 2"):
        joined([], "hosts.read\nhosts.read on host/a b c")


def test_patterns_are_said_in_words(roci: Roci) -> None:
    said = [meaning(action, roci.permissions) for action in ("*", "hosts.*", "hosts.read", "hosts.r*")]
    assert said == ["everything", "everything about hosts", "see hosts and their containers", ""]


async def made(client: Client, name: str, further: str = "", *ticked: str) -> tuple[int, str]:
    """A role by its form; a form has one value a name here, so further ticks are lines."""
    lines = "\n".join([*ticked, further])
    return await sent(client, "/people/new-role", "/people/new-role", name=name, further=lines, description="for tests")


async def test_a_role_is_made_given_and_removed(client: Client, roci: Roci) -> None:
    status, _page = await made(client, "watcher", "containers.logs on host/nas", "hosts.read")
    assert status == 303
    row = await roci.read(roles.get, "watcher")
    assert row.grants == [Rule("hosts.read"), Rule("containers.logs", "host/nas")]
    page = await text(client, "/people/roles/watcher")
    assert "see hosts and their containers" in page and "Nobody." in page

    path = "/people/roles/watcher"
    assert (await sent(client, path, f"{path}/bindings", subject="ann"))[0] == 303
    status, page = await sent(client, path, f"{path}/bindings", subject="not a name")
    assert status == 422 and "the name of somebody" in page
    (remove,) = re.findall(rf'action="({path}/bindings/[^"]+/remove)"', page)
    assert (await sent(client, path, remove))[0] == 303
    assert (await sent(client, path, f"{path}/remove", confirm="watchers"))[0] == 409
    assert (await sent(client, path, f"{path}/remove", confirm="watcher"))[0] == 303
    assert "watcher" not in {row.name for row in await roci.read(roles.all_)}


async def test_a_role_is_changed_and_what_was_typed_stays_when_it_is_refused(client: Client, roci: Roci) -> None:
    await roci.write(access.add_role, NewRole("watcher", [Rule("hosts.read")]))
    path = "/people/roles/watcher/edit"
    assert re.search(r'value="hosts.read"[^>]* checked', await text(client, path))
    status, page = await sent(client, path, path, rule="alerts.read", further="one two three four", description="x")
    assert status == 422 and 'id="w-further"' in page and "one two three four" in page
    assert re.search(r'value="alerts.read"[^>]* checked', page)
    assert (await sent(client, path, path, rule="alerts.read", further="", description="all alerts"))[0] == 303
    row = await roci.read(roles.get, "watcher")
    assert (row.grants, row.description) == ([Rule("alerts.read")], "all alerts")


async def test_nobody_makes_a_role_of_what_they_lack(client: Client, roci: Roci, app: Quart) -> None:
    helper = await signed_in(roci, app, "helper", "roles.*")
    status, page = await made(helper, "mine", "*")
    assert status == 403 and "nobody grants what they lack" in page and 'value="mine"' in page


async def test_the_role_of_administrators_keeps_its_rules(client: Client, roci: Roci) -> None:
    page = await text(client, "/people/roles/admin/edit")
    assert "always grants everything" in page and 'name="rule"' not in page
    assert (await sent(client, "/people/roles/admin", "/people/roles/admin/remove", confirm="admin"))[0] == 409
    assert "Everything, everywhere" in await text(client, "/people/roles")


# --- why ---------------------------------------------------------------------------


async def test_why_is_told_with_the_binding_and_the_role(client: Client, roci: Roci) -> None:
    await roci.write(principals.add, NewPrincipal("ann"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("hosts.read", "host/nas")]))
    await roci.write(access.bind, "ann", "watcher")
    yes = await text(client, "/people/access?subject=ann&action=hosts.read&resource=host/nas")
    assert "ann may do this" in yes and 'href="/people/roles/watcher"' in yes and "bound to ann" in yes
    no = await text(client, "/people/access?subject=ann&action=hosts.read&resource=host/pi")
    assert "ann may not do this" in no and "Not enough" in no and 'href="/people/roles/admin"' in no
    status = await text(client, "/people/access?subject=nobody&action=hosts.read", 404)
    assert "there is nobody named" in status
    await text(client, f"/people/access?subject=ann&action={'x' * 301}", 422)


async def test_everybody_may_ask_about_themselves_and_about_others_only_with_the_right(
    client: Client, roci: Roci, app: Quart
) -> None:
    bob = await signed_in(roci, app, "bob", "hosts.read")
    page = await text(bob, "/people/access?action=hosts.read")
    assert "bob may do this" in page and "admin" not in page.partition("<main")[2]
    assert "may not do this: it needs access.explain" in await text(
        bob, "/people/access?subject=admin&action=hosts.read", 403
    )


@pytest.mark.parametrize("path", ["/people/{ann}/roles", "/people/roles/watcher/bindings"])
async def test_a_refusal_to_take_back_does_not_tell_in_which_space_it_would_be(
    client: Client, roci: Roci, app: Quart, path: str
) -> None:
    ann = await roci.write(principals.add, NewPrincipal("ann"))
    await roci.write(access.add_role, NewRole("watcher", [Rule("hosts.read")]))
    await roci.write(spaces.add, "home")
    held = await roci.write(access.bind, "ann", "watcher", "home")
    bob, place = await signed_in(roci, app, "bob", "principals.list"), path.format(ann=ann.id)
    told = [await sent(bob, "/account", f"{place}/{id}/remove") for id in (held.id, "unknown")]
    assert [status for status, _ in told] == [403, 403]
    assert all("it needs bindings.delete<" in page for _, page in told)


# --- identity providers ------------------------------------------------------------


async def test_providers_are_listed_without_their_secrets(client: Client, roci: Roci, app: Quart) -> None:
    new = NewProvider("home", "Home <b>ID</b>", "https://id.example.org", "roci")
    await roci.write(providers.put, keyring.of(roci), new, "very secret")
    page = await text(client, "/people/providers")
    assert "https://id.example.org" in page and "<b>ID" not in page
    form = await text(client, "/people/providers/home")
    assert "very secret" not in form and 'value="https://id.example.org"' in form
    path = "/people/providers/home"
    assert (await sent(client, path, f"{path}/remove", confirm="house"))[0] == 409
    assert (await sent(client, path, f"{path}/remove", confirm="home"))[0] == 303
    reader = await signed_in(roci, app, "reader", "providers.list")
    await text(reader, "/people/providers")
    await text(reader, "/people/providers/new", 403)


async def test_a_provider_that_is_none_is_refused_beside_its_field(client: Client, roci: Roci) -> None:
    form = {"id": "home", "display_name": "Home", "issuer": "http://id.example.org", "client_id": "roci"}
    given = {**form, "scopes": "openid", "default_role": "base"}
    status, page = await sent(client, "/people/providers/new", "/people/providers/new", **given)
    assert status == 422 and 'id="w-issuer"' in page and 'value="http://id.example.org"' in page
    assert await roci.read(providers.all_) == []
