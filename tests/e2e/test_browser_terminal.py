"""Terminals in a real browser: on this machine, which allows it, and in a container of a real engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import docker
import pytest
from docker.models.containers import Container
from playwright.sync_api import Browser, Locator, Page, expect

from .bed import Agent, Server, unique, wait_for
from .browsers import Visitor
from .engines import COMPOSE_PROJECT
from .journey import QUICK, App, agent, stack, web


@pytest.fixture
def box(docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]) -> Iterator[Container]:
    """A container with a shell."""
    project = cleanup("box")
    box: Container = docker_client.containers.run(
        image, ["sleep", "600"], name=unique("box"), labels={COMPOSE_PROJECT: project}, detach=True, init=True
    )
    yield box
    box.remove(force=True)


def screen(page: Page) -> Locator:
    return page.locator(".screen:not([hidden]) .xterm-rows")


def enter(page: Page, line: str) -> None:
    page.keyboard.type(line)
    page.keyboard.press("Enter")


def running(box: Container) -> str:
    """What runs in it, as one text."""
    return str(box.top()["Processes"])


def terminal_of(house: Server) -> str:
    return f"/hosts/{agent(house.api)['id']}/terminal"


def test_a_terminal_on_this_machine_survives_a_reload_and_ends_with_its_exit_code(
    visitor: Visitor, house: Server
) -> None:
    page = visitor.page
    page.goto(terminal_of(house))
    page.get_by_label("Shell").select_option("sh")
    page.get_by_label("Name", exact=True).fill("night shift")
    page.get_by_role("button", name="Open it").click()
    expect(page.get_by_role("button", name="night shift")).to_have_attribute("aria-current", "true")
    expect(screen(page)).to_contain_text(re.compile(r"[$#]"))
    enter(page, "echo $((6*7))wiki ${ROCI_DATA_DIR:-un''set}")
    expect(screen(page)).to_contain_text("42wiki unset")
    assert visitor.barriers() == []

    page.reload()
    expect(screen(page)).to_contain_text("42wiki unset")
    enter(page, "stty size")
    expect(screen(page)).to_contain_text(re.compile(r"\d+ \d+"))
    before = page.evaluate("document.querySelector('.xterm-rows').childElementCount")
    page.set_viewport_size({"width": 900, "height": 500})
    page.wait_for_function("before => document.querySelector('.xterm-rows').childElementCount < before", arg=before)
    # The shell hears of it later, and maybe of a size on the way first: it is asked until both say the same.
    enter(page, "sh -c 'while sleep 0.2; do clear; stty size; done'")
    page.wait_for_function(
        r"""() => {
            const rows = document.querySelector(".screen:not([hidden]) .xterm-rows");
            return rows.textContent.trim().split(/\s/)[0] === String(rows.childElementCount);
        }"""
    )
    page.keyboard.press("Control+c")

    enter(page, "exit 7")
    expect(page.get_by_text("Ended with exit code 7.")).to_be_visible()
    page.get_by_role("button", name="Start again").click()
    enter(page, "echo ag''ain")
    expect(screen(page)).to_contain_text("again")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".sheet")).to_have_count(0)
    expect(page.get_by_role("toolbar", name="Keys of the terminal")).to_be_hidden()


def test_a_flood_and_a_long_paste_leave_the_page_and_the_server_alive(visitor: Visitor, house: Server) -> None:
    page = visitor.page
    page.goto(terminal_of(house))
    page.get_by_label("Shell").select_option("sh")
    page.get_by_role("button", name="Open it").click()
    expect(screen(page)).to_contain_text(re.compile(r"[$#]"))
    enter(page, "yes")
    expect(screen(page)).to_contain_text("yyyy")  # it runs: before, nobody heard the key that ends it
    assert house.api.get("/api/v1/agents")[0] == 200
    page.keyboard.press("Control+c")
    enter(page, "clear; wc -c")
    line = "x" * 99 + "\n"
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        line * 3000,
    )
    page.keyboard.press("Control+d")
    expect(screen(page)).to_contain_text("300000", timeout=20_000)
    page.get_by_role("button", name="Close", exact=True).click()


def test_a_container_is_one_click_away_on_a_phone_too(browser: Browser, house: Server, box: Container) -> None:
    visitor = Visitor(browser, house.url, viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    visitor.is_signed_in_by(house.api)
    page = visitor.page
    path = terminal_of(house)
    page.goto(path)
    places = page.get_by_label("Where").locator("option")
    expect(places.filter(has_text=str(box.name))).to_have_count(1, timeout=30_000)
    page.goto(f"{path}?container={box.name}")
    expect(screen(page)).to_contain_text("#")
    enter(page, "sh -c 'hostname; exec sleep 600'")
    expect(screen(page)).to_contain_text(str(box.id)[:12])
    page.get_by_role("button", name="Ctrl", exact=True).tap()
    page.keyboard.type("c")
    enter(page, "echo fr''ee")
    expect(screen(page)).to_contain_text("free")
    page.get_by_role("button", name="Up", exact=True).tap()
    page.keyboard.press("Enter")
    expect(screen(page)).to_contain_text(re.compile("free.*free", re.DOTALL))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.barriers() == []
    enter(page, "sleep 4321")
    wait_for(lambda: "sleep 4321" in running(box), 10, "what was typed to run")
    page.get_by_role("button", name="Close", exact=True).tap()
    expect(page.locator(".sheet")).to_have_count(0)
    wait_for(lambda: "sleep 4321" not in running(box), 20, "the end of what ran in the terminal")
    assert not visitor.foreign and not visitor.complaints
    visitor.context.close()


def test_a_terminal_of_an_application_that_went_to_another_host_says_so_and_the_next_opens_there(
    browser: Browser, new_server: Callable[..., Server], new_agent: Callable[..., Agent], box: Container, image: str
) -> None:
    allowed = {"ROCI_AGENT__ALLOW": "terminal"}
    server = new_server(local_agent=True, environment={**QUICK, **allowed})
    new_agent(server.url, "attic", environment=allowed)
    here, attic = agent(server.api), agent(server.api, "attic", status="pending")
    assert server.api.post(f"/api/v1/agents/{attic['id']}/approve")[0] == 200
    app = App(server.api, box.labels[COMPOSE_PROJECT], stack({"web": web(image)}), str(here["id"]))
    visitor = Visitor(browser, server.url, viewport={"width": 390, "height": 844})
    visitor.is_signed_in_by(server.api)
    page = visitor.page
    page.goto(f"/applications/{app.id}/terminal")
    expect(page.get_by_label("Where").locator("option")).to_have_text([str(box.name)])
    page.get_by_role("button", name="Open it").click()
    enter(page, "echo a''way")
    expect(screen(page)).to_contain_text("away")
    assert app.edit(agent_id=attic["id"])[0] == 200
    words = f"This terminal is on {here['hostname']}. The application is on attic now: a new terminal opens there."
    expect(page.get_by_text(words)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    enter(page, "echo st''ill")
    expect(screen(page)).to_contain_text("still")

    page.get_by_text("New terminal", exact=True).click()
    expect(page.get_by_label("Where").locator("option")).to_have_text([str(box.name)])  # of the same engine
    with page.expect_websocket(lambda socket: socket.url.endswith(f"/ws/terminal/{attic['id']}")):
        page.get_by_role("button", name="Open it").click()
    enter(page, "echo th''ere")
    expect(screen(page)).to_contain_text("there")
    expect(page.get_by_text(words)).to_be_hidden()
    page.locator(".sheet").first.click()
    expect(page.get_by_text(words)).to_be_visible()
    assert visitor.barriers() == [] and not visitor.foreign and not visitor.complaints
    visitor.context.close()
