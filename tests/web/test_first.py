"""/setup/…: what the first run offers, and what it refuses; the language of pages before and after signing in."""

from __future__ import annotations

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import credentials, principals
from roci_plugins.web import language
from roci_plugins.web.language import COOKIE, Catalogue

from .people import text

HERE = {"Origin": "http://localhost"}


@pytest.fixture
async def link(roci: Roci) -> str:
    return f"/setup/{await roci.write(credentials.make_setup_link)}"


@pytest.fixture
def czech(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more language."""
    known = {**language.catalogues(), "cs": Catalogue("cs", {"name": "Čeština", "texts": {"Sign in": "Přihlásit"}})}
    monkeypatch.setattr(language, "catalogues", lambda: known)


async def test_it_offers_a_password_and_where_browsers_make_them_a_passkey(anonymous: Client, link: str) -> None:
    page = await text(await anonymous.get(link))
    assert 'name="password"' in page and "Begin with a passkey" in page and "Next comes the overview" in page
    page = await text(await anonymous.get(link, headers={"Host": "192.0.2.1:8080"}))
    assert "Begin with a passkey" not in page and "Here it takes a password" in page


async def test_a_passkey_is_asked_for_only_with_the_link_and_a_name(roci: Roci, anonymous: Client, link: str) -> None:
    path = f"{link}/passkey/options"
    assert (await anonymous.post(path, json={"username": "two words"}, headers=HERE)).status_code == 400
    assert (await anonymous.post(path, json={"username": "ann"}, headers={"Origin": "http://evil"})).status_code == 403
    other = "/setup/guessed/passkey"
    assert (await anonymous.post(f"{other}/options", json={"username": "ann"}, headers=HERE)).status_code == 404
    asked = await anonymous.post(path, json={"username": "ann"}, headers=HERE)
    assert asked.status_code == 200 and (await asked.get_json())["user"]["name"] == "ann"
    made = {"username": "ann", "credential": {"id": "x", "rawId": "x"}}
    assert (await anonymous.post(f"{link}/passkey", json=made, headers=HERE)).status_code == 400
    assert (await anonymous.post(f"{link}/passkey", json=made, headers=HERE)).status_code == 403, "asked for once"
    assert (await anonymous.post(other, json=made, headers=HERE)).status_code == 404
    assert not await roci.read(principals.has_administrator)
    assert (await anonymous.get(link)).status_code == 200, "the link is good still"


@pytest.mark.usefixtures("czech")
async def test_the_language_is_chosen_before_signing_in_and_leads_back_to_a_page_of_ours(anonymous: Client) -> None:
    assert 'href="/language/cs?next=' in await text(await anonymous.get("/login?next=/hosts"))
    answer = await anonymous.get("/language/cs?next=/login")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert "Přihlásit" in await text(await anonymous.get("/login"))
    assert (await anonymous.get("/language/cs?next=//evil.example")).headers["Location"] == "/"
    for site in ("cross-site", "same-site"):
        answer = await anonymous.get("/language/en", headers={"Sec-Fetch-Site": site})
        assert "Set-Cookie" not in answer.headers
    await anonymous.get("/language/nothing")
    assert "Přihlásit" not in await text(await anonymous.get("/login"))


@pytest.mark.usefixtures("czech")
async def test_the_account_page_chooses_the_language_of_this_browser(client: Client) -> None:
    page = await text(await client.get("/account"))
    assert '<option value="cs" lang="cs">Čeština</option>' in page
    token = page.partition('name="token" value="')[2].partition('"')[0]
    assert (await client.post("/account/language", form={"token": token, "language": "cs"})).status_code == 303
    assert COOKIE in {cookie.name for cookie in client.cookie_jar}
    page = await text(await client.get("/account"))
    assert '<html lang="cs">' in page and '<option value="cs" lang="cs" selected>' in page
    assert (await client.post("/account/language", form={"language": "en"})).status_code == 403
    await client.post("/account/language", form={"token": token, "language": ""})
    assert '<html lang="en">' in await text(await client.get("/account"))
