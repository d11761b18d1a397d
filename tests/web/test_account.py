"""/account: what people change about themselves, what it asks of them, and whom it does not serve."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive, now
from roci_plugins.auth.factors import JUST_NOW
from roci_plugins.domain import credentials, events, factors, principals
from roci_plugins.domain.principals import Principal

from .people import PASSWORD, code, give_codes, leads_to, make, send, sign_in, text, token
from .ui.reading import topics

HERE = {"Origin": "http://localhost"}


@pytest.fixture
async def ann(roci: Roci) -> Principal:
    return await make(roci)


@pytest.fixture
async def browser(ann: Principal, app: Quart) -> Client:
    """Ann's, signed in."""
    client = app.test_client()
    assert leads_to(await sign_in(client)) == (303, "/")
    return client


async def test_the_page_is_for_people_with_a_browser(roci: Roci, ann: Principal, anonymous: Client) -> None:
    assert (await anonymous.get("/account")).status_code == 401
    _, secret = await roci.write(credentials.issue, ann.id, "laptop")
    answer = await anonymous.get("/account", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_a_browser_that_is_not_signed_in_is_led_to_the_sign_in_page_and_back(
    ann: Principal, anonymous: Client
) -> None:
    for path in ("/account", "/account/totp"):
        answer = await anonymous.get(path, headers=BROWSER)
        assert leads_to(answer) == (303, "/login?next=" + path.replace("/", "%2F"))
        assert "WWW-Authenticate" not in answer.headers
    form = await text(await anonymous.get("/login?next=%2Faccount"))
    assert 'name="next" value="/account"' in form
    assert leads_to(await sign_in(anonymous, next="/account")) == (303, "/account")
    assert (await anonymous.get("/account", headers=BROWSER)).status_code == 200


async def test_programs_and_forms_are_refused_and_led_nowhere(anonymous: Client) -> None:
    for accept in ("*/*", "application/json"):
        assert (await anonymous.get("/account", headers={"Accept": accept})).status_code == 401
    assert (await anonymous.post("/account", form={"display_name": "x"}, headers=BROWSER)).status_code == 401
    assert (await anonymous.get("/login/arrived", headers=BROWSER)).status_code == 401


async def test_at_an_address_of_this_machine_the_page_names_where_passkeys_work(browser: Client) -> None:
    cookie = {"Cookie": f"roci_session={next(each.value for each in browser.cookie_jar)}"}
    page = await text(await browser.get("/account", headers={"Host": "127.0.0.1:8080", **cookie}))
    assert "open http://localhost:8080 instead" in page and "new-passkey" not in page


async def test_the_page_is_never_kept_by_a_cache_and_needs_nothing_from_elsewhere(browser: Client) -> None:
    answer = await browser.get("/account")
    page = await text(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r'(src|href|action)="(https?:)?//', page) and "style=" not in page and "<script>" not in page
    script = await browser.get("/static/passkeys.js")
    assert script.status_code == 200 and script.mimetype == "text/javascript"


async def test_every_form_of_the_page_needs_its_token_and_our_origin(roci: Roci, browser: Client) -> None:
    page = await text(await browser.get("/account"))
    paths = set(re.findall(r'method="post" action="(/account[^"]*)"', page)) - {"/account/passkeys"}
    assert len(paths) >= 5
    for path in paths:
        for forged in ("", "forged", "é"):
            assert (await browser.post(path, form={"token": forged})).status_code == 403, path
        answer = await browser.post(path, form={"token": "x"}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403, path
    recorded, _ = await roci.read(events.list_, 1000)
    assert not {row.name for row in recorded} & {"PasswordChanged", "TokenIssued", "FactorAdded"}


async def test_the_name_to_show_is_changed_and_markup_in_it_stays_text(
    roci: Roci, ann: Principal, browser: Client
) -> None:
    await send(browser, "/account", display_name=" <b>Ann</b> ")
    assert (await roci.read(principals.get, ann.id)).display_name == "<b>Ann</b>"
    assert "<b>Ann</b>" not in await text(await browser.get("/account"))
    assert "at most 200" in await text(await send(browser, "/account", display_name="x" * 201))
    assert "one line of printable" in await text(await send(browser, "/account", display_name="Ann\x1b[2J"))


async def test_a_new_password_takes_the_old_one_and_ends_other_stays(
    ann: Principal, browser: Client, app: Quart
) -> None:
    other = app.test_client()
    await sign_in(other)
    good = {"current": PASSWORD, "password": "another horse", "repeated": "another horse"}
    for wrong, why in (
        ({"current": "guessed it"}, "not what you sign in with"),
        ({"repeated": "a third horse"}, "differ"),
        ({"password": "short", "repeated": "short"}, "at least 10"),
    ):
        assert why in await text(await send(browser, "/account/password", **{**good, **wrong}))
    assert (await other.get("/account")).status_code == 200
    assert leads_to(await send(browser, "/account/password", **good)) == (303, "/account")
    assert (await browser.get("/account")).status_code == 200
    assert (await other.get("/account")).status_code == 401
    assert (await sign_in(other)).status_code == 401
    assert leads_to(await sign_in(other, password="another horse")) == (303, "/")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/password", {"current": "guessed it", "password": "another horse", "repeated": "another horse"}),
        ("/account/totp", {"proof": "guessed it"}),
        ("/account/totp/remove", {"proof": "guessed it"}),
        ("/account/recovery-codes", {"proof": "guessed it"}),
        ("/account/passkeys/00000000-0000-4000-8000-000000000000/remove", {"proof": "guessed it"}),
    ],
)
async def test_a_wrong_proof_is_in_the_audit_trail(
    roci: Roci, browser: Client, path: str, fields: dict[str, str]
) -> None:
    await send(browser, path, **fields)
    (row,), _ = await roci.read(events.list_, 10, 0, "AttemptRefused")
    assert (row.actor_name, row.data["method"], row.data["status"]) == ("ann", "POST", 403)
    assert "guessed" not in str(row.data)


