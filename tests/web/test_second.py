"""Signing in with a second factor: what programs and people see, and what does not get around it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive, Settings, Unauthenticated
from roci_plugins.auth import passwords
from roci_plugins.auth.steps import Step, Steps
from roci_plugins.domain import credentials, factors, keyring, principals
from roci_plugins.domain.principals import Principal
from roci_plugins.web import second

from ..auth.device import Device
from .people import PASSWORD, SEED, code, give_codes, leads_to, make, send, sign_in, text

SENT = {"username": "ann", "password": PASSWORD}
JSON = {"Origin": "http://localhost"}


@pytest.fixture
async def ann(roci: Roci) -> Principal:
    return await make(roci)


async def is_in(client: Client) -> bool:
    return (await client.get("/api/v1/agents")).status_code == 200


def error(answer: Any) -> str:
    return str(answer["error"]["code"])


async def test_a_program_is_told_that_a_code_is_missing_and_sends_it(
    roci: Roci, ann: Principal, anonymous: Client
) -> None:
    recovery = await give_codes(roci, ann)
    answer = await anonymous.post("/login", json=SENT)
    assert (answer.status_code, error(await answer.get_json())) == (401, "second_factor_required")
    assert "Set-Cookie" not in answer.headers and not await is_in(anonymous)
    wrong = await anonymous.post("/login", json={**SENT, "otp": "000000"})
    assert (wrong.status_code, error(await wrong.get_json())) == (401, "unauthorized")
    used = code()
    for otp, status in ((used, 200), (used, 401), (str(recovery[0]), 200), (str(recovery[0]), 401)):
        assert (await anonymous.post("/login", json={**SENT, "otp": otp})).status_code == status
    assert await is_in(anonymous)


async def test_a_code_is_no_password(roci: Roci, ann: Principal, anonymous: Client) -> None:
    await give_codes(roci, ann)
    answer = await anonymous.post("/login", json={**SENT, "password": "guessed it", "otp": code()})
    assert (answer.status_code, error(await answer.get_json())) == (401, "unauthorized")
    assert (await anonymous.post("/login", json={**SENT, "otp": code()})).status_code == 200  # it was not used up


async def test_a_person_goes_on_to_a_second_page_and_from_there_where_they_wanted(
    roci: Roci, ann: Principal, anonymous: Client
) -> None:
    await give_codes(roci, ann)
    assert leads_to(await sign_in(anonymous, next="/account")) == (303, "/login/second")
    assert not await is_in(anonymous)
    page = await anonymous.get("/login/second")
    assert page.status_code == 200 and "The code that your app shows" in await text(page)
    assert leads_to(await anonymous.post("/login/second", form={"code": code()})) == (303, "/account")
    assert await is_in(anonymous)
    assert leads_to(await anonymous.get("/login/second")) == (303, "/login")  # the step is over


async def test_five_wrong_codes_and_the_password_is_asked_for_again(
    roci: Roci, ann: Principal, anonymous: Client
) -> None:
    recovery = await give_codes(roci, ann)
    await sign_in(anonymous)
    for _ in range(4):
        assert "this code is wrong" in await text(await anonymous.post("/login/second", form={"code": "000000"}))
    page = await text(await anonymous.post("/login/second", form={"code": "000000"}))
    assert "sign in again" in page and 'name="password"' in page
    assert leads_to(await anonymous.post("/login/second", form={"code": code()})) == (303, "/login")
    await sign_in(anonymous)  # the right password, and still no more codes are tried
    refused = await anonymous.post("/login/second", form={"code": code()})
    assert refused.status_code == 429 and not await is_in(anonymous)
    assert leads_to(await anonymous.post("/login/second", form={"code": str(recovery[0])})) == (303, "/")
    assert await is_in(anonymous)


async def test_wrong_codes_of_a_program_are_counted_too(roci: Roci, ann: Principal, anonymous: Client) -> None:
    await give_codes(roci, ann)
    statuses = [
        (await anonymous.post("/login", json={**SENT, "otp": f"{number:06}"})).status_code for number in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    late = await anonymous.post("/login", json={**SENT, "otp": code()})
    assert late.status_code == 429 and int(late.headers["Retry-After"]) > 100


async def test_the_second_page_belongs_to_one_browser(
    roci: Roci, ann: Principal, anonymous: Client, app: Quart
) -> None:
    await give_codes(roci, ann)
    await sign_in(anonymous)
    other = app.test_client()
    assert leads_to(await other.post("/login/second", form={"code": code()})) == (303, "/login")
    foreign = await anonymous.post("/login/second", form={"code": code()}, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert leads_to(await anonymous.post("/login/second", form={"code": code()})) == (303, "/")


async def test_who_was_disabled_in_between_stays_out(roci: Roci, ann: Principal, anonymous: Client) -> None:
    await make(roci, "bob")
    await give_codes(roci, ann)
    await sign_in(anonymous)
    await roci.write(principals.disable, ann.id)
    assert leads_to(await anonymous.post("/login/second", form={"code": code()})) == (303, "/login")
    assert not await is_in(anonymous)


async def test_a_step_that_waits_ends_with_the_password_it_rests_on(
    roci: Roci, ann: Principal, anonymous: Client
) -> None:
    await give_codes(roci, ann)
    for change in (
        lambda: credentials.set_password(ann.id, passwords.hashed("another password")),
        lambda: factors.reset(ann.id),
    ):
        await sign_in(anonymous)
        await roci.write(change)
        assert len(roci.part(Steps)) == 0
        assert leads_to(await anonymous.post("/login/second", form={"code": code()})) == (303, "/login")


async def test_a_step_from_before_a_change_on_the_command_line_is_refused_too(
    roci: Roci, ann: Principal, anonymous: Client
) -> None:
    await give_codes(roci, ann)
    old = Step(ann.id, password_set_at=ann.password_set_at)
    await roci.write(credentials.set_password, ann.id, passwords.hashed("another password"))
    anonymous.set_cookie("localhost", "roci_step", roci.part(Steps).put(old, "127.0.0.1"))
    assert (await anonymous.post("/login/second", form={"code": code()})).status_code == 401
    assert not await is_in(anonymous)


# --- passkeys ------------------------------------------------------------------


async def add_passkey(client: Client, device: Device) -> Any:
    page = await text(await client.get("/account"))
    found = re.search(r'data-token="(\w+)"', page)
    assert found
    asked = await client.post("/account/passkeys/options", json={"token": found[1], "proof": PASSWORD}, headers=JSON)
    made = {"token": found[1], "name": "laptop", "credential": device.create(await asked.get_json())}
    return await client.post("/account/passkeys", json=made, headers=JSON)


async def use_passkey(client: Client, device: Device, second: bool = False) -> Any:
    asked = await client.post("/login/passkey/options", json={"second": second}, headers=JSON)
    if asked.status_code != 200:
        return asked
    signed = {"credential": device.get(await asked.get_json()), "next": "/account"}
    return await client.post("/login/passkey", json=signed, headers=JSON)


async def test_a_passkey_signs_in_alone_or_after_the_password(ann: Principal, anonymous: Client, app: Quart) -> None:
    await sign_in(anonymous)
    device = Device()
    kept = await add_passkey(anonymous, device)
    assert kept.status_code == 200 and len((await kept.get_json())["recovery_codes"]) == 10

    alone = app.test_client()
    answer = await use_passkey(alone, device)
    assert (answer.status_code, await answer.get_json()) == (200, {"next": "/account"}) and await is_in(alone)
    assert "by passkey" in await text(await alone.get("/account"))

    after = app.test_client()
    assert (await use_passkey(after, device, second=True)).status_code == 401  # after nothing
    assert leads_to(await sign_in(after)) == (303, "/login/second")
    answer = await use_passkey(after, device, second=True)
    assert (answer.status_code, await answer.get_json()) == (200, {"next": "/"}) and await is_in(after)


async def test_a_passkey_needs_no_password_and_its_making_does(ann: Principal, anonymous: Client) -> None:
    await sign_in(anonymous)
    page = await text(await anonymous.get("/account"))
    found = re.search(r'data-token="(\w+)"', page)
    assert found
    for token, proof, status in ((found[1], "guessed it", 403), ("forged", PASSWORD, 403), (found[1], PASSWORD, 200)):
        answer = await anonymous.post("/account/passkeys/options", json={"token": token, "proof": proof}, headers=JSON)
        assert answer.status_code == status


async def test_where_browsers_make_no_passkeys_the_pages_say_so(ann: Principal, anonymous: Client) -> None:
    lan = {"Host": "192.168.1.5:8080"}
    assert "passkey" not in await text(await anonymous.get("/login", headers=lan))
    assert (await anonymous.post("/login/passkey/options", json={}, headers=lan)).status_code == 403
    await sign_in(anonymous)
    page = await text(await anonymous.get("/account", headers=lan))
    assert "passkeys need a host name" in page and "You are at 192.168.1.5" in page


# --- where everybody must have one ---------------------------------------------


@pytest.fixture
def required(settings: Settings) -> None:
    settings.sections = {"sign_in": {"second_factor": "required"}}


@pytest.mark.usefixtures("required")
async def test_where_it_is_required_the_password_leads_to_setting_one_up(
    roci: Roci, anonymous: Client, ann: Principal
) -> None:
    answer = await anonymous.post("/login", json=SENT)
    told = await answer.get_json()
    assert (answer.status_code, error(told)) == (401, "second_factor_required") and "/login" in told["error"]["message"]
    assert leads_to(await sign_in(anonymous, next="/account")) == (303, "/login/enrol")
    assert not await is_in(anonymous)
    page = await text(await anonymous.get("/login/enrol"))
    secret = re.search(r'id="secret">(\w+)<', page)
    assert secret and "<svg" in page and not await is_in(anonymous)
    wrong = await anonymous.post("/login/enrol", form={"code": "000000"})
    assert wrong.status_code == 422 and secret[1] in await text(wrong)  # the same one: it may be scanned already
    done = await anonymous.post("/login/enrol", form={"code": code(0, secret[1])})
    shown = await text(done)
    assert done.status_code == 200 and shown.count("<li>") == 10 and 'href="/account"' in shown
    assert done.headers["Cache-Control"] == "no-store" and await is_in(anonymous)
    assert (await roci.read(factors.held, ann.id)).totp


@pytest.mark.usefixtures("required")
async def test_the_first_administrator_sets_one_up_too(roci: Roci, anonymous: Client) -> None:
    link = f"/setup/{await roci.write(credentials.make_setup_link)}"
    form = {"username": "ann", "password": PASSWORD, "repeated": PASSWORD}
    assert leads_to(await anonymous.post(link, form=form)) == (303, "/login/enrol")
    assert not await is_in(anonymous)
    assert "Here everybody needs a second factor" in await text(await anonymous.get("/login/enrol"))


@pytest.mark.usefixtures("required")
async def test_nobody_learns_the_secret_that_another_browser_sets_up(
    ann: Principal, anonymous: Client, app: Quart
) -> None:
    other = app.test_client()
    secrets = []
    for client in (anonymous, other):
        await sign_in(client)
        found = re.search(r'id="secret">(\w+)<', await text(await client.get("/login/enrol")))
        assert found
        secrets.append(found[1])
    assert secrets[0] != secrets[1]
    assert (await anonymous.post("/login/enrol", form={"code": code(0, secrets[0])})).status_code == 200
    late = await other.post("/login/enrol", form={"code": code(0, secrets[1])})
    assert late.status_code == 409 and not await is_in(other)


@pytest.mark.usefixtures("required")
async def test_who_knows_only_the_old_password_sets_nothing_up(roci: Roci, ann: Principal, anonymous: Client) -> None:
    old = Step(ann.id, totp=Sensitive(SEED), password_set_at=ann.password_set_at)
    await roci.write(credentials.set_password, ann.id, passwords.hashed("another password"))
    anonymous.set_cookie("localhost", "roci_step", roci.part(Steps).put(old, "127.0.0.1"))
    assert (await anonymous.get("/login/enrol")).status_code == 401
    assert (await anonymous.post("/login/enrol", form={"code": code()})).status_code == 401
    with pytest.raises(Unauthenticated, match="in between"):
        await roci.write(second._enrol, keyring.of(roci), old, code())
    assert not (await roci.read(factors.held, ann.id)).any and not await is_in(anonymous)


@pytest.mark.usefixtures("required")
async def test_who_removes_the_last_factor_signs_in_anew(roci: Roci, ann: Principal, anonymous: Client) -> None:
    await give_codes(roci, ann)
    await sign_in(anonymous)
    await anonymous.post("/login/second", form={"code": code()})
    assert leads_to(await send(anonymous, "/account/totp/remove", proof=PASSWORD)) == (303, "/account")
    assert not await is_in(anonymous)
    assert leads_to(await sign_in(anonymous)) == (303, "/login/enrol")


async def test_once_it_is_required_who_signed_in_without_one_does_it_again(settings: Settings) -> None:
    from roci_plugins.core.app import create_app

    first = Roci(settings)
    async with first.running():
        person = await make(first)
        client = create_app(first).test_client()
        await sign_in(client)
        assert await is_in(client)
        cookies = client.cookie_jar  # type: ignore[attr-defined]
        assert not (await first.read(factors.held, person.id)).any
    for choice, still_in in (("optional", True), ("required", False)):
        settings.sections = {"sign_in": {"second_factor": choice}}
        again = Roci(settings)
        async with again.running():
            client = create_app(again).test_client()
            client.cookie_jar = cookies  # type: ignore[attr-defined]
            assert await is_in(client) is still_in


async def test_no_page_or_answer_names_a_secret_that_is_set_up(roci: Roci, ann: Principal, anonymous: Client) -> None:
    await give_codes(roci, ann)
    await sign_in(anonymous)
    await anonymous.post("/login/second", form={"code": code()})
    assert SEED not in await text(await anonymous.get("/account"))
    for part in (b"", b"-wal"):
        path = roci.settings.database.with_name(roci.settings.database.name + part.decode())
        assert SEED.encode() not in path.read_bytes()
