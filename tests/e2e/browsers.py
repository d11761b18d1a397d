"""A real Chromium and its virtual passkey device, for what only a browser can show."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from .engines import unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


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


class Visitor:
    """Somebody at a browser of their own. Every address it asks for, and every complaint of a page, is kept."""

    def __init__(self, browser: Browser, url: str, has_scripts: bool = True) -> None:
        port = urlsplit(url).port
        self.url = f"http://localhost:{port}"  # passkeys are for names, not for addresses
        self.context: BrowserContext = browser.new_context(base_url=self.url, java_script_enabled=has_scripts)
        self.context.set_default_timeout(10_000)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

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

    @property
    def foreign(self) -> list[str]:
        """Addresses that are not the server's own."""
        return [url for url in self.asked if not url.startswith((self.url + "/", "data:"))]
