"""The frame of the pages in a real browser, on a server with real containers."""

from __future__ import annotations

from playwright.sync_api import expect

from .browsers import Visitor


def test_the_overview_shows_this_machine_and_shuts_nobody_out(visitor: Visitor) -> None:
    visitor.page.goto("/")
    expect(visitor.page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(visitor.page.get_by_text("this machine").first).to_be_visible()
    assert visitor.barriers() == []
