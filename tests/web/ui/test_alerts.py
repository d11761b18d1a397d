"""Alerts and their rules on pages: what is open, the bell, rules made, tried, copied, and who may not."""

from __future__ import annotations

import re

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import access, alerts, channels, credentials, keyring, principals
from roci_plugins.domain.alerts import Alert, Fire, NewThreshold
from roci_plugins.domain.hosts import Host
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.work import enrol
from roci_plugins.work.alerts.live import Judge

from .reading import EVIL, send, text, topics

RULE = {"metric_type": "cpu", "comparison": "gt", "threshold_value": "90", "for_amount": "5", "for_unit": "min"}


async def fired(roci: Roci, host_id: str, **more: str) -> Alert:
    """An alert that judging found, as the board has it and the database too."""
    found = Fire(host_id, **{"type": "container_stopped", "severity": "critical", "message": "it ended", **more})
    judge = roci.part(Judge)
    judge.board.bad(found)
    await judge.board.flush()
    return await roci.read(alerts.get, found.id)


def bell(page: str) -> str:
    """What the bell says to who cannot see it."""
    match = re.search(r'<a id="bell".*?<span class="hidden">(.*?)</span>', page, re.DOTALL)
    assert match
    return match[1]


def content(page: str) -> str:
    """A page without its frame."""
    return page.partition("<main")[2].partition("</main>")[0]


