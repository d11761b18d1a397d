"""Signing in with a real identity provider, end to end, and what goes wrong on the way."""

from __future__ import annotations

from typing import Any

from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import principals, roles

from .conftest import Idp, asked, known

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
