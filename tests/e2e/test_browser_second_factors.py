"""Second factors as people meet them: a real browser, a real server, one-time codes and passkeys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, expect

from .bed import PASSWORD, Client, Server
from .browsers import Visitor

NewVisitor = Callable[..., Visitor]


@pytest.fixture
def new_visitor(browser: Browser) -> Iterator[NewVisitor]:
    """A browser with no cookies. Whatever it did, it asked nobody but our server, and no page complained."""
    visitors: list[Visitor] = []

    def new(server: Server, **options: bool) -> Visitor:
        visitors.append(Visitor(browser, server.url, **options))
        return visitors[-1]

    yield new
    for visitor in visitors:
        visitor.context.close()
        assert visitor.asked and not visitor.foreign
        assert [said for said in visitor.complaints if "the server responded with a status of 4" not in said] == []


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    return new_server()


def is_in(visitor: Visitor) -> None:
    expect(visitor.page.get_by_text("Signed in as admin")).to_be_visible()


def set_up_codes(visitor: Visitor) -> tuple[pyotp.TOTP, list[str]]:
    """From the account page: the app, and the recovery codes."""
    page = visitor.page
    page.goto("/account")
    page.locator("form[action='/account/totp']").get_by_label("Your password, or a code").fill(PASSWORD)
    page.get_by_role("button", name="Set up one-time codes").click()
    return confirm(visitor)


def confirm(visitor: Visitor) -> tuple[pyotp.TOTP, list[str]]:
    page = visitor.page
    expect(page.locator(".qr svg")).to_be_visible()
    app = pyotp.TOTP(page.locator("#secret").inner_text())
    page.get_by_label("The code that the app shows now").fill(app.now())
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="Keep these recovery codes")).to_be_visible()
    codes = page.locator("#codes code").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    return app, codes


def add_passkey(visitor: Visitor, name: str) -> None:
    page = visitor.page
    page.goto("/account")
    form = page.locator("#new-passkey")
    form.get_by_label("What to call it").fill(name)
    form.get_by_label("Your password, or a code").fill(PASSWORD)
    form.get_by_role("button", name="Add a passkey").click()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_codes_are_set_up_and_asked_for_with_or_without_scripts(
    server: Server, new_visitor: NewVisitor, has_scripts: bool
) -> None:
    first = new_visitor(server, has_scripts=has_scripts)
    first.sign_in("admin", PASSWORD)
    is_in(first)
    app, codes = set_up_codes(first)
    expect(first.page.get_by_text("10 left.")).to_be_visible()

    second = new_visitor(server, has_scripts=has_scripts)
    second.sign_in("admin", PASSWORD)
    expect(second.page.get_by_role("heading", name="One more step")).to_be_visible()
    second.page.goto("/account")
    assert "Your account" not in second.page.inner_text("h1")
    second.page.goto("/login/second")
    field = second.page.get_by_label("The code that your app shows, or a recovery code")
    field.fill("000000")
    second.page.get_by_role("button", name="Go on").click()
    expect(second.page.get_by_role("alert")).to_contain_text("this code is wrong")
    field.fill(next_code(app))
    second.page.get_by_role("button", name="Go on").click()
    is_in(second)

    third = new_visitor(server, has_scripts=has_scripts)
    third.sign_in("admin", PASSWORD)
    third.page.get_by_label("The code that your app shows, or a recovery code").fill(codes[3])
    third.page.get_by_role("button", name="Go on").click()
    is_in(third)
    third.page.goto("/account")
    expect(third.page.get_by_text("9 left.")).to_be_visible()


def next_code(app: pyotp.TOTP) -> str:
    """The code of the next half minute: the present one was used up by setting the app up."""
    import time

    return app.at(int(time.time()) + 30)


def test_a_passkey_signs_in_alone_and_as_a_second_factor(server: Server, new_visitor: NewVisitor) -> None:
    visitor = new_visitor(server)
    page = visitor.page
    visitor.sign_in("admin", PASSWORD)
    is_in(visitor)
    visitor.add_device()
    add_passkey(visitor, "laptop")
    codes = page.locator("#new-codes code")
    expect(codes).to_have_count(10)
    expect(page.get_by_text("None: a password is all that it takes.")).to_be_hidden()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("laptop for localhost")).to_be_visible()

    visitor.context.clear_cookies()
    page.goto("/login?next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text(re.compile(r"by passkey, since .*here"))).to_be_visible()

    visitor.context.clear_cookies()
    visitor.sign_in("admin", PASSWORD)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    is_in(visitor)
    page.goto("/account")
    expect(page.get_by_text(re.compile(r"by password, since .*here"))).to_be_visible()

    script = Client(server.url)
    status, body = script.post("/login", {"username": "admin", "password": PASSWORD})
    assert (status, body["error"]["code"]) == (401, "second_factor_required")


def test_a_passkey_that_was_removed_lets_nobody_in(server: Server, new_visitor: NewVisitor) -> None:
    visitor = new_visitor(server)
    page = visitor.page
    visitor.sign_in("admin", PASSWORD)
    visitor.add_device()
    add_passkey(visitor, "laptop")
    expect(page.locator("#new-codes code")).to_have_count(10)
    page.goto("/account")
    row = page.locator("form.row", has_text="laptop for localhost")
    row.get_by_label("Your password, or a code").fill("not my password")
    page.get_by_role("button", name="Remove the passkey laptop").click()
    expect(page.get_by_role("alert")).to_contain_text("not what you sign in with")
    row.get_by_label("Your password, or a code").fill(PASSWORD)
    page.get_by_role("button", name="Remove the passkey laptop").click()
    expect(page.get_by_text("None: a password is all that it takes.")).to_be_visible()

    visitor.context.clear_cookies()
    page.goto("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("this passkey is not known here")


def test_where_it_is_required_nothing_works_before_it_is_set_up(
    new_server: Callable[..., Server], new_visitor: NewVisitor
) -> None:
    server = new_server(environment={"ROCI_SIGN_IN__SECOND_FACTOR": "required"})
    status, body = Client(server.url).post("/login", {"username": "admin", "password": PASSWORD})
    assert (status, body["error"]["code"]) == (401, "second_factor_required") and "/login" in body["error"]["message"]

    visitor = new_visitor(server)
    visitor.sign_in("admin", PASSWORD)
    expect(visitor.page.get_by_role("heading", name="Set up one-time codes")).to_be_visible()
    assert "roci_session" not in {cookie["name"] for cookie in visitor.context.cookies()}
    app, _ = confirm(visitor)
    is_in(visitor)
    answer = {"username": "admin", "password": PASSWORD, "otp": next_code(app)}
    assert Client(server.url).post("/login", answer)[0] == 200
    assert Client(server.url).post("/login", answer)[0] == 401  # a code counts once


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """A server at its very first start, that nobody has given a password."""
    server = Server(tmp_path)
    del server.environment["ROCI_ADMIN_PASSWORD"]
    server.start()
    yield server
    server.end()


def test_the_first_run_takes_a_passkey_in_place_of_a_password(fresh: Server, new_visitor: NewVisitor) -> None:
    link = fresh.wait_for_output(r"http\S+(/setup/\S+)")[1]
    visitor = new_visitor(fresh)
    page = visitor.page
    visitor.add_device()
    page.goto(link)
    assert visitor.barriers() == []
    page.get_by_label("Name").fill("robin")
    page.get_by_role("button", name="Begin with a passkey").click()
    expect(page.locator("#new-codes code")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Signed in as robin")).to_be_visible()
    visitor.context.clear_cookies()
    page.goto("/login?next=/people")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="People and access")).to_be_visible()
