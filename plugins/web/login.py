"""The page to sign in on, with all the ways there are: for whoever comes, and for whoever has to begin again."""

from __future__ import annotations

from quart import render_template

from ..auth.oidc import Flows
from ..auth.sign_in import takes_passwords
from ..domain import providers
from ..domain.providers import Provider
from ..surfaces.http import roci
from .forms import site


async def page(target: str, name: str = "", message: str | None = None) -> str:
    """`target`: where it leads; `message`: why it is shown again."""
    return await render_template(
        "login.html",
        next=target,
        message=message,
        name=name[:100],
        passkeys=not site().trouble,
        providers=await _offered(),
        passwords=await takes_passwords(roci),
    )


async def _offered() -> list[Provider]:
    """The providers that it shows; none where the plugin is left out."""
    return await roci.read(providers.enabled) if roci.find(Flows) is not None else []
