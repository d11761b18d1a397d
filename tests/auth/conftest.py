"""A real identity provider, over real HTTP, and a browser that signs in with it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from quart.typing import TestClientProtocol as Client


class Idp:
    """The provider, as somebody at a browser sees it."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://localhost:{port}"

    def person(self, sub: str, **claims: Any) -> None:
        claims = {"email": f"{sub}@example.org", "email_verified": True, "name": sub.title()} | claims
        httpx2.put(f"{self.issuer}/users/{sub}", json=claims).raise_for_status()

    def sign_in(self, url: str, sub: str = "ann") -> str:
        """What the browser is sent back to, as a path of ours."""
        answer = httpx2.post(url, data={"sub": sub})
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        return f"{back.path}?{back.query}"


@pytest.fixture(scope="session")
def idp_server() -> Iterator[Idp]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        import oidc_provider_mock
    with oidc_provider_mock.run_server_in_thread() as server:
        yield Idp(server.server_port)


@pytest.fixture
def idp(idp_server: Idp) -> Idp:
    idp_server.person("ann")
    return idp_server


def asked(url: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.fixture
def provider(idp: Idp) -> dict[str, Any]:
    """The body that makes ROCI know it."""
    return {
        "id": "home",
        "displayName": "Home",
        "issuerUrl": idp.issuer,
        "clientId": "roci",
        "clientSecret": "s3cr3t-of-the-client",
    }


async def known(client: Client, provider: dict[str, Any], **changes: Any) -> None:
    answer = await client.post("/api/v1/auth/oidc/providers", json=provider | changes)
    assert answer.status_code == 200, await answer.get_data()
