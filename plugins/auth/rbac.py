"""The default authorizer: what the principal has a right to, narrowed by what its credential is for."""

from __future__ import annotations

import functools

from roci import Actor, Authorizer, Roci, hookimpl

from ..domain.access import covers


class Rbac:
    """Rights and scopes are patterns of permissions. Resources do not matter yet: a right holds everywhere."""

    name = "rbac"

    def decide(self, actor: Actor, action: str, resource: str) -> bool | None:
        return _decide(actor.rights, actor.scopes, action)


@functools.lru_cache(4096)
def _decide(rights: frozenset[str], scopes: frozenset[str] | None, action: str) -> bool | None:
    if scopes is not None and not covers(scopes, action):
        return False  # final: a credential never does more than it is for
    return True if covers(rights, action) else None


@hookimpl
def register_authorizers(roci: Roci) -> list[Authorizer]:
    return [Rbac()]
