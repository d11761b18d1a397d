"""Parts of pages ask for themselves where their page lies, also those of a page that answers a form."""

from __future__ import annotations

import html
import logging
import re
from html.parser import HTMLParser

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import (
    access,
    alerts,
    applications,
    automation,
    credentials,
    keyring,
    policies,
    principals,
    quiet,
    registries,
)
from roci_plugins.domain.alerts import NewThreshold
from roci_plugins.domain.automation import NewKey
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.quiet import NewQuietHours
from roci_plugins.domain.registries import NewCredential

from .reading import send, text
from .test_channels import added

LAN = {"type": "cidr", "network": "192.168.0.0/16"}
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
    for who in (ann, await roci.read(principals.by_name, "admin")):
        await roci.write(credentials.issue, who.id, "nightly")
        await roci.write(credentials.log_in, who)
    await roci.write(access.bind, "ann", "admin")
    await roci.write(quiet.add, NewQuietHours("night", [0], "22:00", "07:00"))
    key, _secret = await roci.write(automation.issue, ann.id, NewKey("ci"))
    credential = NewCredential("lan", "ann", Sensitive("x"), "generic", "registry.lan")
    return {
        "/hosts": nas.agent_id,
        "/applications": app.id,
        "/people": ann.id,
        "/people/roles": "admin",
        "/alerts/rules": (await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", 90.0, "gt"))).id,
        "/alerts/channels": (await added(client, **{"set-url": "http://127.0.0.1:1/"})).rpartition("/")[2],
        "/policies": (await roci.write(policies.add, "lan", 1, LAN, "approve")).id,
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


UNREAD = {  # tables of which a part shows nothing
    "/account?part=codes": {"token"},
    "/account?part=passkeys": {"token"},
    "/account?part=tokens": {"passkey", "recovery_code"},
    "/account?part=stays": {"passkey", "token"},
    "/people/{/people}?part=state": {"binding", "role"},
    "/people/{/people}?part=roles": {"passkey", "identity", "token"},
    "/people/{/people}?part=tokens": {"passkey", "identity", "binding"},
    "/people/{/people}?part=stays": {"passkey", "identity", "binding", "token"},
    "/people/{/people}?part=danger": {"identity", "binding", "token"},
    "/automation?part=list": {"application", "registry_credential"},
    "/automation/keys/{/automation/keys}?part=key": {"application", "registry_credential", "operation"},
    "/automation/keys/{/automation/keys}?part=done": {"application", "registry_credential"},
}


async def test_what_a_part_does_not_show_is_not_read_for_it(
    client: Client, subjects: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "peewee")
    for address, unread in UNREAD.items():
        part = address.format_map(subjects)
        assert unread <= await read(client, part.partition("?")[0], caplog), f"{address}: the whole page reads these"
        assert not unread & await read(client, part, caplog), address


async def read(client: Client, path: str, caplog: pytest.LogCaptureFixture) -> set[str]:
    """The tables that are asked for a page."""
    caplog.clear()
    await text(client, path)
    asked = "".join(str(record.msg) for record in caplog.records if record.name == "peewee")
    return set(re.findall(r'(?:FROM|JOIN) "(\w+)"', asked))


class Rows(HTMLParser):
    """Forms in parts of a page; `nameless`: those that no id tells from their neighbours when these come or go."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, bool, bool]] = []  # (tag, is a part, has an id)
        self.count, self.nameless = 0, list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("input", "meta", "link", "br", "hr", "img"):
            return
        self.open.append((tag, "?part=" in (given.get("hx-get") or ""), "id" in given))
        part = max((place for place, (_tag, is_part, _id) in enumerate(self.open) if is_part), default=None)
        if tag == "form" and part is not None:
            self.count += 1
            if not any(has_id for _tag, _part, has_id in self.open[part + 1 :]):
                self.nameless.append(given.get("action") or "")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass


FORMS = {  # how many forms the parts of each have at least
    "/people": 4,
    "/people/roles": 2,
    "/account": 4,
    "/alerts/channels": 1,
    "/alerts/rules": 1,
    "/alerts/quiet": 1,
    "/automation/registries": 1,
    "/policies": 2,
}


async def test_what_lies_under_the_mouse_is_no_neighbours_button_when_rows_come_or_go(
    client: Client, roci: Roci, subjects: dict[str, str]
) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("newcomer")
        for page, forms in FORMS.items():
            path = f"{page}/{subjects[page]}" if page.startswith("/people") else page
            rows = Rows(await text(client, path))
            assert rows.count >= forms and not rows.nameless, path


PAGES = (
    "/ /hosts /containers /applications /operations /activity /alerts /alerts/rules /alerts/channels /alerts/quiet"
    " /automation /automation/registries /automation/runs /policies /people /people/roles /people/providers /system"
    " /account"
)


async def test_pages_are_told_of_all_that_their_parts_ask_for(client: Client, subjects: dict[str, str]) -> None:
    for path in (*PAGES.split(), *(f"{noun}/{subject}" for noun, subject in subjects.items())):
        page = html.unescape(await text(client, path))
        told = re.search(r'data-live="/live[?]topics=([^&"]+)', page)
        asked = set(re.findall(r"live-([\w-]+) from:body", page))
        assert told and asked <= {topic.replace("/", "-") for topic in told[1].split(",")}, path
