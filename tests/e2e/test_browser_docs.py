"""/docs and /redoc in a real browser: they show the description, and no request leaves the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from .bed import PASSWORD, Server
from .browsers import Visitor

LOGO = "cdn.redoc.ly/redoc/logo"  # ReDoc asks for its maker's logo; the page's policy stops that in the browser


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    return new_server()


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Whatever it did, it asked nobody but our server, and no page complained."""
    visitor = Visitor(browser, server.url)
    visitor.context.set_default_timeout(120_000)
    yield visitor
    visitor.context.close()
    assert visitor.asked and [url for url in visitor.foreign if not url.startswith("blob:") and LOGO not in url] == []
    assert [said for said in visitor.complaints if LOGO not in said] == []


def ask_who_i_am(visitor: Visitor) -> Locator:
    """Send the request GET /api/v1/me with Swagger UI, and find its answer."""
    page = visitor.page
    page.locator("#operations-tag-native_me").click()
    operation = page.locator("#operations-native_me-native_me_me_get")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    return operation.locator(".live-responses-table")


def is_answered(visitor: Visitor, answer: Locator) -> None:
    expect(answer.locator(".response-col_status").nth(1)).to_contain_text("200", timeout=120_000)
    expect(answer.locator("pre").filter(has_text='"admin"').first).to_be_visible(timeout=120_000)
    assert visitor.asked[-1] == f"{visitor.url}/api/v1/me"


def test_swagger_ui_makes_requests_as_who_is_signed_in(visitor: Visitor) -> None:
    visitor.sign_in("admin", PASSWORD)
    expect(visitor.page.get_by_text("Signed in as admin")).to_be_visible(timeout=120_000)
    visitor.page.goto("/docs")
    is_answered(visitor, ask_who_i_am(visitor))


def test_swagger_ui_makes_requests_with_a_token_that_it_is_given(visitor: Visitor, server: Server) -> None:
    status, issued = server.api.post("/api/v1/tokens", {"name": "docs"})
    assert status == 201
    page = visitor.page
    page.goto("/docs")
    page.get_by_role("button", name="Authorize").first.click()
    bearer = page.locator(".auth-container").filter(has_text="A token of ours").first
    bearer.locator("input").fill(issued["token"])
    bearer.locator("button[type=submit]").click()
    page.get_by_role("button", name="Close").first.click()
    is_answered(visitor, ask_who_i_am(visitor))


def test_redoc_shows_the_description_and_searches_in_it(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/redoc")
    expect(page.get_by_text("Programs sign in with").first).to_be_visible(timeout=120_000)
    page.get_by_placeholder("Search...").fill("registered agents")
    expect(page.locator("[role=search]").get_by_text("List all registered agents").first).to_be_visible(timeout=120_000)
