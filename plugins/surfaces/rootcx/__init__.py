"""The RootCX dialect: people, roles, permissions, platform secrets. Served at /api/v1, where other dialects are too,
and alone at /rootcx/api/v1, for clients that are given a base address.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from quart import Blueprint, Request

from roci import Roci, Surface, hookimpl

from ..dialect import dialect
from . import audit, auth, oidc, platform_secrets, rights, roles, status, users
from .auth import Registrations, RootcxSettings
from .errors import ErrorBody, answer

MODULES = (auth, oidc, users, roles, rights, platform_secrets, audit, status)
PREFIX, ALONE = "/api/v1", "/rootcx/api/v1"


def claims(request: Request, body: bytes) -> bool:
    return dialect(request, body) == "rootcx"


def _blueprint() -> Blueprint:
    rootcx = Blueprint("rootcx", __name__)
    for module in MODULES:
        rootcx.register_blueprint(module.routes)
    return rootcx


@hookimpl
def register_settings() -> type[RootcxSettings]:
    return RootcxSettings


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [
        Surface("rootcx", PREFIX, _blueprint(), answer, claims, ErrorBody),
        Surface("rootcx_alone", ALONE, _blueprint(), answer),
        Surface("rootcx_probes", "", status.probes, answer),
    ]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Registrations())
    yield
