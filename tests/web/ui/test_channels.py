"""Channels and quiet hours on pages: forms made of what notifiers declare, true tests, what waits, and who may not."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, Unavailable, now
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import alerts, channels, keyring, notices, quiet
from roci_plugins.domain.alerts import NewThreshold
from roci_plugins.domain.channels import Channel
from roci_plugins.domain.notices import Delivery, Notice
from roci_plugins.notifiers.webhook import WebhookNotifier
from roci_plugins.work.notify import Courier

from .reading import send, text, topics

NEW = "/alerts/channels/new?kind=webhook"
SECRET = "https://hook.lan/very-secret"
FORM = {"kind": "webhook", "name": "phone", "set-url": SECRET, "min_severity": "info", "which": "all", "enabled": "yes"}


class Post(WebhookNotifier):
    """Delivers nothing anywhere: it keeps what it was given, or says why not."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.trouble = ""

    async def send(self, settings: Any, notice: Any) -> None:
        if self.trouble:
            raise Unavailable(self.trouble)
        self.sent.append(notice)


@pytest.fixture
def post(roci: Roci) -> Post:
    found = Post()
    roci.part(Courier).notifiers = {**roci.part(Courier).notifiers, "webhook": found}
    return found


async def added(client: Client, **changes: str) -> str:
    """The path of a new channel."""
    answer = await send(client, NEW, "/alerts/channels/new", **{**FORM, **changes})
    assert answer.status_code == 303, await answer.get_data(as_text=True)
    return str(answer.headers["Location"])


async def settings(roci: Roci, path: str) -> dict[str, Any]:
    return await roci.read(channels.settings, keyring.of(roci), path.rpartition("/")[2])


async def test_every_kind_has_a_form_of_its_own(client: Client) -> None:
    page = await text(client, "/alerts/channels")
    assert all(f"kind={kind}" in page for kind in ("webhook", "email", "apprise"))
    page = await text(client, "/alerts/channels/new?kind=email")
    assert 'name="set-port"' in page and 'value="587"' in page and 'type="password"' in page
    await text(client, "/alerts/channels/new?kind=pigeon", 404)


async def test_a_channel_is_added_and_its_secret_never_shown(client: Client, roci: Roci) -> None:
    path = await added(client)
    assert (await settings(roci, path))["url"] == SECRET
    for page in ("/alerts/channels", path):
        assert SECRET not in await text(client, page)
    assert "kept: leave blank" in await text(client, path)


