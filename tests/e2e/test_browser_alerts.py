"""Alerts in a real browser: a rule that a real host breaks rings the bell; a channel is tried truly; it gets quiet."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .bed import Server, unique
from .browsers import Visitor
from .journey import agent, get
from .test_journey_alerts import Receiver

SOON = 60_000  # milliseconds: a busy machine tells its figures late


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    hook = Receiver()
    yield hook
    hook.shutdown()
    hook.server_close()


@pytest.fixture
def host(house: Server) -> Iterator[str]:
    """The name of the one host. What a test left there of rules, channels and quiet hours is taken away."""
    yield str(agent(house.api)["hostname"])
    base = "/api/v1/alerting"
    for noun, key in (("rules", "rules"), ("channels", "channels"), ("quiet-hours", "quiet_hours")):
        for row in get(house.api, f"{base}/{noun}")[key]:
            house.api.delete(f"{base}/{noun}/{row['id']}")


def test_a_rule_that_is_broken_rings_the_bell_and_leads_to_the_moment(visitor: Visitor, host: str) -> None:
    page = visitor.page
    page.goto("/alerts/rules")
    expect(page.get_by_role("heading", name="Judged without rules")).to_be_visible()
    page.get_by_label("Alert when").select_option(label="Memory")
    page.get_by_label("Value").fill("some")
    page.get_by_role("button", name="Try it on the last day").click()
    expect(page.get_by_label("Value")).to_have_attribute("aria-invalid", "true")
    assert visitor.barriers() == []
    visitor.complaints.clear()  # Chromium's own, of an answer that is no 200

    page.get_by_label("Value").fill("0.01")
    page.get_by_label("for at least").fill("0")
    page.get_by_role("button", name="Try it on the last day").click()
    expect(page.locator(".tried")).to_contain_text(host)
    page.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("status").filter(has_text="The rule was added")).to_be_visible()
    expect(page.get_by_role("link", name="Memory above 0.01 %")).to_be_visible()
    assert visitor.barriers() == []

    page.goto("/hosts")
    bell = page.locator("#bell")
    expect(bell).to_have_class(re.compile("unread"), timeout=SOON)  # by itself
    bell.click()
    mine = page.locator(".alerts > li").filter(has_text="Memory")
    expect(mine.get_by_text(host).first).to_be_visible()
    expect(mine.get_by_role("link", name="Metrics then")).to_have_attribute("href", re.compile(r"/metrics\?at=20.*Z$"))
    expect(bell).not_to_have_class(re.compile("unread"))
    assert visitor.barriers() == []

    mine.get_by_role("link", name="Rule").click()
    expect(page.get_by_role("heading", name="Memory above 0.01 %")).to_be_visible()
    expect(page.get_by_text("in the last day")).to_be_visible()
    assert visitor.barriers() == []
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The rule was removed")).to_be_visible()
    page.goto("/alerts")
    expect(page.locator("#past")).to_contain_text("Memory")
    expect(mine).to_have_count(0)


def test_a_channel_is_tried_and_says_truly_how_that_went(visitor: Visitor, host: str, receiver: Receiver) -> None:
    page, name = visitor.page, unique("phone")
    page.goto("/alerts/channels")
    page.get_by_role("link", name="Webhook").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_label("Told of").select_option("info")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Add the channel").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.get_by_role("button", name="Send a test notice").click()
    expect(page.get_by_text("The test notice arrived")).to_be_visible()
    assert "test" in [each["kind"] for each in receiver.heard]  # alerts of this machine may come as well
    assert receiver.url not in page.content()
    assert visitor.barriers() == []

    receiver.shutdown()
    receiver.server_close()
    page.get_by_role("button", name="Send a test notice").click()
    expect(page.get_by_role("alert")).to_contain_text(f"{name} was not reached")
    visitor.complaints.clear()  # Chromium's own, of an answer that is no 200

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/alerts/quiet")
    page.get_by_role("button", name="1 hour").click()
    expect(page.locator("#hours")).to_contain_text("quiet now")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.barriers() == []
    page.goto("/alerts/channels")
    row = page.get_by_role("row").filter(has_text=name)
    row.get_by_role("button", name="Switch off").click()
    expect(row).to_contain_text("off")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.barriers() == []
