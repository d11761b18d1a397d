"""The ChatOps dialect: signing in, servers, their metrics, containers, commands and alerts, keys of hosts.

Served at /api/v1, where other dialects are too, and alone at /chatops/api/v1, for clients that are given a base.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from quart import Blueprint, Request

from roci import Roci, Surface, hookimpl

from ..dialect import dialect
from . import alerts, auth, commands, docker, first_agent, keys, logs, metrics, servers, sockets, status
from .auth import ChatopsSettings, Registrations
from .errors import ERROR_BODIES, answer

PREFIX, ALONE = "/api/v1", "/chatops/api/v1"
MODULES = (auth, servers, metrics, docker, logs, commands, alerts, keys, sockets, first_agent)


def claims(request: Request, body: bytes) -> bool:
    return dialect(request, body) == "chatops"


def _blueprint() -> Blueprint:
    chatops = Blueprint("chatops", __name__)
    for module in MODULES:
        chatops.register_blueprint(module.routes)
    return chatops


@hookimpl
def register_settings() -> type[ChatopsSettings]:
    return ChatopsSettings


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    return [
        Surface("chatops", PREFIX, _blueprint(), answer, claims, ERROR_BODIES),
        Surface("chatops_alone", ALONE, _blueprint(), answer),
        Surface("chatops_probes", "", status.probes, answer),
    ]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Registrations())
    yield
