"""Logs in a real browser: what real containers print, as it comes, and very much of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from playwright.sync_api import Browser, Page, expect

from .bed import Server, wait_for
from .browsers import Visitor
from .engines import COMPOSE_PROJECT
from .journey import agent

SLOW = 30_000  # milliseconds that much may take on a machine with much to do
BELL = '{"level":"error","msg":"cannot reach the bell","tries":{"left":2}}'


@dataclass
class Talker:
    """A container that prints what it is told to, and then what is written into its pipe."""

    host_id: str
    container: Container

    @property
    def name(self) -> str:
        return str(self.container.name)

    @property
    def path(self) -> str:
        return f"/logs?host={self.host_id}&container={self.name}"

    def say(self, *lines: str) -> None:
        for line in lines:
            code, output = self.container.exec_run(["sh", "-c", 'echo "$1" > /tmp/mouth', "sh", line])
            assert code == 0, output


Talkers = Callable[..., Talker]


@pytest.fixture
def talkers(
    house: Server, docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]
) -> Iterator[Talkers]:
    """`web = talkers("web", "printf …", last="…")`: runs, once its engine has that word and its host told of it."""
    project = cleanup("talk")
    host_id = str(agent(house.api)["id"])

    def new(name: str, first: str, last: str = "") -> Talker:
        # It holds its pipe open to write as well: no line is lost between two that write.
        script = f"mkfifo /tmp/mouth; exec 3<>/tmp/mouth; {first}; exec cat <&3"
        labels = {COMPOSE_PROJECT: project}
        container = docker_client.containers.run(
            image, ["sh", "-c", script], name=f"{project}-{name}-1", labels=labels, detach=True
        )
        talker = Talker(host_id, container)
        said = f"{house.url}/hosts/{host_id}"

        def is_listed() -> bool:
            return talker.name in house.api.session.get(said, timeout=10).text

        def has_said() -> bool:
            said = container.logs(tail=1).decode()
            return bool(said) and last in said

        wait_for(has_said, 60, f"the words of {talker.name}")
        wait_for(is_listed, 30, f"{talker.name} on {said}")
        return talker

    yield new


def rows(page: Page) -> Any:
    return page.locator(".logs-row")


def test_lines_come_by_themselves_are_filtered_and_understood(talkers: Talkers, visitor: Visitor) -> None:
    page = visitor.page
    first = r"""printf 'ready <b>x</b>\n\033[31mred\033[0m\n'; printf 'oops\n' >&2; printf '%s\n' """ + f"'{BELL}'"
    web = talkers("web", first)
    page.goto(web.path)
    expect(rows(page).filter(has_text="ready <b>x</b>")).to_be_visible()  # as text
    expect(page.locator(".logs-row .fore-1")).to_have_text("red")
    expect(page.locator(".is-stderr")).to_contain_text("oops")
    page.get_by_role("button", name="Show the fields").click()
    expect(page.locator(".logs-tree").first).to_contain_text("tries")
    assert visitor.barriers() == []

    web.say("one more line")
    expect(rows(page).filter(has_text="one more line")).to_be_visible()

    page.get_by_label("Levels").select_option("error")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Levels").select_option("")
    page.get_by_label("Filter lines").fill("ONE M")
    expect(page.locator(".logs-row mark")).to_have_text("one m")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Regular expression").click()
    page.get_by_label("Filter lines").fill("^(ready|one")
    expect(page.get_by_role("alert")).to_contain_text("no regular expression")
    page.get_by_label("Filter lines").fill("^(ready|one)")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile("re=1"))
    page.reload()
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Filter lines").fill("ready")
    expect(rows(page)).to_have_count(1)
    rows(page).first.hover()
    page.get_by_role("button", name="Show the lines around").click()
    expect(page.locator(".is-looked")).to_contain_text("ready")
    expect(rows(page).filter(has_text="oops")).to_be_visible()


def test_several_are_merged_and_a_lost_connection_repeats_nothing(
    talkers: Talkers, house: Server, visitor: Visitor
) -> None:
    page = visitor.page
    web = talkers("web", "echo web begins")
    db = talkers("db", "echo db begins")
    page.goto(f"/hosts/{web.host_id}/logs")
    for each in (web, db):
        page.get_by_label(each.name).check()
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(2)
    web.say("after one")
    db.say("after two")
    expect(rows(page)).to_have_text([re.compile(words) for words in ("web beg", "db beg", "after one", "after two")])
    page.evaluate("logs.lost()")
    expect(page.get_by_role("status").filter(has_text="trying again")).to_have_count(0)
    web.say("after three")
    expect(rows(page).filter(has_text="after three")).to_be_visible()
    expect(rows(page)).to_have_count(5)

    page.get_by_role("button", name="Split").click()
    expect(page.locator(".logs-pane")).to_have_count(2)
    expect(page.get_by_role("region", name=re.compile(db.name)).locator(".logs-row")).to_have_count(2)
    page.get_by_role("button", name="Split").click()

    web.container.restart(timeout=1)
    expect(rows(page).filter(has_text="web begins")).to_have_count(2, timeout=30_000)  # it is read again by itself
    with page.expect_download() as download:
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Download what is shown").click()
    text = download.value.path().read_text()
    assert "after two" in text and db.name in text
    with page.expect_download() as download:
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Download from the host").click()
    text = download.value.path().read_text()
    assert text.index("after one") < text.index("after two") < text.index("after three")
    assert visitor.barriers() == []


HIDE = """() => {
  logs.lost();
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
  delete document.hidden;
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SILENCE = """() => {
  const before = logs.stream;
  document.body.dispatchEvent(new CustomEvent("live-silent"));
  return before !== null && logs.stream === null;
}"""


def test_what_was_lost_is_said_only_until_lines_come_again(visitor: Visitor, talkers: Talkers) -> None:
    page = visitor.page
    web = talkers("web", "echo web begins")
    page.goto(web.path)
    expect(rows(page)).to_have_count(1)
    lost = page.get_by_role("status").filter(has_text="trying again")
    page.evaluate(HIDE)  # the reader goes away just then, and comes back
    web.say("after one")
    expect(rows(page)).to_have_count(2)
    expect(lost).to_have_count(0)
    assert page.evaluate(SILENCE)  # other connections are dead, so this one is
    web.say("after two")
    expect(rows(page)).to_have_count(3)
    expect(lost).to_have_count(0)


def test_a_hundred_thousand_lines_and_a_line_of_ten_megabytes_stay_readable(talkers: Talkers, visitor: Visitor) -> None:
    page = visitor.page
    web = talkers(
        "web", "seq 600 | sed 's/^/INFO number /'; head -c 10485760 /dev/zero | tr '\\0' x; echo; echo the end", "end"
    )
    page.goto(web.path)
    expect(rows(page).filter(has_text=re.compile("the end$"))).to_be_visible(timeout=SLOW)
    show = page.get_by_role("button", name=re.compile("^Show all"))
    expect(show).to_be_visible()
    show.click()
    expect(page.locator(".logs-all")).to_contain_text("xxx")
    page.get_by_role("button", name="To the end").click()
    page.evaluate(
        """async () => {
          const now = Date.now();
          for (let at = 0; at < 100000; at += 500) {
            const lines = [];
            for (let one = at; one < at + 500; one++) {
              const stamp = new Date(now + one).toISOString().replace("Z", "000000Z");
              lines.push(`${stamp} INFO line ${one} of many`);
            }
            logs.take({ c: 0, lines });
          }
          while (logs.queue.length) await new Promise((go) => setTimeout(go, 20));
        }"""
    )
    expect(rows(page).filter(has_text="line 99999 of many")).to_be_visible(timeout=SLOW)
    assert rows(page).count() < 200
    view = page.locator(".logs-view")
    view.evaluate("view => { view.scrollTop = view.scrollHeight / 2; }")
    expect(page.get_by_role("button", name="To the end")).to_be_visible()
    before = rows(page).nth(10).inner_text()
    web.say("a late word")
    expect(page.get_by_role("button", name=re.compile("^New lines"))).to_be_visible()
    assert rows(page).nth(10).inner_text() == before
    page.get_by_role("button", name=re.compile("^New lines")).click()
    expect(rows(page).filter(has_text="line 99999 of many")).to_be_visible()
    page.get_by_label("Filter lines").fill("line 4242 ")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Filter lines").fill("")


def test_older_lines_come_when_the_reader_goes_up(talkers: Talkers, visitor: Visitor) -> None:
    page = visitor.page
    web = talkers("web", "seq 1200 | sed 's/^/INFO number /'", "1200")
    page.goto(web.path)
    expect(rows(page).filter(has_text=re.compile("number 1200$"))).to_be_visible()
    expect(page.get_by_text("500 of 500 lines")).to_be_visible()
    page.locator(".logs-view").evaluate("view => { view.scrollTop = 0; }")
    expect(page.get_by_text("1,200 of 1,200 lines")).to_be_visible(timeout=SLOW)
    expect(
        rows(page).filter(has_text=re.compile("number 701$"))
    ).to_be_visible()  # what was looked at is still in sight
    page.locator(".logs-view").evaluate("view => { view.scrollTop = 0; }")
    expect(rows(page).filter(has_text=re.compile("number 1$"))).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="no older lines")).to_be_visible(timeout=SLOW)


