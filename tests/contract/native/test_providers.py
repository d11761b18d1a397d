"""GET /api/v1/providers: what is known of identity providers, without their secrets."""

from __future__ import annotations

from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import keyring, providers
from roci_plugins.domain.providers import NewProvider


async def test_every_provider_is_shown_without_its_secret(client: Client, anonymous: Client, roci: Roci) -> None:
    ring = keyring.of(roci)
    for name, enabled in (("work", False), ("home", True)):
        new = NewProvider(name, name.title(), "https://id.example.org", "roci", enabled=enabled)
        await roci.write(providers.put, ring, new, "s3cr3t")
    answer = await client.get("/api/v1/providers?limit=1")
    body = await answer.get_json()
    assert (answer.status_code, body["total"], len(body["providers"])) == (200, 2, 1)
    (home,) = body["providers"]
    assert home | {"id": "home", "issuer": "https://id.example.org", "enabled": True, "default_role": "base"} == home
    assert "s3cr3t" not in await answer.get_data(as_text=True)
    assert (await anonymous.get("/api/v1/providers")).status_code == 401
