"""People and access, settings, the system and one's own account in a real browser, as who administers uses them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from playwright.sync_api import Browser, expect

from .bed import PASSWORD, ROCI, Server, unique
from .browsers import Visitor


def test_a_person_is_added_gets_a_role_and_it_is_explained_why_they_may(
    visitor: Visitor, house: Server, browser: Browser
) -> None:
    page, name, role = visitor.page, unique("ann"), unique("watcher")
    page.goto("/people")
    assert visitor.barriers() == []
    page.get_by_role("link", name="Roles", exact=True).click()
    page.get_by_role("link", name="Make a role").click()
    page.get_by_label("Name", exact=True).fill(role)
    page.get_by_role("checkbox", name="hosts.read").check()
    page.get_by_role("group", name="alerts").get_by_label("all of these").check()
    expect(page.get_by_role("checkbox", name="alerts.read")).to_be_disabled()
    assert visitor.barriers() == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("see hosts and their containers")).to_be_visible()
    expect(page.get_by_text("everything about alerts")).to_be_visible()
    assert visitor.barriers() == []

    page.get_by_role("link", name="People and access").click()
    page.get_by_role("link", name="Add a person").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Role").select_option(role)
    page.get_by_role("button", name="Add").click()
    password = page.locator("#issued code").inner_text()
    assert visitor.barriers() == []

    theirs = Visitor(browser, house.url)
    theirs.sign_in(name, password)
    expect(theirs.page.get_by_role("link", name="Hosts", exact=True)).to_be_visible()
    expect(theirs.page.get_by_role("link", name="People and access")).to_have_count(0)
    theirs.context.close()

    page.get_by_role("link", name=re.compile("Why may")).click()
    page.get_by_label("does what").fill("hosts.read")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#verdict")).to_contain_text(f"{name} may do this")
    expect(page.locator("#verdict").get_by_role("link", name=role)).to_be_visible()
    page.get_by_label("does what").fill("hosts.remove")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#verdict")).to_contain_text(f"{name} may not do this")
    expect(page.locator("#verdict").get_by_role("link", name="admin")).to_be_visible()
    assert visitor.barriers() == []

    page.goto("/people")
    page.get_by_role("link", name=name).click()
    page.get_by_text("Remove them").click()
    page.get_by_label(f"Type {name}").fill(name)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("status").filter(has_text=f"{name} was removed")).to_be_visible()
    page.goto(f"/people/roles/{role}")
    page.get_by_text("Remove this role").click()
    page.get_by_label(f"Type {role}").fill(role)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("status").filter(has_text=f"{role} was removed")).to_be_visible()


def test_settings_say_what_locks_them_and_are_found_as_one_types(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/settings")
    bind = page.get_by_role("row").filter(has_text="Where the server listens")
    expect(bind).to_contain_text("locked by the environment: ROCI_BIND")
    expect(page.get_by_role("row").filter(has_text="Makes the administrator")).to_contain_text("set, and never shown")
    expect(page.locator("main")).not_to_contain_text(PASSWORD)
    page.get_by_label("Search").fill("heartbeat paced")
    expect(page.get_by_text("links.paced", exact=True)).to_be_visible()
    expect(bind).to_be_hidden()
    page.get_by_label("Search").fill("no such words")
    expect(page.get_by_text("No setting fits.")).to_be_visible()
    assert visitor.barriers() == []


def test_a_backup_is_downloaded_and_put_back(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    page.goto("/system")
    expect(page.get_by_text("all is well", exact=True)).to_be_visible()
    assert visitor.barriers() == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download a backup").click()
    file = tmp_path / "roci.tar"
    download.value.save_as(file)
    argv = [ROCI, "restore", str(file), "--data-dir", str(tmp_path / "restored")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Restored" in done.stdout, done.stderr
    row = page.get_by_role("row").filter(has_text=download.value.suggested_filename)
    expect(row).to_contain_text("admin")  # told live


def test_on_a_phone_every_page_fits_and_the_account_keeps_its_forms(browser: Browser, house: Server) -> None:
    visitor = Visitor(browser, house.url, viewport={"width": 390, "height": 844}, color_scheme="dark")
    visitor.is_signed_in_by(house.api)
    page = visitor.page
    for path in ("/people", "/people/new", "/people/roles/admin", "/people/providers", "/settings", "/system"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    page.goto("/account")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.get_by_label("Language").select_option("en")
    page.get_by_role("button", name="Use this language").click()
    expect(page.get_by_label("Language")).to_have_value("en")
    assert visitor.barriers() == []
    visitor.context.close()
    assert not visitor.foreign and not visitor.complaints
