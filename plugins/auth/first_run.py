"""The first administrator: from the settings, or by a one-time link that the first start prints."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from roci import Roci, hookimpl

from ..core.serve import Listening
from ..domain import access, credentials, principals
from ..domain.principals import NewPrincipal
from .passwords import Passwords


async def _prepare(roci: Roci) -> None:
    if await roci.read(principals.has_administrator):
        return
    settings = roci.settings
    if settings.admin_password is not None:
        hashed = await roci.part(Passwords).make(settings.admin_password)
        first = NewPrincipal("admin", email=settings.admin_email, password_hash=hashed)
        await roci.write(access.add_administrator, first)
    elif settings.auth == "enabled" and (listening := roci.find(Listening)):
        link = await roci.write(credentials.make_setup_link)
        address = settings.public_url or listening.here
        is_any = not settings.public_url and listening.here != listening.urls[0]
        elsewhere = " (on another machine: this one's name in place of localhost)" if is_any else ""
        listening.notices.append(f"First run: open {address.rstrip('/')}/setup/{link}{elsewhere}")


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    await _prepare(roci)
    yield