async def test_one_time_codes_are_set_up_and_removed(roci: Roci, ann: Principal, browser: Client) -> None:
    assert "not what you sign in with" in await text(await send(browser, "/account/totp", proof="guessed it"))
    assert leads_to(await browser.get("/account/totp")) == (303, "/account")
    assert leads_to(await send(browser, "/account/totp", proof=PASSWORD)) == (303, "/account/totp")
    page = await text(await browser.get("/account/totp"))
    secret = re.search(r'id="secret">(\w+)<', page)
    assert secret and "<svg" in page
    wrong = await send(browser, "/account/totp/confirm", code="000000")
    assert wrong.status_code == 422 and not (await roci.read(factors.held, ann.id)).totp
    done = await send(browser, "/account/totp/confirm", code=code(-1, secret[1]))
    assert (await text(done)).count("<li>") == 10
    assert "10 left" in await text(await browser.get("/account"))

    assert (await send(browser, "/account/totp/remove", proof="guessed it")).status_code == 403
    assert leads_to(await send(browser, "/account/totp/remove", proof=code(0, secret[1]))) == (303, "/account")
    assert not (await roci.read(factors.held, ann.id)).any


async def test_new_recovery_codes_take_a_proof_which_a_recovery_code_is(
    roci: Roci, ann: Principal, browser: Client
) -> None:
    old = await give_codes(roci, ann)
    answer = await send(browser, "/account/recovery-codes", proof=str(old[0]))
    new = re.findall(r"<li><code>([^<]+)</code>", await text(answer))
    assert len(new) == 10 and answer.headers["Cache-Control"] == "no-store"
    assert not await roci.write(factors.use_recovery_code, ann.id, old[1])
    assert await roci.write(factors.use_recovery_code, ann.id, new[1])


async def test_a_token_is_shown_once_works_and_is_revoked(ann: Principal, browser: Client, anonymous: Client) -> None:
    made = await text(await send(browser, "/account/tokens", name="laptop", scopes="hosts.*, policies.*", days="7"))
    found = re.search(r"roci_[\w-]{40,}", made)
    assert found
    bearer = {"Authorization": f"Bearer {found[0]}"}
    assert (await anonymous.get("/api/v1/agents", headers=bearer)).status_code == 200
    page = await text(await browser.get("/account"))
    assert found[0] not in page and "hosts.* policies.*" in page
    for wrong, why in (({"name": ""}, "name"), ({"name": "x", "days": "-1"}, "days"), ({"name": "laptop"}, "already")):
        assert why in await text(await send(browser, "/account/tokens", **wrong))
    for scopes in ("<b>", "x" * 201, "hosts.* " * 101):
        refused = await send(browser, "/account/tokens", name="other", scopes=scopes)
        assert refused.status_code == 422 and "scopes: at most 100" in await text(refused)
    (revoke,) = re.findall(r'action="(/account/tokens/[^"]+/revoke)"', page)
    assert leads_to(await send(browser, revoke)) == (303, "/account")
    assert (await anonymous.get("/api/v1/agents", headers=bearer)).status_code == 401


