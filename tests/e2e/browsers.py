"""A real Chromium and its virtual passkey device, for what only a browser can show."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from .bed import Client
from .engines import unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 30_000  # milliseconds that an action or what is expected may take: the machine may be slow
# A request that fails this way is the network's doing, or ends with its page. What else is said then: by htmx, and of a
# fetch that nobody catches.
LOST = ("net::ERR_NETWORK_CHANGED", "net::ERR_ABORTED")
ECHOES = {"xhr": ("htmx:afterRequest", "htmx:send"), "fetch": ("Failed to fetch",)}

expect.set_options(timeout=PATIENCE)


def find_chromium() -> str:
    """Its path. None here: the test fails or is skipped."""
    found = os.environ.get("ROCI_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or unavailable("no Chromium here: apt install chromium, or name one in ROCI_TEST_CHROMIUM")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def _is_complaint(said: ConsoleMessage) -> bool:
    """Containers that come and go change this machine's networks, and Chromium gives up what is under way then."""
    return said.type == "error" and "net::ERR_NETWORK_CHANGED" not in said.text


class Visitor:
    """Somebody at a browser of their own. Every address it asks for, and every complaint of a page, is kept."""

    def __init__(self, browser: Browser, url: str, has_scripts: bool = True, **options: Any) -> None:
        """`options` are those of a browser's context: viewport, color_scheme, locale."""
        port = urlsplit(url).port
        self.url = f"http://localhost:{port}"  # passkeys are for names, not for addresses
        self.context: BrowserContext = browser.new_context(
            base_url=self.url, java_script_enabled=has_scripts, **options
        )
        self.context.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._echoes: list[str] = []  # complaints that will be heard, of requests that were lost
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self._complain(said.text) if _is_complaint(said) else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("requestfailed", self._lose)

    def _complain(self, text: str) -> None:
        self.complaints.append(text)
        self._forgive()

    def _lose(self, request: Request) -> None:
        if request.failure in LOST:
            self._echoes.extend(ECHOES.get(request.resource_type, ()))
            self._forgive()

    def _forgive(self) -> None:
        """Each echo of a request that was lost, once. The browser may tell of it before or after the page complains."""
        for said in list(self.complaints):
            echo = next((echo for echo in self._echoes if echo in said), None)
            if echo:
                self._echoes.remove(echo)
                self.complaints.remove(said)

    def add_device(self) -> None:
        """A virtual device that keeps passkeys and knows its user."""
        devtools = self.context.new_cdp_session(self.page)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def sign_in(self, name: str, password: str) -> None:
        self.page.goto("/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def is_signed_in_by(self, api: Client) -> None:
        """Take over the stay of a client that has signed in."""
        cookie = api.session.cookies["roci_session"]
        self.context.add_cookies([{"name": "roci_session", "value": cookie, "url": self.url}])

    def barriers(self) -> list[str]:
        """What axe finds on the page that shuts somebody out, as far as it is serious."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:3]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    @property
    def foreign(self) -> list[str]:
        """Addresses that are not the server's own."""
        return [url for url in self.asked if not url.startswith((self.url + "/", "data:"))]
