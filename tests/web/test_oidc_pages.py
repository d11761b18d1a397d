"""The sign-in page and identity providers: a real provider, real HTTP, a browser's cookies."""

from __future__ import annotations

from typing import Any

from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci, Settings
from roci_plugins.domain import principals, providers

from ..auth.conftest import Idp, idp, idp_server, known, provider  # noqa: F401  fixtures
from .people import code, give_codes, leads_to, text


async def arrive(browser: Client, idp: Idp, path: str = "/login/oidc/home?next=/account") -> Any:  # noqa: F811
    """From the link to what the page answers that the browser ends up at."""
    begun = await browser.get(path)
    assert begun.status_code == 303
    back = await browser.get(idp.sign_in(begun.headers["Location"]))
    assert leads_to(back) == (307, "/login/arrived")
    return await browser.get("/login/arrived")


async def test_the_sign_in_page_offers_the_providers_that_are_enabled(
    client: Client,
    anonymous: Client,
    provider: dict[str, Any],  # noqa: F811
) -> None:
    assert "Sign in with Home" not in await text(await anonymous.get("/login"))
    await known(client, provider)
    page = await text(await anonymous.get("/login?next=/account"))
    assert "Sign in with Home" in page and 'href="/login/oidc/home?next=/account"' in page


async def test_the_second_factor_is_asked_for_here_too(
    roci: Roci,
    client: Client,
    anonymous: Client,
    app: Quart,
    provider: dict[str, Any],  # noqa: F811
    idp: Idp,  # noqa: F811
) -> None:
    await known(client, provider)
    await arrive(app.test_client(), idp)
    person = await roci.read(principals.by_email, "ann@example.org")
    assert person
    await give_codes(roci, person)
    assert leads_to(await arrive(anonymous, idp)) == (303, "/login/second")
    assert (await anonymous.get("/account")).status_code == 401
    assert leads_to(await anonymous.post("/login/second", form={"code": code()})) == (303, "/account")
    assert "by oidc:home" in await text(await anonymous.get("/account"))


async def test_a_provider_that_does_not_exist_or_is_down_is_said_on_a_page(
    roci: Roci,
    client: Client,
    anonymous: Client,
    provider: dict[str, Any],  # noqa: F811
) -> None:
    assert (await anonymous.get("/login/oidc/nowhere")).status_code == 404
    await known(client, provider)
    await roci.write(_move, "http://localhost:1")
    answer = await anonymous.get("/login/oidc/home")
    assert answer.status_code == 503 and answer.mimetype == "text/html"


def _move(issuer: str) -> None:
    providers.Provider.update(issuer=issuer).execute()


async def test_without_the_plugin_the_page_offers_nothing(settings: Settings) -> None:
    from roci_plugins.core.app import create_app

    settings.disable = ["auth.oidc"]
    instance = Roci(settings)
    async with instance.running():
        client = create_app(instance).test_client()
        assert (await client.get("/login")).status_code == 200
        assert (await client.get("/login/oidc/home")).status_code == 401
        assert (await client.get("/login/arrived")).status_code == 401