async def test_what_is_wrong_is_said_at_its_field_and_the_rest_stays(client: Client, roci: Roci) -> None:
    answer = await send(client, NEW, "/alerts/channels/new", **{**FORM, "set-url": "ftp://x", "set-key": "short"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'id="set-url-wrong">an address is needed' in page and 'value="phone"' in page
    answer = await send(client, NEW, "/alerts/channels/new", **{**FORM, "set-url": ""})
    assert 'id="set-url-wrong">is required' in await answer.get_data(as_text=True)
    await added(client)
    answer = await send(client, NEW, "/alerts/channels/new", **FORM)
    assert 'id="name-wrong">a channel named &#39;phone&#39; already exists' in await answer.get_data(as_text=True)
    answer = await send(client, NEW, "/alerts/channels/new", **{**FORM, "name": "x", "which": "some"})
    assert 'id="host_ids-wrong">tick at least one' in await answer.get_data(as_text=True)
    assert len(await roci.read(channels.all_)) == 1


async def test_a_secret_left_blank_stays_and_another_replaces_it(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    path = await added(client, **{"set-key": "0123456789"})
    form = {**FORM, "name": "pager", "set-url": "", "set-key": "", "which": "some", "hosts": nas.agent_id}
    assert (await send(client, path, path, **form)).status_code == 303
    row: Channel = await roci.read(channels.get, path.rpartition("/")[2])
    assert (row.name, row.host_ids) == ("pager", [nas.agent_id])
    assert await settings(roci, path) == {"url": SECRET, "key": "0123456789", "token": None}
    answer = await send(client, path, path, **{**form, "set-url": "https://elsewhere.lan"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and "send it again, since settings.url has changed" in page
    answer = await send(client, path, path, **{**form, "set-url": "https://elsewhere.lan", "set-key-forget": "yes"})
    assert answer.status_code == 303
    assert await settings(roci, path) == {"url": "https://elsewhere.lan", "key": None, "token": None}


async def test_a_test_tells_how_it_really_went(client: Client, roci: Roci, post: Post) -> None:
    path = await added(client)
    await send(client, path, f"{path}/test")
    assert [each.kind for each in post.sent] == ["test"]
    assert "The test notice arrived" in await text(client, path)
    post.trouble = "hook.lan answered 500"
    answer = await send(client, path, f"{path}/test")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 503 and "phone was not reached: hook.lan answered 500" in page
    assert f'action="{path}" class="narrow"' in page and f'href="{path}?status=failed"' in page  # of the channel's page


async def test_how_notices_fare_is_renewed_though_no_event_tells_it(client: Client, roci: Roci) -> None:
    path = await added(client)
    assert topics(await text(client, "/alerts/channels"), "channels") == {"alerts", "channel", "beats"}
    assert topics(await text(client, "/alerts/quiet"), "hours") == {"alerts", "quiet_hours", "beats"}
    page = await text(client, path)
    assert topics(page, "deliveries") == {"alerts", "channel", "beats"} and topics(page, "acts") == {"channel"}
    assert f'formaction="{path}/off"' in page
    await roci.part(Courier).change(path.rpartition("/")[2], enabled=False)
    acts = await text(client, f"{path}?part=acts")
    assert f'formaction="{path}/on"' in acts and "What went out" not in acts


async def test_a_test_of_a_rule_goes_to_whom_it_would_tell(
    client: Client, roci: Roci, post: Post, nas: ScriptedAgent
) -> None:
    path = await added(client)
    await added(client, name="pager", min_severity="critical")
    rule = await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", 80.0, "gt"))
    await send(client, "/alerts/rules", f"/alerts/rules/{rule.id}/test")
    assert "A test notice is on its way to phone" in await text(client, "/alerts/rules")
    while not post.sent:
        assert "Test: nas: cpu" in await text(client, path)
    assert [(each.kind, each.hostname) for each in post.sent] == [("test", "nas")]
    assert await roci.read(alerts.open_) == []


async def test_what_was_given_up_says_why_and_is_tried_again(client: Client, roci: Roci, post: Post) -> None:
    path = await added(client)

    def give_up() -> str:
        (row,) = notices.enqueue(Notice("alert.fired", "nas: cpu", "too much", "critical"))
        notices.fail([row.id], "nobody is there", now(), lambda _: 10.0, 0.0)
        return str(row.id)

    id = await roci.write(give_up)
    page = await text(client, f"{path}?status=failed")
    assert "nobody is there" in page and "Try again" in page
    assert "Try again" not in await text(client, f"{path}?status=delivered")
    assert (await send(client, path, f"{path}/deliveries/{id}/retry")).status_code == 303

    async def status() -> str:
        return str((await roci.read(Delivery.by_id, id)).status)

    while await status() == "pending":
        pass
    assert await status() == "delivered" and [each.title for each in post.sent] == ["nas: cpu"]
    assert (await send(client, path, f"{path}/deliveries/{id}/retry")).status_code == 409


async def test_a_channel_is_switched_off_and_removed(client: Client, roci: Roci) -> None:
    path = await added(client)
    await send(client, path, f"{path}/off")
    assert "phone is off" in await text(client, "/alerts/channels")
    await send(client, path, f"{path}/remove")
    assert await roci.read(channels.all_) == []


async def test_quiet_hours_are_added_changed_and_removed(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    page = "/alerts/quiet"
    form = {"name": "nights", "from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin", "days": "4"}
    assert (await send(client, page, page, passes="critical", **form)).status_code == 303
    (row,) = await roci.read(quiet.all_)
    assert (row.days, row.starts, row.zone, row.passes) == ([4], "22:00", "Europe/Berlin", ["critical"])
    assert "Fri, 22:00 to 07:00 (Europe/Berlin)" in await text(client, page)
    one = f"{page}/{row.id}"
    assert (await send(client, one, one, **{**form, "to": "08:00", "hosts": nas.agent_id})).status_code == 303
    row = await roci.read(quiet.get, row.id)
    assert (row.ends, row.passes, row.host_ids) == ("08:00", [], [nas.agent_id])
    await send(client, page, f"{one}/off")
    assert not (await roci.read(quiet.get, row.id)).enabled
    await send(client, page, f"{one}/remove")
    assert await roci.read(quiet.all_) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"time_zone": "Mars/Olympus"}, "time_zone", id="no zone"),
        pytest.param({"from": "25:00"}, "from", id="no time"),
        pytest.param({"name": " "}, "name", id="no name"),
    ],
)
async def test_wrong_quiet_hours_say_where(client: Client, roci: Roci, changes: dict[str, str], field: str) -> None:
    form = {"name": "nights", "from": "22:00", "to": "07:00", "time_zone": "UTC", "days": "4", **changes}
    answer = await send(client, "/alerts/quiet", "/alerts/quiet", **form)
    assert answer.status_code == 422
    assert re.search(rf'id="{field}-wrong">.+<', await answer.get_data(as_text=True))
    assert await roci.read(quiet.all_) == []


@pytest.mark.parametrize(
    ("length", "least", "most"),
    [pytest.param("1", 0.99, 1.01, id="an hour"), pytest.param("morning", 0, 24.01, id="until the morning")],
)
async def test_one_click_makes_it_quiet_for_a_while(
    client: Client, roci: Roci, length: str, least: float, most: float
) -> None:
    await send(client, "/alerts/quiet", "/alerts/quiet/until", **{"for": length, "time_zone": "America/New_York"})
    (row,) = await roci.read(quiet.all_)
    assert least * 3600 < (row.until - now()).total_seconds() < most * 3600
    assert "quiet now" in await text(client, "/alerts/quiet")
    assert (await send(client, "/alerts/quiet", "/alerts/quiet/until", **{"for": "999"})).status_code == 422


async def test_what_waits_for_quiet_hours_is_listed(client: Client, roci: Roci) -> None:
    await added(client)

    def hold() -> None:
        (row,) = notices.enqueue(Notice("alert.fired", "nas: cpu", "too much", "warning"))
        row.held, row.next_at = True, now() + datetime.timedelta(hours=1)
        row.save()

    await roci.write(hold)
    page = await text(client, "/alerts/quiet")
    assert "1 notice waits" in page and "nas: cpu" in page
