"""Signed tokens of every dialect: what they say, where they open, and all that is refused with 401."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import Any

import pytest
from joserfc import jwk, jws
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive, Unauthenticated
from roci_plugins.auth.jwt import Tokens
from roci_plugins.domain import access, credentials, keyring, principals, signing
from roci_plugins.domain.credentials import Login
from roci_plugins.domain.principals import NewPrincipal, Principal

DAY = datetime.timedelta(days=1)
DIALECTS = ["raworc", "rootcx", "chatops"]
HASH = Sensitive("a hash")


async def stay(roci: Roci, dialect: str, name: str = "ann") -> tuple[Principal, Login]:
    def make() -> tuple[Principal, Login]:
        who = access.add_administrator(NewPrincipal(name, email=f"{name}@example.org", password_hash=HASH))
        return who, credentials.open_login(who, dialect, DAY)

    return await roci.write(make)


async def minted(roci: Roci, dialect: str, ttl: float = 60, **claims: Any) -> tuple[Principal, Login, str]:
    who, login = await stay(roci, dialect)
    return who, login, str(roci.part(Tokens).mint(dialect, who, login, ttl, **claims))


async def status(client: Client, token: str) -> int:
    answer = await client.get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def packed(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_token_of_any_dialect_opens_the_native_surface(roci: Roci, anonymous: Client, dialect: str):
    _, login, token = await minted(roci, dialect)
    assert await status(anonymous, token) == 200
    actor = await roci.part(Tokens).actor(dialect, token)
    assert (actor.name, actor.via, actor.credential) == ("ann", "jwt", login.id)


async def test_each_dialect_has_its_own_claims(roci: Roci):
    who, login, token = await minted(roci, "raworc", 86400)
    said = payload(token)
    assert said["exp"] - said.pop("iat") == 86400 and said.pop("exp") > time.time()
    assert said == {"sub": "ann", "sub_type": "ServiceAccount", "space": None, "iss": "raworc-rbac", "jti": login.id}
    tokens = roci.part(Tokens)
    said = payload(tokens.mint("rootcx", who, login, 900))
    assert {key: said[key] for key in ("sub", "email", "typ", "sid", "aud")} == {
        "sub": who.id, "email": "ann@example.org", "typ": "access", "sid": login.id, "aud": "rootcx"
    }  # fmt: skip
    refresh = payload(tokens.mint("rootcx", who, login, 900, typ="refresh"))
    assert refresh["session_id"] == login.id and refresh["typ"] == "refresh" and "email" not in refresh
    said = payload(tokens.mint("chatops", who, login, 1800, type="refresh"))
    assert (said["sub"], said["email"], said["type"], said["aud"]) == (who.id, "ann@example.org", "refresh", "chatops")


@pytest.mark.parametrize(("dialect", "kind"), [("rootcx", "typ"), ("chatops", "type")])
async def test_a_refresh_token_opens_nothing_and_an_access_token_refreshes_nothing(
    roci: Roci, anonymous: Client, dialect: str, kind: str
):
    who, login, token = await minted(roci, dialect)
    tokens = roci.part(Tokens)
    refresh = tokens.mint(dialect, who, login, 60, **{kind: "refresh"})
    assert await status(anonymous, refresh) == 401
    assert (await tokens.refreshable(dialect, refresh)).id == login.id
    with pytest.raises(Unauthenticated, match="no refresh token"):
        await tokens.refreshable(dialect, token)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_expired_token_is_refused(roci: Roci, anonymous: Client, dialect: str):
    *_, token = await minted(roci, dialect, ttl=-1)
    assert await status(anonymous, token) == 401


def changed_payload(token: str) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{packed(payload(token) | {'exp': 9_999_999_999})}.{signature}"


def without_signature(token: str) -> str:
    return f"{packed({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def algorithm_none_with_kid(token: str) -> str:
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    return f"{packed(header | {'alg': 'none'})}.{token.split('.')[1]}.{token.split('.')[2]}"


def signed_by_another(token: str) -> str:
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    return jws.serialize_compact(header, json.dumps(payload(token)), jwk.OctKey.import_key(b"x" * 32))


def truncated(token: str) -> str:
    return token[:-5]


def cut_in_two(token: str) -> str:
    return token[: len(token) // 2]


def a_header_of_nonsense(token: str) -> str:
    return f"{packed([1])}.{token.split('.')[1]}.{token.split('.')[2]}"


def a_payload_of_nonsense(token: str) -> str:
    return f"{token.split('.')[0]}.{packed([1])}.{token.split('.')[2]}"


def not_ascii(token: str) -> str:
    return "ä.ö.ü"


def dots(token: str) -> str:
    return ".."


def endless(token: str) -> str:
    return f"{token.split('.')[0]}.{packed({'aud': 'rootcx', 'x': 'x' * 7000})}.{'x' * 500}"


def very_deep(token: str) -> str:
    return f"{token.split('.')[0]}.{base64.urlsafe_b64encode(b'[' * 5000).decode().rstrip('=')}.x"


FORGERIES = [
    changed_payload, without_signature, algorithm_none_with_kid, signed_by_another, truncated, cut_in_two,
    a_header_of_nonsense, a_payload_of_nonsense, not_ascii, dots, endless, very_deep,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_forged_token_is_refused_and_never_fails(roci: Roci, anonymous: Client, dialect: str, forge: Any):
    *_, token = await minted(roci, dialect)
    assert await status(anonymous, forge(token)) == 401


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_another_algorithm_with_the_right_key_is_refused(roci: Roci, anonymous: Client, algorithm: str):
    *_, token = await minted(roci, "rootcx")
    keys = await roci.read(signing.load, keyring.of(roci))
    key = keys["rootcx"][0]
    header = {"alg": algorithm, "kid": key.id}
    other = jws.serialize_compact(
        header, json.dumps(payload(token)), jwk.OctKey.import_key(key.secret), algorithms=[algorithm]
    )
    assert await status(anonymous, other) == 401


async def test_a_token_of_one_dialect_is_none_of_another(roci: Roci, anonymous: Client):
    who, login, token = await minted(roci, "rootcx")
    tokens = roci.part(Tokens)
    with pytest.raises(Unauthenticated):
        tokens.read("chatops", token)
    assert await status(anonymous, tokens.mint("chatops", who, login, 60, aud="rootcx")) == 401  # not its key


async def test_what_ends_a_login_ends_its_tokens(roci: Roci, anonymous: Client):
    _, login, token = await minted(roci, "chatops")
    assert await status(anonymous, token) == 200
    await roci.write(credentials.end_login, login.id)
    assert await status(anonymous, token) == 401


async def test_after_signing_out_of_rootcx_the_access_token_lives_on_and_nothing_is_refreshed(
    roci: Roci, anonymous: Client
):
    who, login, token = await minted(roci, "rootcx")
    tokens = roci.part(Tokens)
    refresh = tokens.mint("rootcx", who, login, 60, typ="refresh")
    await roci.write(credentials.close_login, login.id)
    assert await status(anonymous, token) == 200
    with pytest.raises(Unauthenticated, match="ended"):
        await tokens.refreshable("rootcx", refresh)


async def test_a_new_password_ends_the_other_logins_and_spares_the_one_it_was_set_in(roci: Roci, anonymous: Client):
    who, login, token = await minted(roci, "raworc")
    other = await roci.write(credentials.open_login, who, "raworc", DAY)
    second = roci.part(Tokens).mint("raworc", who, other, 60)
    assert await status(anonymous, second) == 200
    await roci.write(credentials.set_password, who.id, HASH, but=login.id)
    assert await status(anonymous, token) == 200
    assert await status(anonymous, second) == 401
    await roci.write(credentials.set_password, who.id, HASH)
    assert await status(anonymous, token) == 401


async def test_a_disabled_principals_tokens_end_and_stay_ended(roci: Roci, anonymous: Client):
    who, _, token = await minted(roci, "raworc")
    await roci.write(access.add_administrator, NewPrincipal("bob", password_hash=HASH))
    await roci.write(principals.disable, who.id)
    assert await status(anonymous, token) == 401
    await roci.write(principals.enable, who.id)
    assert await status(anonymous, token) == 401


async def test_rotated_keys_sign_what_is_new_and_know_what_is_old_until_it_is_forgotten(roci: Roci, anonymous: Client):
    who, login, old = await minted(roci, "raworc")
    tokens = roci.part(Tokens)
    await roci.write(signing.rotate, keyring.of(roci))
    await tokens.reload()
    new = tokens.mint("raworc", who, login, 60)
    assert new.split(".")[0] != old.split(".")[0]
    assert (await status(anonymous, old), await status(anonymous, new)) == (200, 200)
    await roci.write(signing.rotate, keyring.of(roci), forget_old=True)
    await tokens.reload()
    assert (await status(anonymous, old), await status(anonymous, new)) == (401, 401)


async def test_keys_outlive_a_restart_and_lie_nowhere_in_plain(roci: Roci):
    keys = await roci.read(signing.load, keyring.of(roci))
    await roci.part(Tokens).prepare()
    assert await roci.read(signing.load, keyring.of(roci)) == keys
    data = b"".join(path.read_bytes() for path in roci.settings.data.rglob("*") if path.is_file())
    for key, *_ in keys.values():
        assert key.secret not in data and base64.b64encode(key.secret) not in data


async def test_the_cookie_does_not_make_up_for_a_bad_token(client: Client):
    answer = await client.get("/api/v1/agents", headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401
