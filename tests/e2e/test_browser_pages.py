"""The frame of the pages in a real browser, on a server with real containers: live, calm, and for everybody."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Browser, expect

from .bed import Agent, Server, unique
from .browsers import Visitor
from .journey import QUICK, get

NewAgent = Callable[..., Agent]
NewServer = Callable[..., Server]


def test_the_overview_shows_this_machine_and_shuts_nobody_out(visitor: Visitor) -> None:
    visitor.page.goto("/")
    expect(visitor.page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(visitor.page.get_by_text("this machine").first).to_be_visible()
    assert visitor.barriers() == []
    visitor.page.set_viewport_size({"width": 390, "height": 800})
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.barriers() == []


def test_the_tray_of_operations_closes_when_one_looks_elsewhere(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/hosts")
    tray = page.locator("details#running")
    for look_elsewhere in (lambda: page.keyboard.press("Escape"), lambda: page.locator("main").click()):
        tray.locator("summary").click()
        expect(tray.locator(".drop")).to_be_visible()
        look_elsewhere()
        expect(tray.locator(".drop")).to_be_hidden()


def test_a_host_appears_by_itself_on_the_page_that_waits_for_it_and_is_let_in_there(
    visitor: Visitor, house: Server, new_agent: NewAgent
) -> None:
    page, name = visitor.page, unique("newcomer")
    page.goto("/hosts/add")
    expect(page.get_by_text("Waiting for a host")).to_be_visible()
    assert visitor.barriers() == []
    agent = new_agent(house.url, name, docker_host="unix:///nowhere/engine.sock")
    expect(page.get_by_text(name)).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(re.compile("/hosts/[0-9a-f-]{36}$"))
    page.go_back()
    expect(page.get_by_text("It is connected and ready.")).to_be_visible(timeout=30_000)
    assert visitor.barriers() == []
    host = next(one for one in get(house.api, "/api/v1/agents")["agents"] if one["hostname"] == name)
    agent.stop()
    assert house.api.delete(f"/api/v1/agents/{host['id']}")[0] == 200


def test_charts_are_drawn_and_their_hovering_is_shared(visitor: Visitor, house: Server) -> None:
    page = visitor.page
    host = next(one for one in get(house.api, "/api/v1/agents")["agents"] if one["local"])
    page.goto(f"/hosts/{host['id']}/metrics")
    expect(page.locator(".uplot canvas").first).to_be_visible()
    page.locator("#chart-cpu .u-over").hover(position={"x": 40, "y": 40})
    page.locator("#chart-cpu .u-over").hover(position={"x": 5, "y": 40})
    expect(page.locator("#chart-memory .tip")).to_be_attached()
    page.get_by_role("link", name="30 days").click()
    expect(page.locator('.ranges a[aria-current="true"]')).to_have_text("30 days")
    expect(page.locator(".uplot canvas").first).to_be_visible()
    assert visitor.barriers() == []


def test_pages_come_back_live_when_the_server_was_restarted(browser: Browser, new_server: NewServer) -> None:
    server = new_server(environment=QUICK)
    visitor = Visitor(browser, server.url)
    visitor.is_signed_in_by(server.api)
    page = visitor.page
    page.goto("/applications")
    server.stop()
    expect(page.locator("#link")).to_be_visible(timeout=30_000)
    server.start()
    expect(page.locator("#link")).to_be_hidden(timeout=30_000)
    status, _body = server.api.post(
        "/api/v1/applications", {"name": "wiki", "compose_yaml": "services:\n  a:\n    image: b\n"}
    )
    assert status == 201
    expect(page.get_by_role("link", name="wiki")).to_be_visible(timeout=30_000)
    visitor.context.close()
    assert not visitor.foreign


def test_whoever_is_signed_out_meanwhile_is_told_and_comes_back_without_losing_the_page(
    browser: Browser, new_server: NewServer
) -> None:
    server = new_server(environment=QUICK)
    visitor = Visitor(browser, server.url)
    visitor.is_signed_in_by(server.api)
    page = visitor.page
    page.goto("/applications")
    visitor.context.clear_cookies()
    page.evaluate("() => roci.checkSession()")
    expect(page.locator("#signed-out")).to_be_visible()
    visitor.is_signed_in_by(server.api)
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    expect(page.locator("#signed-out")).to_be_hidden()
    visitor.context.close()


def test_a_visitor_forgives_what_is_said_of_a_request_that_was_taken_away_and_of_no_other(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/hosts")
    page.route("**/lost", lambda route: route.abort("aborted"))
    page.route("**/refused", lambda route: route.abort("connectionrefused"))
    for path in ("/lost", "/refused"):
        assert visitor.complaints == []
        with page.expect_event("requestfailed", lambda request: request.resource_type == "xhr"):
            page.evaluate("path => { htmx.ajax('GET', path, 'main').catch(() => {}); }", path)
        with page.expect_event("pageerror"):
            page.evaluate("path => { fetch(path); }", path)
        page.evaluate("document.title")  # what was said before is here
    assert {"htmx:sendError", "Failed to fetch"} <= {said.partition(",")[0] for said in visitor.complaints}
    visitor.complaints.clear()