async def test_the_page_of_a_host_says_since_when_an_alert_is_open(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    alert = await fired(roci, nas.agent_id)
    page = await text(client, f"/hosts/{nas.agent_id}?part=facts")
    assert "it ended" in page and f'<time datetime="{alert.created_at.isoformat()}"' in page


async def test_what_is_open_comes_first_and_leads_to_its_moment(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    alert = await fired(roci, nas.agent_id, subject=EVIL)
    page = await text(client, "/alerts")
    assert page.index("it ended") < page.index("Past</h2>")
    at = alert.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert f"/logs?host={nas.agent_id}&amp;container=%3Cscript%3Ealert%281%29%3C%2Fscript%3E&amp;at={at}" in page
    assert EVIL not in page and "&lt;script&gt;alert(1)" in page


async def test_the_bell_counts_on_every_page_and_what_was_seen_is_not_new(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    assert bell(await text(client, "/hosts")) == "No open alerts"
    await fired(roci, nas.agent_id, subject="a")
    assert bell(await text(client, "/hosts")) == "1 open alert, 1 new"
    assert bell(await text(client, "/alerts")) == "1 open alert"
    assert bell(await text(client, "/hosts")) == "1 open alert"
    await fired(roci, nas.agent_id, subject="b")
    assert bell(await text(client, "/alerts/bell")) == "2 open alerts, 1 new"
    assert bell(await text(client, "/alerts/bell?on=alerts")) == "2 open alerts"
    assert bell(await text(client, "/alerts/bell")) == "2 open alerts"


async def test_an_alert_is_resolved_by_a_form_and_moves_to_the_past(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    alert = await fired(roci, nas.agent_id, subject="web")
    answer = await send(client, "/alerts", f"/alerts/{alert.id}/resolve")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/alerts")
    page = await text(client, "/alerts")
    assert "Container stopped on nas was resolved" in page and "Nothing is wrong" in page
    assert page.index("Past</h2>") < page.index("it ended")


async def test_who_is_told_of_nothing_is_told_so(client: Client, roci: Roci) -> None:
    assert "Nobody is told of alerts yet" in await text(client, "/alerts")
    new = channels.NewChannel("phone", "webhook")
    await roci.write(lambda: channels.add(keyring.of(roci), new, {"url": "https://x.lan"}))
    assert "Nobody is told of alerts yet" not in await text(client, "/alerts")


async def test_one_alert_has_a_page_with_who_was_told(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    alert = await fired(roci, nas.agent_id, subject="web")
    page = await text(client, f"/alerts/{alert.id}")
    assert "Container stopped on nas" in page and "it ended" in page and "Nobody: no channel" in page
    await roci.write(alerts.resolve, alert.id)
    assert "It is over." in await text(client, f"/alerts/{alert.id}?part=alert")
    await text(client, "/alerts/00000000-0000-4000-8000-000000000000", 404)


async def test_what_an_alert_says_of_now_is_renewed_though_no_event_tells_it(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    alert = await fired(roci, nas.agent_id, subject="web")
    page = await text(client, "/alerts")
    assert topics(page, "open") == {"alerts", "channel", "beats"} and topics(page, "past") == {"alerts"}
    assert topics(await text(client, f"/alerts/{alert.id}"), "alert") == {"alerts", "beats"}


async def test_the_state_of_a_rule_and_what_switches_it_are_renewed(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    row = await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", 90.0, "gt"))
    path = f"/alerts/rules/{row.id}"
    page = await text(client, path)
    assert topics(page, "rule") == {"alerts", "hosts", "beats"} and topics(page, "acts") == {"alerts"}
    assert f'formaction="{path}/off"' in page
    await roci.write(lambda: alerts.change_threshold(row.id, enabled=False))
    assert "off</span>" in await text(client, f"{path}?part=rule")
    acts = await text(client, f"{path}?part=acts")
    assert f'formaction="{path}/on"' in acts and "Copy it" not in acts and "Save" not in acts


async def test_alerts_are_narrowed_by_the_address(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await fired(roci, nas.agent_id, subject="one", message="first")
    await fired(roci, nas.agent_id, type="image_update", severity="info", subject="two", message="second")
    for query, seen, hidden in (
        ("type=image_update", "second", "first"),
        ("severity=critical", "first", "second"),
        (f"host={nas.agent_id}&severity=info", "second", "first"),
    ):
        page = await text(client, f"/alerts?{query}")
        assert seen in page and hidden not in page
    await text(client, "/alerts?host=nobody", 400)


async def test_a_rule_is_added_changed_switched_and_removed(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    page = "/alerts/rules"
    answer = await send(client, page, page, hosts=nas.agent_id, then="add", hysteresis="5", **RULE)
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    (row,) = await roci.read(alerts.thresholds)
    assert (row.threshold_value, row.for_seconds, row.hysteresis, row.enabled) == (90, 300, 5, True)
    assert "CPU above 90 % for 5 min" in await text(client, page)
    one = f"{page}/{row.id}"
    await send(client, page, f"{one}/off")
    assert not (await roci.read(alerts.threshold, row.id)).enabled
    await send(client, one, one, **{**RULE, "metric_type": "network", "threshold_value": "20M", "for_unit": "h"})
    row = await roci.read(alerts.threshold, row.id)
    assert (row.metric_type, row.threshold_value, row.for_seconds, row.enabled) == ("network", 20e6, 18_000, False)
    shown = await text(client, one)
    assert "Network traffic above 20 MB/s for 5 h" in shown and 'value="20M"' in shown
    await send(client, page, f"{one}/on")
    await send(client, page, f"{one}/remove")
    assert await roci.read(alerts.thresholds) == []


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        pytest.param({"threshold_value": "150"}, "threshold_value", "at most 100", id="more than all"),
        pytest.param({"threshold_value": "much"}, "threshold_value", "a number is needed", id="no number"),
        pytest.param({"for_amount": "9999", "for_unit": "h"}, "for_seconds", "must be from 0 to", id="too long"),
        pytest.param({"hysteresis": "-1"}, "hysteresis", "0 or more", id="negative"),
        pytest.param({"metric_type": "luck"}, "metric_type", "must be one of", id="no metric"),
        pytest.param({"hosts": ""}, "hosts", "tick at least one", id="no host"),
    ],
)
async def test_what_is_wrong_with_a_rule_is_said_at_its_field_and_the_rest_stays(
    client: Client, roci: Roci, nas: ScriptedAgent, changes: dict[str, str], field: str, reason: str
) -> None:
    form = {**RULE, "threshold_value": "77", "hosts": nas.agent_id, "then": "add", **changes}
    if not form["hosts"]:
        del form["hosts"]
    answer = await send(client, "/alerts/rules", "/alerts/rules", **form)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    wrong = re.search(rf'id="{field}-wrong">(.*?)<', page)
    assert wrong and reason in wrong[1]
    assert form["threshold_value"] in page
    assert await roci.read(alerts.thresholds) == []


async def test_a_rule_is_tried_before_it_holds(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    answer = await send(client, "/alerts/rules", "/alerts/rules", hosts=nas.agent_id, then="try", **RULE)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200 and "nas: nothing is known of this in the last day." in page
    assert await roci.read(alerts.thresholds) == []


async def test_the_rules_of_a_host_are_copied_to_others_once(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        await enrol.approve(roci, agent.agent_id)
        await until(lambda: roci.part(Hub).roster[agent.agent_id].host.status == "approved")
        for value in (80.0, 90.0):
            await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", value, "gt"))
        copy = {"from": nas.agent_id, "hosts": agent.agent_id}
        await send(client, "/alerts/rules", "/alerts/rules/copy", **copy)
        assert "2 rules were added" in await text(client, "/alerts/rules")
        await send(client, "/alerts/rules", "/alerts/rules/copy", **copy)
        assert "Nothing to copy" in await text(client, "/alerts/rules")
        assert len(await roci.read(alerts.thresholds, agent.agent_id)) == 2


async def test_a_test_of_a_rule_that_tells_nobody_says_so(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    row = await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", 80.0, "gt"))
    await send(client, "/alerts/rules", f"/alerts/rules/{row.id}/test")
    assert "Nobody would be told" in await text(client, "/alerts/rules")


async def test_the_conditions_are_shown_with_their_settings(client: Client) -> None:
    page = await text(client, "/alerts/rules")
    assert "A container that ran ended, and nobody asked for it." in page and "alerts.stopped_after" in page


async def test_who_may_only_look_has_no_buttons(roci: Roci, anonymous: Client, nas: ScriptedAgent) -> None:
    alert = await fired(roci, nas.agent_id, subject="web")
    row = await roci.write(alerts.add_threshold, NewThreshold(nas.agent_id, "cpu", 80.0, "gt"))
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    rights = [Rule(name) for name in ("alerts.read", "thresholds.list", "hosts.read")]
    await roci.write(access.add_role, NewRole("watcher", rights))
    await roci.write(access.bind, "bob", "watcher")
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    page = await text(anonymous, "/alerts")
    assert "it ended" in page and "Resolve" not in page and "/alerts/channels" not in page
    page = await text(anonymous, "/alerts/rules")
    assert "CPU above 80 %" in page and "<button" not in content(page) and "Add a rule" not in page
    for path in (f"/alerts/{alert.id}/resolve", f"/alerts/rules/{row.id}/remove", f"/alerts/rules/{row.id}"):
        assert (await anonymous.post(path)).status_code == 403
    await text(anonymous, "/alerts/channels", 403)
    assert await roci.read(Host.get_or_none, Host.id == nas.agent_id)


async def test_who_may_see_no_alerts_has_no_bell(roci: Roci, anonymous: Client) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))
    assert 'id="bell"' not in await text(anonymous, "/")
    await text(anonymous, "/alerts", 403)
    await text(anonymous, "/alerts/bell", 403)
