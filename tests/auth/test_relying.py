"""What is not believed of an identity provider, and what is said when it does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwk

from roci import Sensitive, TooMany, Unauthenticated, Unavailable
from roci_plugins.auth import relying
from roci_plugins.auth.relying import Relying
from roci_plugins.domain.providers import Provider

from .liar import FIRST, SECOND, Liar, lying

NONCE = "the nonce of this sign-in"


@pytest.fixture
def liar() -> Iterator[Liar]:
    with lying() as liar:
        liar.nonce = NONCE
        yield liar


@pytest_asyncio.fixture
async def us() -> AsyncIterator[Relying]:
    us = Relying()
    yield us
    await us.close()


def provider(liar: Liar, **changes: Any) -> Provider:
    fields = {"name": "home", "display_name": "Home", "issuer": liar.issuer, "client_id": "roci", "role_claim": None}
    return Provider(**fields | changes)


async def account(us: Relying, liar: Liar, nonce: str | None = NONCE, **changes: Any) -> relying.Account:
    tokens = await us.redeem(provider(liar), Sensitive("s"), "code", "verifier", "http://localhost/cb")
    return await us.account(provider(liar, **changes), tokens, nonce)


async def test_an_honest_one_is_believed(us: Relying, liar: Liar):
    found = await account(us, liar)
    assert (found.subject, found.email, found.email_verified, found.display_name) == (
        "ann", "ann@example.org", True, "Ann"
    )  # fmt: skip
    path, form, authorization = liar.asked[1]
    assert path == "/token" and authorization.startswith("Basic ") and "client_secret" not in form
    assert form == {
        "grant_type": "authorization_code", "code": "code", "redirect_uri": "http://localhost/cb",
        "code_verifier": "verifier",
    }  # fmt: skip


async def test_a_name_is_made_one_printable_line(us: Relying, liar: Liar):
    liar.claims = {"name": "\x00 \u202e", "preferred_username": "Ann\x1b\u3000Example\n"}
    assert (await account(us, liar)).display_name == "Ann  Example"


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"iss": "http://localhost:1"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "somebody else"}, "another application"),
        ({"aud": ["roci", "other"]}, "another application"),
        ({"aud": ["roci", "other"], "azp": "other"}, "another application"),
        ({"azp": "other"}, "another application"),
        ({"aud": None}, "another application"),
        ({"exp": int(time.time()) - 120}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "never"}, "expired"),
        ({"iat": int(time.time()) + 3600}, "from the future"),
        ({"nbf": int(time.time()) + 3600}, "from the future"),
        ({"nonce": "another"}, "not the answer"),
        ({"nonce": None}, "not the answer"),
        ({"sub": None}, "who it is of"),
        ({"sub": 7}, "who it is of"),
        ({"sub": "x" * 300}, "who it is of"),
        ({"email": ["a@b"]}, "no e-mail address"),
        ({"email": "ann"}, "what is none"),
        ({"email": "ann@\x00example.org"}, "what is none"),
        ({"email": f"{'x' * 65}@example.org"}, "what is none"),
    ],
)
async def test_a_statement_that_is_not_for_us_just_now_is_refused(
    us: Relying, liar: Liar, claims: dict[str, Any], says: str
):
    liar.claims = claims
    with pytest.raises(Unauthenticated, match=says):
        await account(us, liar)


async def test_clocks_may_differ_by_a_minute(us: Relying, liar: Liar):
    moment = int(time.time())
    liar.claims = {"exp": moment - 30, "iat": moment + 30}
    assert (await account(us, liar)).subject == "ann"


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS512", FIRST),
        ("PS256", FIRST),
        ("ES256", jwk.ECKey.generate_key("P-256", {"kid": "ec"})),
        ("ES384", jwk.ECKey.generate_key("P-384", {"kid": "ec"})),
        ("EdDSA", jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})),
    ],
)
async def test_the_other_kinds_of_keys_work_too(us: Relying, liar: Liar, algorithm: str, key: jwk.Key):
    liar.keys, liar.signs_with, liar.header = [SECOND, key], key, {"alg": algorithm}
    assert (await account(us, liar)).subject == "ann"


async def test_several_audiences_are_fine_if_we_are_the_party(us: Relying, liar: Liar):
    liar.claims = {"aud": ["other", "roci"], "azp": "roci"}
    assert (await account(us, liar)).subject == "ann"


async def test_an_unsigned_statement_is_refused(us: Relying, liar: Liar):
    liar.header = {"alg": "none"}
    with pytest.raises(Unauthenticated, match="not signed by Home"):
        await account(us, liar)


async def test_the_public_key_is_no_shared_secret(us: Relying, liar: Liar):
    liar.header = {"alg": "HS256"}
    with pytest.raises(Unauthenticated, match="not signed by Home"):
        await account(us, liar)


async def test_another_ones_key_is_refused_under_the_right_name_too(us: Relying, liar: Liar):
    for header in ({"kid": "one"}, {"kid": "two"}, {"kid": None}):
        liar.header, liar.signs_with = header, SECOND
        with pytest.raises(Unauthenticated, match="not signed by Home"):
            await account(us, liar)


@pytest.mark.parametrize("text", ["", "a.b.c", "..", "ä.b.c", "x" * 100_000, None, 7])
async def test_what_is_no_token_is_refused(us: Relying, liar: Liar, text: Any):
    with pytest.raises(Unauthenticated):
        await us.account(provider(liar), {"id_token": text}, NONCE)


async def test_rotated_keys_are_looked_up_once_and_a_stream_of_forgeries_does_not_ask_again(
    us: Relying, liar: Liar, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relying, "KEYS_AGAIN", 0.0)
    await account(us, liar)
    liar.keys, liar.signs_with = [SECOND], SECOND
    assert (await account(us, liar)).subject == "ann"
    assert liar.times("/jwks") == 2
    monkeypatch.setattr(relying, "KEYS_AGAIN", 30.0)
    liar.signs_with = FIRST
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await account(us, liar)
    assert liar.times("/jwks") == 2


async def test_the_document_and_the_keys_are_read_once(us: Relying, liar: Liar):
    for _ in range(3):
        await account(us, liar)
    assert liar.times("/.well-known/openid-configuration") == liar.times("/jwks") == 1


async def test_one_that_calls_itself_something_else_is_not_used(us: Relying, liar: Liar):
    for other in (f"{liar.issuer}/", "https://login.example.org", None):
        us.forget()
        liar.document = {"issuer": other}
        with pytest.raises(Unavailable, match="calls itself"):
            await account(us, liar)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [None, 7, "http://example.org/x", "file:///etc/passwd", "https://u:p@example.org/"])
async def test_an_endpoint_that_is_not_https_is_not_used(us: Relying, liar: Liar, name: str, value: Any):
    liar.document = {name: value}
    with pytest.raises(Unavailable, match=name):
        await account(us, liar)


async def test_one_that_is_down_is_named_with_what_to_do(us: Relying):
    with lying() as liar:
        pass
    with pytest.raises(Unavailable, match=rf"{liar.issuer} does not answer at localhost:\d+: see that it runs"):
        await us.document(liar.issuer)


async def test_one_that_is_slow_is_not_waited_for(us: Relying, liar: Liar, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relying, "PATIENCE", 0.0)
    with pytest.raises(Unavailable, match="does not answer"):
        await us.document(liar.issuer)


class Hanging(httpx2.AsyncBaseTransport):
    """A provider that takes every question and answers 503 once it is let go on."""

    def __init__(self) -> None:
        self.asked, self.go_on = 0, asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        await self.go_on.wait()
        return httpx2.Response(503, content=b"down")


async def test_one_that_fails_is_asked_once_however_many_wait_and_then_left_alone(monkeypatch: pytest.MonkeyPatch):
    hanging = Hanging()
    us = Relying(hanging)
    waiting = [asyncio.ensure_future(us.document("https://id.example.org")) for _ in range(20)]
    while not hanging.asked:
        await asyncio.sleep(0)
    hanging.go_on.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) and "answered 503" in answer.message for answer in answers)
    with pytest.raises(Unavailable, match="answered 503"):
        await us.document("https://id.example.org")
    assert hanging.asked == 1
    with pytest.raises(Unavailable):
        await us.document("https://other.example.org")
    assert hanging.asked == 2
    monkeypatch.setattr(relying, "PAUSE", 0.0)
    with pytest.raises(Unavailable):
        await us.document("https://id.example.org")
    assert hanging.asked == 3
    await us.close()


async def test_no_more_than_some_wait_and_none_of_them_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relying, "MOST_WAITING", 3)
    hanging = Hanging()
    us = Relying(hanging)
    first = asyncio.ensure_future(us.document("https://id.example.org"))
    while not hanging.asked:
        await asyncio.sleep(0)
    monkeypatch.setattr(relying, "PATIENCE", 0.01)
    waiting = [us.document("https://id.example.org") for _ in range(4)]
    *slow, refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(refused, TooMany)
    assert all(isinstance(answer, Unavailable) and "slow to answer" in answer.message for answer in slow)
    hanging.go_on.set()
    with pytest.raises(Unavailable, match="answered 503"):
        await first
    await us.close()


async def test_keys_that_are_known_do_while_the_provider_is_down(
    us: Relying, liar: Liar, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relying, "KEYS_AGAIN", 0.0)
    await account(us, liar)
    known = liar.id_token()
    liar.status["/jwks"], liar.signs_with = 500, SECOND
    for _ in range(2):  # the second time it has just failed
        with pytest.raises(Unavailable, match="answered 500"):
            await us.verified(provider(liar), liar.id_token(), NONCE)
    assert liar.times("/jwks") == 2
    assert (await us.verified(provider(liar), known, NONCE))["sub"] == "ann"


@pytest.mark.parametrize(
    ("path", "status", "body", "error", "says"),
    [
        ("/token", 400, b'{"error": "invalid_grant"}', Unauthenticated, "refused it: invalid_grant"),
        ("/token", 302, b"", Unavailable, "redirects"),
        ("/token", 500, b"oops", Unavailable, "answered 500"),
        ("/token", 200, b"<html>", Unavailable, "no answer to go on with"),
        ("/token", 200, b"[1]", Unavailable, "no answer to go on with"),
        ("/token", 200, b"{}", Unauthenticated, "no id_token"),
        ("/jwks", 404, b"", Unavailable, "answered 404"),
        ("/jwks", 200, b'{"keys": 7}', Unauthenticated, "not signed by"),
        ("/jwks", 200, b'{"keys": [7, {"kty": "RSA", "n": "!"}, {"kty": "XX"}]}', Unauthenticated, "not signed by"),
        ("/.well-known/openid-configuration", 301, b"", Unavailable, "redirects"),
        ("/.well-known/openid-configuration", 200, b" " * 300_000, Unavailable, "larger than 256 KiB"),
        ("/.well-known/openid-configuration", 200, b"[" * 200_000, Unavailable, "no answer to go on with"),
    ],
)
async def test_an_odd_answer_is_told_as_what_it_is(
    us: Relying, liar: Liar, path: str, status: int, body: bytes, error: type[Exception], says: str
):
    liar.status[path], liar.body[path] = status, body
    with pytest.raises(error, match=says):
        await account(us, liar)


async def test_an_address_that_is_not_in_the_statement_is_asked_for(us: Relying, liar: Liar):
    liar.claims, liar.userinfo = {"email": None}, {"sub": "ann", "email": "a@b.example", "email_verified": "true"}
    found = await account(us, liar)
    assert (found.email, found.email_verified) == ("a@b.example", True)
    liar.userinfo = {"sub": "bob", "email": "bob@b.example"}
    with pytest.raises(Unauthenticated, match="somebody else"):
        await account(us, liar)
    liar.userinfo = {"sub": "ann"}
    with pytest.raises(Unauthenticated, match="no e-mail address"):
        await account(us, liar)


@pytest.mark.parametrize(
    ("claims", "claim", "roles"),
    [
        ({"groups": ["a", 7, "b"]}, "groups", ("a", "b")),
        ({"role": "a"}, "role", ("a",)),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ("a",)),
        ({"https://x.example/roles": ["a"]}, "https://x.example/roles", ("a",)),
        ({"role": {"a": 1}}, "role", ()),
        ({}, "role", ()),
        ({"role": "a"}, None, ()),
    ],
)
async def test_roles_are_read_from_the_claim_that_was_named(
    us: Relying, liar: Liar, claims: dict[str, Any], claim: str | None, roles: tuple[str, ...]
):
    liar.claims = claims
    assert (await account(us, liar, role_claim=claim)).roles == roles


async def test_a_public_client_sends_its_id_and_one_whose_provider_wants_it_so_its_secret_in_the_form(
    us: Relying, liar: Liar
):
    await us.redeem(provider(liar), None, "code", "verifier", "http://localhost/cb")
    assert liar.asked[-1][1]["client_id"] == "roci" and liar.asked[-1][2] == ""
    liar.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    us.forget()
    await us.redeem(provider(liar), Sensitive("s"), "code", "verifier", "http://localhost/cb")
    assert liar.asked[-1][1]["client_secret"] == "s" and liar.asked[-1][2] == ""