async def test_stays_are_ended_one_by_one_or_all_others_at_once(browser: Client, app: Quart) -> None:
    others = [app.test_client() for _ in range(3)]
    for other in others:
        await sign_in(other)
    page = await text(await browser.get("/account"))
    ends = re.findall(r'action="(/account/logins/[^"]+/end)"', page)
    assert len(ends) == 4 and page.count("<strong>here</strong>") == 1
    assert leads_to(await send(browser, ends[0])) == (303, "/account")  # the newest first
    statuses = [(await other.get("/account")).status_code for other in others]
    assert sorted(statuses) == [200, 200, 401]
    await send(browser, "/account/logins/end-others")
    assert [(await other.get("/account")).status_code for other in others] == [401] * 3
    assert (await browser.get("/account")).status_code == 200


async def test_nobody_touches_what_is_anothers(roci: Roci, browser: Client, app: Quart) -> None:
    bob = await make(roci, "bob")
    row, _ = await roci.write(credentials.issue, bob.id, "his")
    theirs = app.test_client()
    await sign_in(theirs, "bob")
    (login,) = await roci.read(credentials.logins, bob.id)
    for path in (f"/account/tokens/{row.id}/revoke", f"/account/logins/{login.id}/end"):
        assert (await send(browser, path)).status_code == 404
    assert (await theirs.get("/account")).status_code == 200


async def test_who_comes_from_elsewhere_has_no_password_to_show(roci: Roci, app: Quart) -> None:
    eve = await make(roci, "eve", password=None)
    client = app.test_client()
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, eve, "oidc:home"))
    page = await text(await client.get("/account"))
    assert "you sign in through a provider" in page and "/account/password" not in page
    assert leads_to(await send(client, "/account/totp")) == (303, "/account/totp")


@pytest.mark.parametrize("has_passkey", [False, True])
async def test_who_has_nothing_to_show_must_have_signed_in_just_now(roci: Roci, app: Quart, has_passkey: bool) -> None:
    eve = await make(roci, "eve", password=None)
    if has_passkey:  # and no recovery codes any more
        key = factors.NewPasskey("laptop", "localhost", b"id", b"key", 0)
        for used in await roci.write(factors.add_passkey, eve.id, key):
            await roci.write(factors.use_recovery_code, eve.id, used)
    client = app.test_client()
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, eve, "oidc:home"))
    assert leads_to(await send(client, "/account/totp")) == (303, "/account/totp")
    old = now() - JUST_NOW
    await roci.write(lambda: credentials.Login.update(proved_at=old).execute())
    refused = await send(client, "/account/totp")
    assert refused.status_code == 403 and "less than 10 minutes ago" in await text(refused)
    first = await client.put(f"/api/v1/users/{eve.id}/password", json={"password": "correct horse"}, headers=HERE)
    assert first.status_code == 403 and (await roci.read(principals.get, eve.id)).password_hash is None
    asked = {"token": await token(client), "proof": ""}
    assert (await client.post("/account/passkeys/options", json=asked, headers=HERE)).status_code == 403


async def test_what_is_done_to_factors_is_recorded_without_a_secret(
    roci: Roci, ann: Principal, browser: Client
) -> None:
    codes: list[Sensitive] = await give_codes(roci, ann)
    await send(browser, "/account/recovery-codes", proof=str(codes[0]))
    await send(browser, "/account/totp/remove", proof=PASSWORD)
    rows, _ = await roci.read(events.list_, 1000)
    names = {row.name for row in rows}
    assert {"FactorAdded", "RecoveryCodesMade", "RecoveryCodeUsed", "FactorRemoved"} <= names
    removed: Any = next(row for row in rows if row.name == "FactorRemoved")
    assert (removed.actor_name, removed.via) == ("ann", "cookie")
    assert not any(str(each) in str(row.data) for row in rows for each in codes)


async def test_ones_second_factors_are_renewed_by_what_was_done_elsewhere(
    browser: Client, roci: Roci, ann: Principal
) -> None:
    page = await text(await browser.get("/account"))
    assert "None: a password is all that it takes" in page and "Recovery codes" not in page
    await give_codes(roci, ann)
    part = await text(await browser.get("/account?part=codes"))
    assert "Set up: signing in asks" in part and "Set up one-time codes" not in part and "<h1" not in part
    assert "Make new ones" in await text(await browser.get("/account?part=passkeys"))
    assert topics(page, "tokens") == {"token", "beats"}  # they expire by the clock
    for name in ("codes", "passkeys"):
        assert topics(page, name) >= {"factor", "factors", "passkey"}
