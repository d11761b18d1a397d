"""/api/v1/providers: the identity providers that people sign in with, all that is known of them but their secrets."""

from __future__ import annotations

from typing import Any

from quart import Blueprint
from typing_extensions import TypedDict

from ...domain import providers
from ...domain.model import wire_time
from ..http import needs, paging, returns, roci
from . import shapes

routes = Blueprint("providers", __name__, url_prefix="/providers")


class ProviderOut(TypedDict):
    id: str
    display_name: str
    issuer: str
    client_id: str
    scopes: list[str]
    auto_register: bool
    default_role: str
    role_claim: str | None
    enabled: bool
    created_at: str
    updated_at: str


class Providers(TypedDict):
    providers: list[ProviderOut]
    total: int


def _out(row: providers.Provider) -> dict[str, Any]:
    known = providers.shown(row)
    times = {"created_at": wire_time(row.created_at), "updated_at": wire_time(row.updated_at)}
    return {"id": known.pop("name"), **known, **times}


@routes.get("")
@needs("providers.list")
@returns(Providers, paged=True)
async def index() -> Any:
    """All of them, those that are switched off too. They are set at /api/v1/auth/oidc/providers."""
    limit, offset = paging()
    rows = await roci.read(providers.all_)
    return {"providers": [_out(row) for row in shapes.page(rows, limit, offset)], "total": len(rows)}
