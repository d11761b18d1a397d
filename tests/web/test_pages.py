"""Signing in and out, the first run, the start page; as a browser and as a script see them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import NotFound, Roci
from roci_plugins.auth.passwords import Passwords
from roci_plugins.domain import access, credentials, events, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

GOOD = {"username": "ann", "password": "correct horse"}


@pytest.fixture
async def ann(roci: Roci) -> None:
    hashed = await roci.part(Passwords).make(GOOD["password"])
    await roci.write(access.add_administrator, NewPrincipal("ann", password_hash=hashed))


async def sees_agents(client: Client) -> int:
    return (await client.get("/api/v1/agents")).status_code


@pytest.mark.usefixtures("ann")
async def test_a_script_signs_in_with_json_and_out_again(anonymous: Client) -> None:
    assert await sees_agents(anonymous) == 401
    answer = await anonymous.post("/login", json=GOOD)
    assert answer.status_code == 200 and (await answer.get_json())["success"] is True
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("roci_session=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # over plain HTTP a browser would drop it
    assert await sees_agents(anonymous) == 200
    assert (await anonymous.post("/logout", json={})).status_code == 200
    assert await sees_agents(anonymous) == 401


@pytest.mark.usefixtures("ann")
async def test_a_form_is_answered_with_a_redirection_to_a_place_of_ours(anonymous: Client) -> None:
    for wanted, given in [("/", "/"), ("/openapi.json", "/openapi.json"), ("//evil.example", "/"), ("http://x/", "/")]:
        answer = await anonymous.post("/login", form={**GOOD, "next": wanted})
        assert (answer.status_code, answer.headers["Location"]) == (303, given)


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize("wrong", [{"password": "wrong horse!"}, {"username": "nobody"}])
async def test_a_wrong_name_and_a_wrong_password_read_the_same(anonymous: Client, wrong: dict[str, str]) -> None:
    answer = await anonymous.post("/login", json={**GOOD, **wrong})
    assert answer.status_code == 401
    assert await answer.get_json() == {"error": {"code": "unauthorized", "message": "wrong user name or password"}}
    page = await anonymous.post("/login", form={**GOOD, **wrong})
    assert page.status_code == 401 and "wrong user name or password" in await page.get_data(as_text=True)


@pytest.mark.usefixtures("ann")
async def test_who_guesses_has_to_wait(anonymous: Client) -> None:
    statuses = [
        (await anonymous.post("/login", json={**GOOD, "password": f"guess {n}"})).status_code for n in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    answer = await anonymous.post("/login", json=GOOD)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    "target", ["http://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "http://["]
)
async def test_signing_in_leads_nowhere_else(anonymous: Client, target: str) -> None:
    page = await anonymous.get("/login", query_string={"next": target})
    assert page.status_code == 200 and 'name="next" value="/"' in await page.get_data(as_text=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_no_other_site_signs_anybody_in(anonymous: Client, headers: dict[str, str]) -> None:
    assert (await anonymous.post("/login", form=GOOD, headers=headers)).status_code == 403


async def test_signing_out_by_a_form_takes_its_token(client: Client) -> None:
    assert (await client.get("/logout")).status_code == 200
    for forged in ("", "forged", "é"):
        assert (await client.post("/logout", form={"token": forged})).status_code == 403
    assert await sees_agents(client) == 200
    page = await (await client.get("/logout")).get_data(as_text=True)
    found = re.search(r'name="token" value="(\w+)"', page)
    assert found
    answer = await client.post("/logout", form={"token": found[1]})
    assert answer.status_code == 303 and await sees_agents(client) == 401


async def test_the_start_page_is_for_who_is_signed_in(anonymous: Client, client: Client) -> None:
    answer = await anonymous.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    page = await client.get("/")
    text = await page.get_data(as_text=True)
    assert page.status_code == 200 and "Signed in as admin" in text and "/install.sh | sudo sh" in text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert page.headers["X-Frame-Options"] == "DENY"


@pytest.mark.usefixtures("ann")
async def test_the_start_page_tells_of_hosts_only_who_may_see_them(roci: Roci, anonymous: Client) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    anonymous.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, bob))

    async def shown() -> tuple[bool, bool]:
        text = await (await anonymous.get("/")).get_data(as_text=True)
        assert "Signed in as bob" in text
        return "hosts connected" in text, "/install.sh" in text

    assert await shown() == (False, False)
    await roci.write(access.add_role, NewRole("watcher", [Rule("hosts.read")]))
    await roci.write(access.bind, "bob", "watcher")
    assert await shown() == (True, True)


async def test_the_first_run_makes_one_administrator_with_one_link(roci: Roci, anonymous: Client) -> None:
    link = f"/setup/{await roci.write(credentials.make_setup_link)}"
    assert (await anonymous.get(link)).status_code == 200
    form = {"username": "ann", "password": "correct horse", "repeated": "correct horse"}
    for wrong, why in [({"repeated": "other horse!"}, "differ"), ({"password": "short", "repeated": "short"}, "10")]:
        page = await anonymous.post(link, form={**form, **wrong})
        assert page.status_code == 400 and why in await page.get_data(as_text=True)
    answer = await anonymous.post(link, form=form)
    assert answer.status_code == 303 and await sees_agents(anonymous) == 200
    (added,), _ = await roci.read(events.list_, 1, 0, "PrincipalAdded")
    assert (added.actor_id, added.via) == ("system", "setup") and added.address
    for method in (anonymous.get, anonymous.post):
        assert (await method(link)).status_code == 404
    with pytest.raises(NotFound):
        await roci.read(credentials.check_setup_link, "guessed")


async def test_a_name_with_markup_stays_text(anonymous: Client) -> None:
    page = await anonymous.post("/login", form={"username": "<script>x</script>", "password": "whatever else"})
    assert "<script>" not in await page.get_data(as_text=True)


async def test_errors_are_pages_for_people_and_json_for_programs(anonymous: Client) -> None:
    page = await anonymous.get("/setup/used")
    text = await page.get_data(as_text=True)
    assert page.status_code == 404 and page.mimetype == "text/html" and "used already" in text
    answer = await anonymous.get("/setup/used", headers={"Accept": "application/json"})
    assert (answer.status_code, (await answer.get_json())["error"]["code"]) == (404, "not_found")
    assert (await (await anonymous.get("/nowhere")).get_json())["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/nonsense", "/hosts/5f4fd0ea-6d4e-4d3c-8f5e-000000000000"])
async def test_a_browser_at_an_address_that_is_none_is_shown_ways_on(client: Client, path: str) -> None:
    page = await client.get(path, headers={"Accept": "text/html,*/*;q=0.8", "Accept-Language": "de"})
    text = await page.get_data(as_text=True)
    assert (page.status_code, page.mimetype) == (404, "text/html") and "Hier ist nichts" in text
    assert 'href="/hosts">Hosts' in text and 'href="/applications">Anwendungen' in text and 'href="/">Übersicht' in text


async def test_the_style_sheet_is_served_from_here(anonymous: Client) -> None:
    style = await anonymous.get("/static/style.css")
    assert style.status_code == 200 and style.mimetype == "text/css"
    assert (await anonymous.get("/static/../__init__.py")).status_code == 404


async def test_every_page_names_an_icon_and_browsers_find_it_without(anonymous: Client) -> None:
    for page in ("/login", "/setup/used"):
        assert 'rel="icon" href="/static/icon.svg"' in await (await anonymous.get(page)).get_data(as_text=True)
    for path in ("/static/icon.svg", "/favicon.ico"):
        icon = await anonymous.get(path)
        assert icon.status_code == 200 and icon.mimetype == "image/svg+xml"
        assert (await icon.get_data(as_text=True)).startswith("<svg ")


async def test_a_cookie_is_secure_for_the_public_name_and_not_for_a_plain_one(app: Quart, roci: Roci, ann: Any) -> None:
    roci.settings.public_url = "https://roci.example.org"
    client = app.test_client()
    public = await client.post("/login", json=GOOD, headers={"Host": "roci.example.org"})
    assert "Secure" in public.headers["Set-Cookie"]
    lan = await client.post("/login", json=GOOD, headers={"Host": "192.168.1.5:8080"})
    assert "Secure" not in lan.headers["Set-Cookie"]
