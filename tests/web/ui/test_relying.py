"""Identity providers on their pages: none takes the place of another by accident, nor gets its secret."""

from __future__ import annotations

import asyncio

from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import keyring, providers
from roci_plugins.domain.providers import NewProvider

from ...auth.liar import lying
from .test_people import sent


async def test_of_two_who_add_one_id_at_once_one_is_told_and_replaces_nothing(client: Client, roci: Roci) -> None:
    with lying() as first, lying() as second:
        answers = await asyncio.gather(
            *(
                sent(client, "/people/providers/new", "/people/providers/new", **form)
                for form in (_form(first.issuer, "of the first"), _form(second.issuer, "of the second"))
            )
        )
    kept = [issuer for issuer, (status, _) in zip((first.issuer, second.issuer), answers, strict=True) if status == 303]
    assert sorted(status for status, _ in answers) == [303, 409]
    assert [row.issuer for row in await roci.read(providers.all_)] == kept
    assert any('id="w-id"' in page for _, page in answers)


async def test_a_provider_that_moves_is_given_its_secret_anew(client: Client, roci: Roci) -> None:
    with lying() as first, lying() as second:
        new = NewProvider("home", "Home", first.issuer, "roci")
        await roci.write(providers.put, keyring.of(roci), new, "of the first")
        path = "/people/providers/home"
        status, page = await sent(client, path, path, **_form(second.issuer, ""))
        assert status == 422 and "send it again" in page
        assert (await roci.read(providers.get, "home")).issuer == first.issuer
        status, page = await sent(client, path, path, **_form(second.issuer, "of the second"))
        assert status == 303
    assert (await roci.read(providers.get, "home")).issuer == second.issuer


def _form(issuer: str, secret: str) -> dict[str, str]:
    given = {"id": "home", "display_name": "Home", "issuer": issuer, "client_id": "roci", "client_secret": secret}
    return {**given, "scopes": "openid", "default_role": "base", "enabled": "yes"}
