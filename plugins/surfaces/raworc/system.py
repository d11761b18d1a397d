"""/api/v0: health, version, sign-in and who one is."""

from __future__ import annotations

import datetime
from typing import Any

from quart import Response

from roci import TooMany, Unauthenticated, __version__, current_actor

from ...auth import logins
from ...auth.jwt import Tokens
from ...auth.sign_in import with_password
from ...domain.model import wire_time
from ...work.health import Health
from ..http import accepts, client_address, public, raises, returns, roci, signed_in
from . import results, shapes
from .tolerant import Tolerant

routes = Tolerant("system", __name__)
LASTS = datetime.timedelta(hours=24)
KINDS = ("person", "service")


@routes.get("/health")
@public
@returns(results.Healthy, also=(503,), other_media=("text/plain",), query={"verbose": "string"})
async def health() -> Any:
    """Whether the database answers; `verbose` tells of the rest."""
    problems = await roci.part(Health).problems()
    failed = "database" in problems
    if shapes.flag("verbose"):
        status = "error" if failed else "degraded" if problems else "ok"
        return {"status": status, "problems": sorted(problems)}, 503 if failed else 200
    return Response("ERROR" if failed else "OK", 503 if failed else 200, content_type="text/plain; charset=utf-8")


@routes.get("/version")
@public
@returns(results.Version)
async def version() -> Any:
    """Which API this is, and whose."""
    return {"version": "0.1.1", "api": "v0", "server": f"roci/{__version__}"}


@routes.post("/auth/login")
@public
@accepts(shapes.Login, optional=True)
@returns(results.Token)
@raises(Unauthenticated, TooMany)
async def log_in(body: shapes.Login) -> Any:
    """A token that is good for a day."""
    address = client_address()
    who = await with_password(roci, body.user, body.password, address, body.otp, KINDS)
    login = await logins.begin(roci, who, "raworc", LASTS, address)
    tokens = roci.part(Tokens)
    token = tokens.mint("raworc", who, login, LASTS.total_seconds())
    ends = datetime.datetime.fromtimestamp(tokens.read("raworc", token)["exp"], datetime.UTC)
    return {"token": token, "token_type": "Bearer", "expires_at": wire_time(ends)}


@routes.get("/auth/me")
@signed_in
@returns(results.Me)
async def me() -> Any:
    """Who asks."""
    return {"user": current_actor.get().name, "namespace": None, "type": "ServiceAccount"}
