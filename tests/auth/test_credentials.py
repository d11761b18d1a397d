"""Tokens and logins at the door: what opens it, what no longer does, and how soon."""

from __future__ import annotations

import datetime

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Actor, Conflict, Roci, Settings, TooMany, Unauthenticated, now
from roci_plugins.auth.passwords import Passwords
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.credentials import Token
from roci_plugins.domain.principals import NewPrincipal, Principal


async def make(roci: Roci, name: str = "ci", **fields: object) -> Principal:
    return await roci.write(access.add_administrator, NewPrincipal(name, kind="service", **fields))  # type: ignore[arg-type]


async def token(roci: Roci, who: Principal, **options: object) -> tuple[Token, dict[str, str]]:
    row, secret = await roci.write(credentials.issue, who.id, "t", **options)
    return row, {"Authorization": f"Bearer {secret}"}


async def status(client: Client, headers: dict[str, str], path: str = "/api/v1/agents") -> int:
    return (await client.get(path, headers=headers)).status_code


async def test_a_token_opens_and_is_kept_as_a_digest_only(roci: Roci, anonymous: Client) -> None:
    _, headers = await token(roci, await make(roci))
    assert await status(anonymous, headers) == 200
    secret = headers["Authorization"].split()[1]
    data = b"".join(path.read_bytes() for path in roci.settings.data.glob("roci.db*"))
    assert secret.encode() not in data


@pytest.mark.parametrize("text", ["", "roci_", "roci_" + "x" * 43, "x", "roci_\x00"])
async def test_what_is_no_token_opens_nothing(roci: Roci, anonymous: Client, text: str) -> None:
    await make(roci)
    assert await status(anonymous, {"Authorization": f"Bearer {text}"}) == 401


async def test_a_revoked_token_stops_at_once(roci: Roci, anonymous: Client) -> None:
    row, headers = await token(roci, await make(roci))
    assert await status(anonymous, headers) == 200
    await roci.write(credentials.revoke, row.id)
    assert await status(anonymous, headers) == 401


async def test_a_disabled_service_is_kept_out_at_once_and_let_in_again(roci: Roci, anonymous: Client) -> None:
    who = await make(roci)
    _, headers = await token(roci, who)
    assert await status(anonymous, headers) == 200
    await roci.write(principals.disable, who.id)
    assert await status(anonymous, headers) == 401
    await roci.write(principals.enable, who.id)
    assert await status(anonymous, headers) == 200


async def test_a_token_expires(roci: Roci, anonymous: Client) -> None:
    hour = datetime.timedelta(hours=1)
    _, headers = await token(roci, await make(roci), expires_at=now() + hour)
    await roci.write(lambda: Token.update(expires_at=now() - hour).execute())
    assert await status(anonymous, headers) == 401


async def test_scopes_narrow(roci: Roci, anonymous: Client) -> None:
    _, headers = await token(roci, await make(roci), scopes=["policies.*"])
    assert await status(anonymous, headers, "/api/v1/policies") == 200
    assert await status(anonymous, headers) == 403


async def test_who_has_no_rights_may_nothing(roci: Roci, anonymous: Client) -> None:
    who = await roci.write(principals.add, NewPrincipal("guest", kind="service"))
    _, headers = await token(roci, who, scopes=["*"])
    assert await status(anonymous, headers) == 403


async def test_a_bad_token_is_not_made_up_for_by_a_cookie(client: Client) -> None:
    assert await status(client, {}) == 200
    assert await status(client, {"Authorization": "Bearer roci_wrong"}) == 401


async def test_a_new_password_ends_every_stay(roci: Roci, client: Client) -> None:
    assert await status(client, {}) == 200
    admin = await roci.read(principals.by_name, "admin")
    await roci.write(principals.set_password, admin.id, await roci.part(Passwords).make("another horse"))
    assert await status(client, {}) == 401


async def test_the_last_administrator_stays(roci: Roci) -> None:
    admin = await roci.write(access.add_administrator, NewPrincipal("admin"))
    for act in (principals.remove, principals.disable):
        with pytest.raises(Conflict, match="last"):
            await roci.write(act, admin.id)
    binding = (await roci.read(roles.bindings, "admin"))[0]
    with pytest.raises(Conflict, match="last"):
        await roci.write(access.unbind, binding.id)


async def test_the_settings_password_makes_the_first_administrator_only(settings: Settings) -> None:
    settings.admin_password = type(settings.admin_password or "")("correct horse")  # type: ignore[assignment]
    for _ in range(2):
        roci = Roci(settings)
        async with roci.running():
            person = await roci.part(Passwords).check("admin", "correct horse", "10.0.0.1")
            assert person.administrator and person.email == "admin@localhost"
            assert len(await roci.read(principals.all_)) == 1


async def test_ten_thousand_wrong_passwords_wait_and_delay_nobody_else(roci: Roci) -> None:
    passwords = roci.part(Passwords)
    hashed = await passwords.make("correct horse")
    await roci.write(access.add_administrator, NewPrincipal("ann", password_hash=hashed))
    outcomes: dict[type, int] = {}
    for number in range(10_000):
        try:
            await passwords.check("bob", f"guess {number}", "198.51.100.7")
        except (Unauthenticated, TooMany) as error:
            kind = TooMany if isinstance(error, TooMany) else Unauthenticated
            outcomes[kind] = outcomes.get(kind, 0) + 1
    assert outcomes[Unauthenticated] < 20 and sum(outcomes.values()) == 10_000
    assert (await passwords.check("ann", "correct horse", "203.0.113.1")).name == "ann"


async def test_a_scope_on_an_actor_is_final(roci: Roci) -> None:
    everything = frozenset({"*"})
    assert roci.may(Actor("1", "a", rights=everything), "hosts.read")
    assert not roci.may(Actor("1", "a", rights=everything, scopes=frozenset({"policies.*"})), "hosts.read")
    assert not roci.may(Actor("1", "a", scopes=everything), "hosts.read")


async def test_with_auth_disabled_only_localhost_by_name_is_let_in(settings: Settings) -> None:
    from roci_plugins.core.app import create_app

    settings.auth = "disabled"
    roci = Roci(settings)
    async with roci.running():
        client = create_app(roci).test_client()
        assert await status(client, {"Host": "localhost:8080"}) == 200
        assert await status(client, {"Host": "evil.example"}) == 403
        foreign = {"Host": "localhost:8080", "Origin": "http://evil.example"}
        assert (await client.post("/api/v1/policies/reload", headers=foreign)).status_code == 403
