"""Policies in a real browser: their order by dragging and by keys, the form of each matcher, and a dry run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .bed import Agent, Server, unique
from .browsers import Visitor
from .journey import admit, agent, get

FIELDS = {
    "cidr": {"Network": "10.9.0.0/16"},
    "reverse_dns": {"Pattern": "*.lab.lan"},
    "time_window": {"Seconds": "900"},
    "totp": {},
    "any": {},
}


@pytest.fixture(autouse=True)
def no_policies(house: Server) -> Iterator[None]:
    yield
    for policy in found(house):
        house.api.delete(f"/api/v1/policies/{policy['id']}")


def found(house: Server) -> list[dict[str, Any]]:
    policies: list[dict[str, Any]] = get(house.api, "/api/v1/policies")["policies"]
    return policies


def three(house: Server) -> list[str]:
    """The ids of three policies."""
    networks = ("198.51.100.0/24", "203.0.113.0/24", "233.252.0.0/24")  # where nobody is
    return [admit(house.api, {"type": "cidr", "network": net}, priority=each) for each, net in enumerate(networks)]


def is_saved(page: Page) -> None:
    expect(page.locator("#told")).to_have_text("They are asked in this order now.")


def shows_order(page: Page, *ids: str) -> None:
    for place, id in enumerate(ids, 1):
        expect(page.locator(f"#policies > li:nth-child({place})")).to_have_attribute("data-id", id)


def test_policies_are_put_in_order_by_dragging_by_keys_and_by_buttons(visitor: Visitor, house: Server) -> None:
    page = visitor.page
    a, b, c = three(house)
    page.goto("/policies")
    assert visitor.barriers() == []
    grip, target = page.locator(f"#grip-{a}"), page.locator(f"#grip-{c}").bounding_box()
    grip.hover()
    page.mouse.down()
    assert target
    page.mouse.move(target["x"] + 5, target["y"] + target["height"] + 5, steps=10)
    page.mouse.up()
    is_saved(page)
    shows_order(page, b, c, a)
    assert [each["id"] for each in found(house)] == [b, c, a]
    for _ in range(2):
        page.locator("#told").evaluate("told => { told.textContent = ''; }")
        grip.press("ArrowUp")
        is_saved(page)
    expect(grip).to_be_focused()
    shows_order(page, a, b, c)
    page.locator(f"#down-{b}").click()
    expect(page.get_by_text("approve is number 3 now.")).to_be_visible()
    shows_order(page, a, c, b)
    page.reload()
    shows_order(page, a, c, b)


def test_an_order_that_is_on_its_way_is_not_undone_by_a_renewal(visitor: Visitor, house: Server) -> None:
    page, sent = visitor.page, list[Route]()
    a, b, c = three(house)
    page.goto("/policies")
    page.route("**/policies/order", lambda route: sent.append(route))
    with page.expect_request("**/policies/order"):
        page.locator(f"#grip-{c}").press("ArrowUp")
    page.evaluate("""() => new Promise((done) => {
      document.body.addEventListener("htmx:afterRequest", (event) => event.target.id === "list" && done());
      roci.tell("policies");
    })""")  # what the server knows is the order before
    shows_order(page, a, c, b)
    sent[0].continue_()
    is_saved(page)
    shows_order(page, a, c, b)


def test_each_matcher_has_a_form_and_a_draft_explains_itself(visitor: Visitor, house: Server) -> None:
    page = visitor.page
    page.goto("/policies")
    page.get_by_role("link", name="Let in whoever is in").click()
    kind = page.get_by_label("Holds for")
    for name, fields in FIELDS.items():
        kind.select_option(name)
        expect(page.locator('[name="was"]')).to_have_value(name)
        for label, value in fields.items():
            page.get_by_label(label, exact=True).fill(value)
    kind.select_option("cidr")
    page.get_by_label("Network", exact=True).fill("my house")
    page.get_by_label("Reject").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#clause\\.network-wrong")).to_contain_text("is not a network")
    page.get_by_label("Network", exact=True).fill("10.9.0.0/16")
    page.get_by_text("Try it before it is saved").click()
    page.get_by_label("Address", exact=True).fill("10.9.1.1")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#trail")).to_contain_text("10.9.1.1 is inside 10.9.0.0/16")
    assert found(house) == [] and visitor.barriers() == []
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#policies")).to_contain_text("Whose address is in 10.9.0.0/16")
    assert found(house)[0]["action"] == "reject"
    visitor.complaints.clear()  # the browser notes the answer 422


def test_a_dry_run_is_read_on_a_phone(visitor: Visitor, house: Server) -> None:
    page = visitor.page
    three(house)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/policies")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Address").fill("203.0.113.9")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#trail")).to_contain_text("approved")
    expect(page.locator("#trail li[aria-current]")).to_contain_text("203.0.113.9 is inside 203.0.113.0/24")
    assert visitor.barriers() == [] and page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto("/policies")
    page.get_by_role("link", name="Remove approve").first.click()
    expect(page.get_by_text("No host that is here would be decided otherwise.")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#policies > li")).to_have_count(2)


def test_a_host_that_waits_appears_by_itself_and_its_reason_is_one_click_away(
    visitor: Visitor, house: Server, new_agent: Callable[..., Agent]
) -> None:
    page, name = visitor.page, unique("pi")
    three(house)
    page.goto("/policies")
    new_agent(house.url, name)
    waiting = page.locator("#waiting li").filter(has_text=name)
    waiting.get_by_role("link", name="Why is it waiting?").click(timeout=30_000)
    expect(page.get_by_role("heading", name=f"Why {name} is waiting")).to_be_visible()
    expect(page.locator("#trail")).to_contain_text("is outside 198.51.100.0/24")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Approve").click()
    expect(page).to_have_url(re.compile("/hosts/"))
    page.goto("/policies/new?preset=window")
    page.get_by_label("Reject").check()
    page.get_by_label("Priority").fill("-1")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text=f"would now be: {name} (rejected)")).to_be_visible()
    house.api.delete(f"/api/v1/agents/{agent(house.api, name)['id']}")
