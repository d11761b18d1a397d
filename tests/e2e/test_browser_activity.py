"""The activity in a real browser: it comes by itself, is filtered as one types, and is grouped by the reader's days."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Browser, expect

from .bed import Server, unique
from .browsers import Visitor
from .journey import App, agent, stack


def test_what_happens_appears_by_itself_and_leads_to_its_subject(visitor: Visitor, house: Server) -> None:
    page = visitor.page
    page.goto("/activity")
    expect(page.locator("#link")).to_be_hidden()
    name = unique("lab")
    lab = {"name": name, "priority": 77, "match_type": {"type": "cidr", "network": "10.77.0.0/16"}, "action": "approve"}
    id = house.api.post("/api/v1/policies", lab)[1]["id"]
    entry = page.locator(".entry").filter(has=page.locator(f'a[href="/policies/{id}"]'))
    expect(entry).to_contain_text(f"Policy {name} was added")
    house.api.patch(f"/api/v1/policies/{id}", {"priority": 78})
    changed = entry.filter(has_text="was changed")
    changed.get_by_text("value changed").click()
    expect(changed.locator("ins")).to_have_text("78")
    house.api.delete(f"/api/v1/policies/{id}")
    expect(page.locator(".entry").filter(has_text=f"Policy {name} was removed")).to_be_visible()
    expect(changed.locator("ins")).to_be_visible()  # what was opened stays open
    assert visitor.barriers() == []
    page.get_by_label("Text").fill("10.77.0.0")
    expect(page.locator(".entry").filter(has_text="Host")).to_have_count(0)
    page.get_by_label("Kind").select_option("operations")
    expect(page.get_by_text("There is nothing like this.")).to_be_visible()
    assert "q=10.77.0.0" in page.url


def test_operations_stand_among_the_rest_on_a_phone_and_in_the_readers_days(
    browser: Browser, house: Server, image: str, cleanup: Callable[[str], str]
) -> None:
    here, project = agent(house.api), cleanup("activity")
    app = App(house.api, project, stack({"web": {"image": image, "command": ["sleep", "9"]}}), here["id"])
    app.run("deploy")
    visitor = Visitor(browser, house.url, viewport={"width": 390, "height": 844}, timezone_id="Pacific/Kiritimati")
    visitor.is_signed_in_by(house.api)
    page = visitor.page
    page.goto("/activity")
    expect(page.locator(".day h2").first).to_have_text(re.compile(r"^\w+day, \w+ \d+, \d{4}$"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 and visitor.barriers() == []
    page.get_by_text("More", exact=True).click()
    page.locator('[name="host"]').select_option(here["id"])
    expect(page).to_have_url(re.compile(f"host={here['id']}"))
    expect(page.get_by_role("link", name=f"Deploy {project} on {here['hostname']}")).to_be_visible()
    visitor.context.close()
    app.remove()
    assert not visitor.foreign and not visitor.complaints