def test_on_a_phone_a_moment_is_opened_and_nothing_is_cut_off(
    browser: Browser, house: Server, talkers: Talkers
) -> None:
    web = talkers("web", "for i in $(seq 60); do echo line $i; done", "60")
    stamps = web.container.logs(timestamps=True).decode().split("\n")
    at = stamps[29].split(" ")[0]
    phone = Visitor(browser, house.url, viewport={"width": 390, "height": 780}, has_touch=True)
    phone.is_signed_in_by(house.api)
    page = phone.page
    page.goto(f"{web.path}&at={at}")
    expect(page.locator(".is-looked")).to_be_visible()
    looked = page.locator(".is-looked").inner_text()
    assert looked.endswith("line 30"), looked
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert phone.barriers() == []
    phone.context.close()
    assert not phone.complaints


def test_without_scripts_containers_are_chosen_by_a_form(browser: Browser, house: Server, talkers: Talkers) -> None:
    web = talkers("web", f"echo '{json.dumps('<i>plain</i>')}'")
    reader = Visitor(browser, house.url, has_scripts=False)
    reader.is_signed_in_by(house.api)
    reader.page.goto("/logs")
    reader.page.get_by_label(web.name).check()
    reader.page.get_by_role("button", name="Show").click()
    expect(reader.page.get_by_role("cell", name='"<i>plain</i>"')).to_be_visible()
    reader.context.close()
