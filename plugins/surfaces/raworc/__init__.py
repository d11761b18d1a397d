"""A REST surface for clients of Raworc, /api/v0: accounts, roles, bindings, spaces and their secrets."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from roci import Roci, Surface, hookimpl

from . import accounts, bindings, factory, roles, secrets, spaces, system
from .errors import ErrorBody, answer
from .tolerant import Tolerant


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    raworc = Tolerant("raworc", __name__)
    for module in (system, accounts, roles, bindings, spaces, secrets):
        raworc.register_blueprint(module.routes)
    return [Surface("raworc", "/api/v0", raworc, answer, error_body=ErrorBody)]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    await roci.write(factory.begin)
    yield
