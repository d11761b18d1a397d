"""Signing in with a real identity provider, end to end, and what goes wrong on the way."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Invalid, Roci, Sensitive
from roci_plugins.auth import oidc
from roci_plugins.auth.oidc import Flows
from roci_plugins.auth.relying import Relying
from roci_plugins.domain import credentials, factors, keyring, principals, roles

from .conftest import Idp, asked, known
from .liar import lying

AUTHORIZE = "/api/v1/auth/oidc/home/authorize"


async def begun(client: Client, query: str = "", status: int = 307) -> str:
    answer = await client.get(AUTHORIZE + query)
    assert answer.status_code == status, await answer.get_data()
    return answer.headers.get("Location", "")


async def me(client: Client, token: str) -> dict[str, Any]:
    answer = await client.get("/rootcx/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return await answer.get_json()


async def test_the_whole_code_flow_ends_with_tokens_of_a_person_without_rights(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any], roci: Roci
):
    await known(client, provider)
    url = await begun(anonymous)
    query = asked(url)
    assert query["code_challenge_method"] == "S256" and query["scope"] == "openid email profile"
    assert {"state", "nonce", "code_challenge"} <= query.keys()
    answer = await anonymous.get(idp.sign_in(url))
    tokens = await answer.get_json()
    assert answer.status_code == 200 and tokens["expiresIn"] == 900
    person = await me(anonymous, tokens["accessToken"])
    assert (person["email"], person["displayName"]) == ("ann@example.org", "Ann")
    headers = {"Authorization": f"Bearer {tokens['accessToken']}"}
    assert (await anonymous.get("/api/v1/agents", headers=headers)).status_code == 403
    bound = await roci.read(roles.bindings, "ann@example.org")
    assert [each.role for each in bound] == ["base"]
    again = await anonymous.post("/api/v1/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
    assert again.status_code == 200
    assert not (await roci.read(principals.by_email, "ann@example.org")).administrator


# --- where it ends -------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        "http://localhost.evil.example/",
        "http://evil.example#@localhost/",
        "http://localhost@evil.example/",
        "http://evil.example\\@localhost/",
        "//evil.example/",
        "/path",
        "javascript:alert(1)",
        "myapp://localhost/",
        "http://[::1",
        "http://localhost:99999/",
        "http://localhost/#fragment",
        "http://local\thost/",
        "http://löcalhost/",
        "nonsense",
    ],
)
def test_tokens_go_nowhere_else(uri: str):
    with pytest.raises(Invalid, match=r"^redirect_uri: "):
        oidc.check_redirect(uri, "http://roci.lan:8080")


async def test_a_place_where_tokens_must_not_go_is_a_mistake(
    client: Client, anonymous: Client, provider: dict[str, Any]
):
    await known(client, provider)
    answer = await anonymous.get(AUTHORIZE, query_string={"redirect_uri": "https://evil.example/"})
    assert answer.status_code == 400 and "redirect_uri" in (await answer.get_json())["error"]


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5173/cb",
        "http://127.0.0.9/",
        "http://[::1]:9/x?y=1",
        "",
        "https://roci.example.org/app",
        "https://ROCI.example.org:443/app",
    ],
)
def test_the_users_own_machine_and_our_own_address_are_fine(uri: str):
    oidc.check_redirect(uri, "https://roci.example.org")


@pytest.mark.parametrize(
    "uri", ["http://roci.example.org/app", "https://roci.example.org:8443/", "https://app.roci.example.org/"]
)
def test_another_scheme_port_or_name_is_another_place(uri: str):
    with pytest.raises(Invalid):
        oidc.check_redirect(uri, "https://roci.example.org")


async def test_tokens_come_in_the_fragment_and_are_not_kept_by_anybody(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    url = await begun(anonymous, "?redirect_uri=http://localhost:5173/cb?x=1")
    answer = await anonymous.get(idp.sign_in(url))
    target, _, fragment = answer.headers["Location"].partition("#")
    assert answer.status_code == 307 and target == "http://localhost:5173/cb?x=1"
    assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
    given = asked(f"?{fragment}")
    assert given.keys() == {"access_token", "refresh_token", "expires_in"} and given["expires_in"] == "900"
    assert (await me(anonymous, given["access_token"]))["email"] == "ann@example.org"


async def test_tokens_come_in_the_query_on_the_users_own_machine_only_and_when_asked_for(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    url = await begun(anonymous, "?token_delivery=query&redirect_uri=http://localhost/cb")
    answer = await anonymous.get(idp.sign_in(url))
    assert answer.headers["Location"].startswith("http://localhost/cb?access_token=")
    await begun(anonymous, "?token_delivery=pigeon&redirect_uri=http://localhost/cb", 400)


async def test_a_nonce_from_before_a_new_password_is_worth_nothing(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any], roci: Roci
):
    await known(client, provider)
    url = await begun(anonymous, "?token_delivery=nonce&redirect_uri=http://localhost/cb")
    nonce = asked((await anonymous.get(idp.sign_in(url))).headers["Location"])["auth_nonce"]
    person = await roci.read(principals.by_email, "ann@example.org")
    assert person
    await roci.write(credentials.set_password, person.id, Sensitive("a hash"))
    assert (await anonymous.post("/api/v1/auth/nonce-exchange", json={"nonce": nonce})).status_code == 401


async def test_a_nonce_is_swapped_for_tokens_once(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    url = await begun(anonymous, "?token_delivery=nonce&redirect_uri=http://localhost/cb")
    answer = await anonymous.get(idp.sign_in(url))
    nonce = asked(answer.headers["Location"])["auth_nonce"]
    assert len(nonce) == 43
    answer = await anonymous.post("/api/v1/auth/nonce-exchange", json={"nonce": nonce})
    tokens = await answer.get_json()
    assert answer.status_code == 200 and tokens.keys() == {"accessToken", "refreshToken", "expiresIn"}
    for used in (nonce, "x" * 43, ""):
        answer = await anonymous.post("/api/v1/auth/nonce-exchange", json={"nonce": used})
        assert answer.status_code == (401 if used else 400)


async def test_an_id_token_is_exchanged_for_an_access_token(
    client: Client, anonymous: Client, provider: dict[str, Any]
):
    with lying() as liar:
        await known(client, provider, issuerUrl=liar.issuer)
        body = {"providerId": "home", "idToken": liar.id_token()}
        answer = await anonymous.post("/api/v1/auth/oidc/token-exchange", json=body)
        tokens = await answer.get_json()
        assert answer.status_code == 200 and tokens.keys() == {"accessToken", "expiresIn"}
        assert (await me(anonymous, tokens["accessToken"]))["email"] == "ann@example.org"
        liar.claims = {"aud": "another"}
        for body, status in [
            ({"providerId": "home", "idToken": liar.id_token()}, 401),
            ({"providerId": "home", "idToken": "x.y.z"}, 401),
            ({"providerId": "other", "idToken": "x.y.z"}, 404),
            ({"providerId": "home"}, 400),
        ]:
            answer = await anonymous.post("/api/v1/auth/oidc/token-exchange", json=body)
            assert (answer.status_code, list(await answer.get_json())) == (status, ["error"])


# --- what goes wrong -----------------------------------------------------------


async def test_a_state_is_good_once_and_an_unknown_one_never(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    back = idp.sign_in(await begun(anonymous))
    assert (await anonymous.get(back)).status_code == 200
    for path in (back, "/api/v1/auth/oidc/callback?state=x&code=y"):
        answer = await anonymous.get(path)
        assert answer.status_code == 401 and "begin again" in (await answer.get_json())["error"]


async def test_a_state_is_over_after_ten_minutes(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any], roci: Roci
):
    await known(client, provider)
    roci.part(Flows)._lasts = 0.0
    answer = await anonymous.get(idp.sign_in(await begun(anonymous)))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?code=x", 400), ("?state={state}", 400), ("?state={state}&error=access_denied", 400)],
)
async def test_what_comes_back_incomplete_or_as_an_error_is_a_mistake(
    client: Client, anonymous: Client, provider: dict[str, Any], query: str, status: int
):
    await known(client, provider)
    state = asked(await begun(anonymous))["state"]
    answer = await anonymous.get("/api/v1/auth/oidc/callback" + query.format(state=state))
    assert answer.status_code == status


async def test_the_answer_of_another_issuer_is_refused(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    answer = await anonymous.get(idp.sign_in(await begun(anonymous)) + "&iss=https://evil.example")
    assert answer.status_code == 401


async def test_a_code_that_the_provider_refuses_is_refused(client: Client, anonymous: Client, provider: dict[str, Any]):
    await known(client, provider)
    state = asked(await begun(anonymous))["state"]
    answer = await anonymous.get(f"/api/v1/auth/oidc/callback?state={state}&code=made-up")
    assert answer.status_code == 401 and "refused it" in (await answer.get_json())["error"]


async def test_a_provider_that_goes_down_is_named_and_nothing_else_suffers(
    client: Client, anonymous: Client, provider: dict[str, Any], roci: Roci
):
    with lying() as liar:
        await known(client, provider, issuerUrl=liar.issuer)
        state = asked(await begun(anonymous))["state"]
    answer = await anonymous.get(f"/api/v1/auth/oidc/callback?state={state}&code=x")
    assert answer.status_code == 503 and liar.issuer in (await answer.get_json())["error"]
    roci.part(Relying).forget()
    assert (await anonymous.get(AUTHORIZE)).status_code == 503
    assert (await client.get("/api/v1/agents")).status_code == 200


async def test_there_is_no_provider_of_that_name(anonymous: Client):
    answer = await anonymous.get("/api/v1/auth/oidc/nothing/authorize")
    assert answer.status_code == 404 and list(await answer.get_json()) == ["error"]


async def test_the_uninvited_and_the_disabled_stay_out(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any], roci: Roci
):
    await known(client, provider, autoRegister=False)
    assert (await anonymous.get(idp.sign_in(await begun(anonymous)))).status_code == 403
    await known(client, provider)
    assert (await anonymous.get(idp.sign_in(await begun(anonymous)))).status_code == 200
    person = await roci.read(principals.by_email, "ann@example.org")
    assert person
    await roci.write(principals.disable, person.id)
    assert (await anonymous.get(idp.sign_in(await begun(anonymous)))).status_code == 403


async def test_one_place_cannot_begin_sign_ins_without_end(
    client: Client, anonymous: Client, provider: dict[str, Any], roci: Roci
):
    await known(client, provider)
    for _ in range(oidc.MOST_FROM_PLACE):
        await begun(anonymous)
    assert len(roci.part(Flows)) == oidc.MOST_FROM_PLACE
    assert (await anonymous.get(AUTHORIZE)).status_code == 429


# --- the providers themselves ----------------------------------------------------


async def test_providers_are_listed_without_secrets_and_offered_by_mode(
    client: Client, anonymous: Client, provider: dict[str, Any]
):
    await known(client, provider)
    await known(client, provider, id="off", enabled=False)
    shown = [{"id": "home", "displayName": "Home"}]
    assert await (await anonymous.get("/api/v1/auth/oidc/providers")).get_json() == shown
    assert (await (await anonymous.get("/api/v1/auth/mode")).get_json())["providers"] == shown


async def test_saving_and_deleting_answer_as_documented(client: Client, provider: dict[str, Any]):
    answer = await client.post("/api/v1/auth/oidc/providers", json=provider)
    assert (answer.status_code, await answer.get_json()) == (200, {"message": "provider 'home' saved"})
    answer = await client.delete("/api/v1/auth/oidc/providers/home")
    assert answer.status_code == 200 and "message" in await answer.get_json()
    assert (await client.delete("/api/v1/auth/oidc/providers/home")).status_code == 404


async def test_another_issuer_is_not_given_the_secret_that_is_kept(client: Client, provider: dict[str, Any]):
    await known(client, provider)
    with lying() as other:
        moved = {name: value for name, value in provider.items() if name != "clientSecret"} | {
            "issuerUrl": other.issuer
        }
        answer = await client.post("/api/v1/auth/oidc/providers", json=moved)
    assert answer.status_code == 400
    assert (await answer.get_json())["error"] == "clientSecret: send it again, since issuer has changed"


async def test_people_are_linked_so_deleting_is_forced_or_refused(
    client: Client, anonymous: Client, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    assert (await anonymous.get(idp.sign_in(await begun(anonymous)))).status_code == 200
    assert (await client.delete("/api/v1/auth/oidc/providers/home")).status_code == 400
    assert (await client.delete("/api/v1/auth/oidc/providers/home?force=true")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""}, {"displayName": ""}, {"clientId": " "}, {"issuerUrl": ""}, {"issuerUrl": "http://example.org"},
        {"issuerUrl": "http://localhost:1"}, {"scopes": ["email"]}, {"defaultRole": "nothing"}, {"enabled": "yes"},
        {"issuerUrl": None}, {"clientSecret": ""},
    ],
)  # fmt: skip
async def test_what_can_be_no_provider_is_a_mistake(client: Client, provider: dict[str, Any], changes: dict[str, Any]):
    answer = await client.post("/api/v1/auth/oidc/providers", json=provider | changes)
    body = await answer.get_json()
    assert (answer.status_code, list(body)) == (400, ["error"])
    assert "s3cr3t" not in body["error"]


async def test_an_issuer_must_be_what_the_provider_calls_itself(client: Client, idp: Idp, provider: dict[str, Any]):
    body = provider | {"issuerUrl": idp.issuer + "/"}
    answer = await client.post("/api/v1/auth/oidc/providers", json=body)
    assert answer.status_code == 400 and "set issuer to exactly that" in (await answer.get_json())["error"]


async def test_strangers_and_people_without_rights_name_no_provider(anonymous: Client, provider: dict[str, Any]):
    assert (await anonymous.post("/api/v1/auth/oidc/providers", json=provider)).status_code == 401
    assert (await anonymous.delete("/api/v1/auth/oidc/providers/home")).status_code == 401


async def test_the_clients_secret_lies_nowhere_in_plain(client: Client, provider: dict[str, Any], roci: Roci):
    await known(client, provider)
    data = b"".join(path.read_bytes() for path in roci.settings.data.rglob("*") if path.is_file())
    assert provider["clientSecret"].encode() not in data and b"home" in data


# --- the page of signing in ------------------------------------------------------


async def test_a_browser_signs_in_and_ends_where_it_wanted_to_go(
    client: Client, app: Quart, idp: Idp, provider: dict[str, Any], roci: Roci
):
    await known(client, provider)
    browser = app.test_client()
    answer = await browser.get("/login/oidc/home?next=/account")
    assert answer.status_code == 303
    answer = await browser.get(idp.sign_in(answer.headers["Location"]))
    assert (answer.status_code, answer.headers["Location"]) == (307, "/login/arrived")
    answer = await browser.get("/login/arrived")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    assert (await browser.get("/api/v1/auth/me")).status_code == 200
    person = await roci.read(principals.by_email, "ann@example.org")
    assert person
    (login,) = await roci.read(credentials.logins, person.id)
    assert (login.dialect, login.via) == ("cookie", "oidc:home")
    assert (await browser.get("/login/arrived")).status_code == 401


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_a_browser_is_sent_to_pages_of_ours_only(
    client: Client, app: Quart, idp: Idp, provider: dict[str, Any], target: str
):
    await known(client, provider)
    browser = app.test_client()
    answer = await browser.get("/login/oidc/home", query_string={"next": target})
    await browser.get(idp.sign_in(answer.headers["Location"]))
    assert (await browser.get("/login/arrived")).headers["Location"] == "/"


async def test_a_sign_in_begun_in_one_browser_cannot_be_finished_in_another(
    client: Client, app: Quart, idp: Idp, provider: dict[str, Any]
):
    await known(client, provider)
    attacker, victim = app.test_client(), app.test_client()
    answer = await attacker.get("/login/oidc/home")
    back = idp.sign_in(answer.headers["Location"])
    assert (await victim.get(back)).status_code == 401
    assert (await victim.get("/login/arrived")).status_code == 401


async def test_a_second_factor_is_asked_for_all_the_same(
    client: Client, app: Quart, anonymous: Client, idp: Idp, provider: dict[str, Any], roci: Roci
):
    await known(client, provider)
    assert (await anonymous.get(idp.sign_in(await begun(anonymous)))).status_code == 200
    person = await roci.read(principals.by_email, "ann@example.org")
    assert person
    secret = factors.new_totp()
    code = pyotp.TOTP(secret).now()
    (recovery, *_) = await roci.write(factors.add_totp, keyring.of(roci), person.id, secret, code)
    assert (await anonymous.get(idp.sign_in(await begun(anonymous)))).status_code == 401
    url = await begun(anonymous, "?token_delivery=nonce&redirect_uri=http://localhost/cb")
    nonce = asked((await anonymous.get(idp.sign_in(url))).headers["Location"])["auth_nonce"]
    body = {"nonce": nonce, "otp": recovery}
    assert (await anonymous.post("/api/v1/auth/nonce-exchange", json=body)).status_code == 200
    browser = app.test_client()
    answer = await browser.get("/login/oidc/home")
    await browser.get(idp.sign_in(answer.headers["Location"]))
    page = await browser.get("/login/arrived")
    assert page.headers["Location"] == "/login/second"
    assert (await browser.get("/api/v1/auth/me")).status_code == 401
    assert b'name="code"' in await (await browser.get("/login/second")).get_data()
