"""Automation in a real browser: a key is made, a job uses it with curl, its run is seen, and it is revoked."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

from playwright.sync_api import expect

from .bed import Server, unique
from .browsers import Visitor
from .engines import unavailable
from .journey import App, agent, ended, stack, web


def job(url: str, key: str, application_id: str, run_id: str) -> tuple[int, dict[str, str]]:
    """As the example on the page does it."""
    curl = shutil.which("curl") or unavailable("a job of a CI system needs curl")
    body = {"application_id": application_id, "run_id": run_id, "run_context": {"repository": "me/shop"}}
    argv = [curl, "-s", "-w", "\n%{http_code}", f"{url}/api/automation/v1/deploy", "-d", json.dumps(body)]
    argv += ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


def test_a_key_is_made_used_by_a_job_and_revoked(
    house: Server, image: str, cleanup: Callable[[str], str], visitor: Visitor
) -> None:
    page, name, run = visitor.page, unique("shop-ci"), unique("run")
    app = App(house.api, cleanup("shop"), stack({"web": web(image)}), agent(house.api)["id"])
    page.goto("/automation")
    new = page.locator("#new")
    if not new.get_by_label("Name").is_visible():
        new.get_by_text("Make a key").click()
    new.get_by_label("Name").fill(name)
    new.get_by_label("deploy applications").check()
    new.get_by_label("Write the example for").select_option(label=app.name)
    assert visitor.barriers() == []
    new.get_by_role("button", name="Make the key").click()
    key = page.locator("#secret code").inner_text()
    assert key.startswith("rca_") and app.id in page.locator("#made").inner_text()
    assert visitor.barriers() == []

    status, begun = job(house.url, key, app.id, run)
    assert status == 202, begun
    ended(house.api, begun["operation_id"])
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/automation/runs")
    mine = page.locator("#runs li").filter(has_text=run)
    expect(mine.first).to_contain_text("me/shop")
    mine.get_by_text("1 operation").click()
    expect(mine.get_by_role("link", name=f"deploy {app.name}")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.barriers() == []

    page.goto("/automation")
    assert key not in page.content()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_text("What was done with it")).to_be_visible()
    assert visitor.barriers() == []
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text(f"{name} was revoked")).to_be_visible()
    status, _ = job(house.url, key, app.id, run)
    assert status == 401
    page.goto("/account")  # a page of what is removed would complain
    app.remove()


def test_a_credential_for_a_registry_is_kept_and_never_shown(visitor: Visitor) -> None:
    page, name = visitor.page, unique("lan")
    page.goto("/automation/registries")
    new = page.locator("#new")
    if not new.get_by_label("Name", exact=True).is_visible():
        new.get_by_text("Add a credential").click()
    new.get_by_label("Name", exact=True).fill(name)
    new.get_by_label("Address").fill("registry.lan:5000")
    new.get_by_label("User name").fill("ann")
    new.get_by_label("Password or token").fill("hush-hush")
    assert visitor.barriers() == []
    new.get_by_role("button", name="Add the credential").click()
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("registry.lan:5000")
    assert "hush-hush" not in page.content()
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_text(f"{name} was removed")).to_be_visible()
