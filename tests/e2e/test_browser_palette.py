"""The command palette, the keys and the menu in a real browser."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import docker
from playwright.sync_api import Browser, Page, TimeoutError, expect

from .bed import Server, wait_for
from .browsers import Visitor
from .journey import App, agent, containers, stack, web


def test_the_palette_goes_and_acts_by_keys_alone(
    house: Server, docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str], visitor: Visitor
) -> None:
    name = cleanup("tea")
    app = App(house.api, name, stack({"web": web(image)}), str(agent(house.api)["id"]))
    assert app.run("deploy")["status"] == "succeeded"
    page = visitor.page
    page.goto("/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Find or do")
    found = page.get_by_role("listbox", name="Found").get_by_role("option")
    expect(field).to_be_focused()
    page.keyboard.type("applic")
    expect(page.get_by_role("listbox", name="Found").get_by_role("option", selected=True)).to_contain_text(
        "Applications"
    )
    assert visitor.barriers() == []
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/applications$"))

    before = containers(docker_client, name)[0].attrs["State"]["StartedAt"]
    page.keyboard.press("Control+k")
    page.keyboard.type(f"stack {name}")
    expect(found.first).to_contain_text(name)
    field.fill(name)
    expect(found.filter(has_text=re.compile(f"^Restart {name} "))).to_be_visible()
    field.fill(f"restart {name}")
    expect(found).to_have_count(2)  # the application, and its container
    first, second = found.nth(0), found.nth(1)
    expect(first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(second).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", str(first.get_attribute("id")))
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("/applications$"))
    page.wait_for_load_state()  # until its scripts are there

    def restarted() -> bool:
        return bool(containers(docker_client, name)[0].attrs["State"]["StartedAt"] != before)

    wait_for(restarted, 30, f"a restart of {name}")
    page.keyboard.press("Control+k")
    page.keyboard.type(f"stop {name}")
    page.keyboard.press("Enter")
    asked = page.get_by_role("dialog", name="Find or do").get_by_text(f"Stop all containers of {name}?")
    expect(asked).to_be_visible()
    expect(page.get_by_role("button", name=f"Stop {name}", exact=True)).to_be_focused()
    assert visitor.barriers() == []
    page.get_by_role("dialog", name="Find or do").get_by_role("button", name="Cancel").click()
    expect(field).to_be_focused()
    expect(found.first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"Stop {name}", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    wait_for(lambda: containers(docker_client, name)[0].status == "exited", 30, f"the end of {name}")
    page.goto("/account")  # a page of what is removed would complain
    app.remove()


def goes(page: Page, letter: str, path: str) -> None:
    """Press both keys, until its scripts are there. Who was too slow for the second presses both again."""

    def is_there() -> bool:
        page.keyboard.press("g")
        page.keyboard.press(letter)
        with contextlib.suppress(TimeoutError):
            page.wait_for_url(f"**{path}", timeout=5_000)
        return page.url.endswith(path)

    wait_for(is_there, 30, f"the page {path}")
    page.wait_for_load_state()


def test_keys_go_to_pages_and_to_the_filter_and_never_disturb_who_types(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys of the keyboard")).to_be_visible()
    assert visitor.barriers() == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys of the keyboard")).to_be_hidden()
    goes(page, "l", "/logs")
    page.keyboard.press("/")
    field = page.get_by_label("Find a container")
    expect(field).to_be_focused()
    page.keyboard.type("gh?/")
    expect(field).to_have_value("gh?/")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find or do").fill("no such thing at all")
    expect(page.get_by_text("Nothing is called so.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(field).to_be_focused()


def test_on_a_phone_the_menu_opens_and_closes_and_so_does_the_palette(browser: Browser, house: Server) -> None:
    phone = Visitor(browser, house.url, viewport={"width": 390, "height": 780}, has_touch=True)
    phone.is_signed_in_by(house.api)
    page = phone.page
    page.goto("/")
    menu, pages = page.get_by_role("button", name="Menu"), page.get_by_role("navigation", name="Pages")
    expect(pages).to_be_hidden()
    menu.tap()
    expect(pages).to_be_visible()
    expect(pages.get_by_role("link", name="Overview")).to_be_focused()
    assert phone.barriers() == []
    page.keyboard.press("Escape")
    expect(pages).to_be_hidden()
    expect(menu).to_be_focused()
    menu.tap()
    pages.get_by_role("link", name="Hosts").tap()
    expect(page).to_have_url(re.compile("/hosts$"))
    page.wait_for_load_state()
    page.get_by_role("link", name="Find or do").tap()
    page.get_by_role("combobox").fill("logs")
    page.get_by_role("option", name=re.compile("^Logs Page")).tap()
    expect(page).to_have_url(re.compile("/logs$"))
    phone.context.close()
    assert not phone.complaints


def test_without_scripts_the_menu_and_the_palette_are_links(browser: Browser, house: Server) -> None:
    reader = Visitor(browser, house.url, has_scripts=False, viewport={"width": 390, "height": 780})
    reader.is_signed_in_by(house.api)
    page = reader.page
    page.goto("/")
    page.get_by_role("link", name="Menu").click()
    expect(page.get_by_role("link", name="Hosts", exact=True)).to_be_visible()
    page.get_by_role("link", name="Close").click()
    page.get_by_role("link", name="Find or do").click()
    page.locator("main").get_by_label("Find or do").fill("hosts")
    page.get_by_role("button", name="Find").click()
    page.locator("main").get_by_role("link", name="Hosts", exact=True).click()
    expect(page).to_have_url(re.compile("/hosts$"))
    reader.context.close()
