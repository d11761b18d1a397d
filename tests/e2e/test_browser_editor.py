"""The editor of Compose files in a real browser: errors beside the line, drafts, two people, a stay that ends."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from .bed import PASSWORD, Server, unique
from .browsers import Visitor
from .journey import App, ended

COMPOSE = "services:\n  web:\n    image: {image}\n"


def typed(page: Page, text: str) -> None:
    """Put a text in the place of the one in the editor, as somebody with a keyboard does."""
    page.locator(".ace_content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


def shown(page: Page) -> str:
    return str(page.evaluate("document.querySelector('.ace').env.editor.getValue()"))


def expects(visitor: Visitor, *statuses: int) -> None:
    """The browser tells of answers with these; that is no complaint of the page's."""
    told = [f"{words} {status}" for status in statuses for words in ("status of", "Status Error Code")]
    visitor.complaints[:] = [each for each in visitor.complaints if not any(status in each for status in told)]


def forget(app: App, page: Page) -> None:
    """Take it away again; it lies on no host. A page of what is removed would complain."""
    page.close()
    assert app.api.delete(app.path, {"confirm_name": app.name})[0] == 200


def test_a_file_is_typed_mended_created_and_deployed(
    house: Server, image: str, cleanup: Callable[[str], str], visitor: Visitor
) -> None:
    page, name = visitor.page, cleanup("typed")
    page.goto("/applications/new")
    page.get_by_label("Name").fill(name)
    typed(page, "services:\n  web:\n    imge: nginx\n")
    expect(page.locator("#outline li.bad")).to_contain_text("has no `image`")
    expect(page.locator("#outline li.busy")).to_contain_text("is `image` meant?")
    expect(page.locator(".ace_gutter-cell.ace_error")).to_have_text("2")
    page.get_by_role("link", name="Line 3").click()
    page.keyboard.press("Home")
    assert visitor.barriers() == []
    typed(page, COMPOSE.format(image=image) + "    ports: ['127.0.0.1::8080']\n")
    expect(page.locator("#outline")).to_contain_text("No mistake found")
    expect(page.locator(".ace_gutter-cell.ace_error")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/operations/*")
    expect(page.locator("main")).to_contain_text("succeeded", timeout=40_000)
    (app,) = [each for each in house.api.get("/api/v1/applications")[1]["applications"] if each["name"] == name]
    page.goto(f"/applications/{app['id']}/edit")
    expect(page.get_by_text("until then it runs on as it is")).to_be_visible()
    typed(page, COMPOSE.format(image=image) + "    labels: {new: one}\n")
    page.get_by_role("button", name="Save and deploy").click()
    page.wait_for_url("**/operations/*", timeout=40_000)
    expect(page.locator("main")).to_contain_text("succeeded", timeout=40_000)
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('roci.draft')).length") == 0
    page.goto("about:blank")  # a page of what is removed would complain
    _, gone = house.api.delete(f"/api/v1/applications/{app['id']}", {"confirm_name": name})
    assert ended(house.api, gone["operation_id"])["status"] == "succeeded"


def test_two_people_and_a_crash_lose_nothing(visitor: Visitor, house: Server) -> None:
    page, app = visitor.page, App(house.api, unique("shared"), COMPOSE.format(image="nginx"))
    path = f"/applications/{app.id}/edit"
    page.goto(path)
    typed(page, COMPOSE.format(image="httpd"))
    page.keyboard.press("Control+S")
    expect(page.locator("#said")).to_contain_text("Saved as revision 2")
    expect(page.locator("#changed")).to_be_hidden()

    assert app.edit(compose_yaml=COMPOSE.format(image="caddy"))[0] == 200
    typed(page, COMPOSE.format(image="traefik"))
    page.keyboard.press("Control+S")
    expect(page.locator("#said")).to_contain_text("admin saved revision 3 while you were writing")
    expect(page.locator("#said .diff").last.locator("tr.gone")).to_contain_text("image: caddy")
    expect(page.locator("#said .diff").last.locator("tr.new")).to_contain_text("image: traefik")
    assert visitor.barriers() == []

    expect(page.locator("#changed")).to_be_visible()  # and so the draft is kept
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("about:blank")
    page.goto(path)
    assert "caddy" in shown(page)
    page.get_by_role("button", name="Go on with it").click()
    assert "traefik" in shown(page)
    page.keyboard.press("Control+S")
    expect(page.locator("#said")).to_contain_text("Saved as revision 4")
    page.goto(path)
    expect(page.locator("#draft")).to_be_hidden()
    assert "traefik" in shown(page)
    expects(visitor, 409)
    forget(app, page)


def test_a_stay_that_ends_keeps_the_text_with_scripts_and_without(
    visitor: Visitor, house: Server, browser: Browser
) -> None:
    page, app = visitor.page, App(house.api, unique("stay"), COMPOSE.format(image="nginx"))
    page.goto(f"/applications/{app.id}/edit")
    visitor.context.clear_cookies()
    typed(page, COMPOSE.format(image="httpd"))
    page.keyboard.press("Control+S")
    expect(page.locator("#signed-out")).to_be_visible()
    with visitor.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in a new tab").click()
    tab = opened.value
    tab.get_by_label("Name").fill("admin")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.get_by_role("heading", name="Overview")).to_be_visible()
    tab.close()
    page.locator(".ace_content").click()
    page.keyboard.press("Control+S")
    expect(page.locator("#said")).to_contain_text("Saved as revision 2")
    expects(visitor, 401, 403)

    plain = Visitor(browser, house.url, has_scripts=False)
    plain.sign_in("admin", PASSWORD)
    plain.page.goto(f"/applications/{app.id}/edit")
    plain.page.get_by_label("Compose file").fill(COMPOSE.format(image="caddy"))
    plain.context.clear_cookies()
    plain.page.get_by_role("button", name="Save", exact=True).click()
    expect(plain.page.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(plain.page.get_by_label("Compose file")).to_have_value(COMPOSE.format(image="caddy"))
    plain.is_signed_in_by(house.api)
    plain.page.get_by_role("button", name="Send it again").click()
    expect(plain.page.get_by_role("alert")).to_contain_text("You have signed in anew")
    plain.page.get_by_role("button", name="Save", exact=True).click()
    expect(plain.page.locator("main")).to_contain_text("Saved as revision 3")
    plain.context.close()
    forget(app, page)


def test_a_docker_run_and_a_secret_on_a_phone(visitor: Visitor, house: Server, browser: Browser) -> None:
    page = visitor.page
    page.goto("/applications/new")
    page.get_by_text("From a docker run line").click()
    page.get_by_label("docker run lines").fill("docker run --bogus-flag nginx")
    page.get_by_role("button", name="Make a Compose file of it").click()
    expect(page.get_by_role("alert")).to_contain_text("--bogus-flag")
    expects(visitor, 400)
    page.get_by_label("docker run lines").fill("docker run -d --rm --name shop -e KEY=$KEY -p 8081:80 nginx:1")
    page.get_by_role("button", name="Make a Compose file of it").click()
    expect(page.get_by_label("Name")).to_have_value("shop")
    expect(page.locator("#said")).to_contain_text("--rm")
    expect(page.locator("#outline")).to_contain_text("8081:80")
    assert "container_name: shop" in shown(page)

    app = App(house.api, unique("phone"), COMPOSE.format(image="nginx:${TAG}"))
    phone = Visitor(browser, house.url, viewport={"width": 390, "height": 800}, has_touch=True, color_scheme="dark")
    phone.is_signed_in_by(house.api)
    phone.page.goto(f"/applications/{app.id}/edit")
    expect(phone.page.get_by_label("Compose file")).to_be_visible()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390 and phone.barriers() == []
    phone.page.get_by_role("link", name="Environment").click()
    expect(phone.page.locator("#variables")).to_contain_text("no value")
    phone.page.get_by_text("Set TAG").click()
    phone.page.get_by_label("Value of TAG").fill("alpine")
    phone.page.get_by_role("button", name="Keep as a secret").first.click()
    expect(phone.page.locator("#variables")).to_contain_text("secret")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390 and phone.barriers() == []
    assert not phone.complaints and not phone.foreign
    phone.context.close()
    forget(app, page)
