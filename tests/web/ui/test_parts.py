"""Parts of pages ask for themselves where their page lies, also those of a page that answers a form."""

from __future__ import annotations

import html
import re

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import alerts, applications, automation, keyring, policies, principals, registries
from roci_plugins.domain.alerts import NewThreshold
from roci_plugins.domain.automation import NewKey
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.registries import NewCredential

from .reading import send
from .test_channels import added

ENDS = ("remove", "delete", "revoke")  # what these are about is not there afterwards
MINE = re.compile(r"[.]web[.](ui[.]|account$)")
FORM = {"name": "bob", "kind": "person", "how": "made", "recipients": "no key", "image": "nginx"}


@pytest.fixture
async def subjects(roci: Roci, client: Client, nas: ScriptedAgent) -> dict[str, str]:
    """What stands in addresses after each of these; the host is not connected, so that it refuses at once."""
    ring = keyring.of(roci)
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    app = await roci.write(lambda: applications.add("wiki", "services:\n  web:\n    image: nginx\n"))
    ann = await roci.write(principals.add, NewPrincipal("ann"))
    key, _secret = await roci.write(automation.issue, ann.id, NewKey("ci"))
    credential = NewCredential("lan", "ann", Sensitive("x"), "generic", "registry.lan")
    return {
        "/hosts": nas.agent_id,
        "/applications": app.id,
        "/people": ann.id,
        "/people/roles": "admin",
        "/alerts/rules": (await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", 90.0, "gt"))).id,
        "/alerts/channels": (await added(client, **{"set-url": "http://127.0.0.1:1/"})).rpartition("/")[2],
        "/policies": (await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")).id,
        "/automation/keys": key.id,
        "/automation/registries": (await roci.write(registries.add, ring, credential)).id,
    }


def forms(app: Quart, subjects: dict[str, str]) -> list[str]:
    """Where forms of pages are sent to, those last that end what they are about."""
    found = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and MINE.search(app.view_functions[rule.endpoint].__module__)
    ]
    return [filled(rule, subjects) for rule in sorted(found, key=lambda rule: rule.endswith(ENDS))]


def filled(rule: str, subjects: dict[str, str]) -> str:
    """An address that a rule describes: the first gap is for the subject, of others there is none."""
    subject = subjects.get(rule.partition("/<")[0], "-")
    return re.sub(r"<[^>]+>", "1", re.sub(r"<[^>]+>", subject, rule, count=1))


async def test_the_parts_of_whatever_answers_a_form_can_be_asked_for(
    client: Client, app: Quart, subjects: dict[str, str]
) -> None:
    asked, lost = set[str](), list[tuple[str, str]]()
    for path in forms(app, subjects):
        answer = await send(client, "/account", path, **FORM)
        found = re.findall(r'hx-get="([^"]+[?]part=[^"]+)"', await answer.get_data(as_text=True))
        for part in {html.unescape(each) for each in found} - asked:
            asked.add(part)
            answer = await client.get(part)
            words = await answer.get_data(as_text=True)
            if answer.status_code != 200 or "<h1" in words or "<html" in words:
                lost.append((path, part))
    assert not lost
    for page in (f"/people/{subjects['/people']}", f"/alerts/channels/{subjects['/alerts/channels']}", "/account"):
        assert any(part.startswith(f"{page}?") for part in asked), page
