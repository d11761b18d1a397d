"""Pages in a real browser with 100 hosts and 2,000 containers: first paint, what is sent, and tasks that block it."""

from __future__ import annotations

from collections.abc import Iterator

import ground
from playwright.sync_api import Browser, BrowserContext, Page
from table import Figure, at_most, median, ms

from tests.e2e.bed import PASSWORD, Client, Server
from tests.e2e.browsers import chromium

HOSTS, CONTAINERS = 100, 20
USUAL = 15.0  # seconds between an agent's heartbeats, while pages are visited
BEATS = 2.0  # the same while pages are looked at: 50 events a second
PATHS = ("/", "/hosts", "/containers", "/applications")
PAINT, TRANSFER, TASK = 0.3, 400, 0.1  # the goals: seconds, KiB, seconds
WATCH = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
  }).observe({ type: "longtask" });
}"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def run(quick: bool) -> Iterator[Figure]:
    with ground.server({"ROCI_ADMIN_PASSWORD": PASSWORD}) as server:
        ground.admit_all(server)
        options = ("--containers", str(CONTAINERS), "--metrics")
        with ground.fleet(server.url, HOSTS, *options) as fleet, chromium() as browser:
            fleet.order("beat", interval=USUAL)
            for path in PATHS:
                yield from _visits(browser, server, path, rounds=3 if quick else 7)
            fleet.order("rest")
            fleet.order("beat", interval=BEATS)
            yield from _watched(browser, server, seconds=5 if quick else 20)


def _reader(browser: Browser, server: Server) -> BrowserContext:
    api = Client(server.url)
    api.sign_in()
    context = browser.new_context(base_url=server.url)
    cookie = {"name": "roci_session", "value": api.session.cookies["roci_session"], "url": server.url}
    context.add_cookies([cookie])  # type: ignore[list-item]
    return context


def _visits(browser: Browser, server: Server, path: str, rounds: int) -> Iterator[Figure]:
    """First visits, each with nothing kept of an earlier one; the first of all is not counted."""
    paints, sizes = [], []
    for _round in range(rounds + 1):
        context = _reader(browser, server)
        page = context.new_page()
        sizes.append(_loaded(context, page, path))
        paints.append(_painted(page))
        context.close()
    paint, size = median(paints[1:]), median(sizes[1:])
    yield Figure(f"first paint of {path}", ms(paint), **at_most(round(paint * 1000), PAINT * 1000, "ms"))
    yield Figure(f"sent for a first visit of {path}", f"{size:,.0f} KiB", **at_most(round(size), TRANSFER, "KiB"))


def _loaded(context: BrowserContext, page: Page, path: str) -> float:
    """KiB that came over the wire for a page, with its headers and all that it asked for."""
    received: list[float] = []
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(path, wait_until="load")
    return sum(received) / 1024


def _painted(page: Page) -> float:
    """Seconds from the request to the first content, as the browser says."""
    page.wait_for_function(PAINTED)
    return float(page.evaluate(PAINTED)) / 1000


def _watched(browser: Browser, server: Server, seconds: float) -> Iterator[Figure]:
    context = _reader(browser, server)
    for path in PATHS[:3]:
        page = context.new_page()
        page.goto(path, wait_until="load")
        page.evaluate(WATCH)
        page.wait_for_timeout(seconds * 1000)
        longest = float(page.evaluate("() => window.longest")) / 1000
        what = f"longest task of {path} in {seconds:.0f} s with {HOSTS / BEATS:.0f} events a second"
        shown = "under 50 ms" if longest == 0 else ms(longest)
        yield Figure(what, shown, **at_most(round(longest * 1000), TASK * 1000, "ms"))
        page.close()
    context.close()
