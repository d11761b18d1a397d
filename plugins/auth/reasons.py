"""Why whoever asks may or may not do something with the credential they use."""

from __future__ import annotations

from roci import Actor, Roci

from ..domain import access, rules
from ..domain.access import Explanation
from ..domain.principals import Principal


async def reasons(roci: Roci, who: Actor, row: Principal | None, action: str, resource: str) -> Explanation:
    """`row` None: they are nowhere stored, as anybody is where sign-in is switched off."""
    if who.scopes is not None and not rules.covers(who.scopes, action):
        limits = ", ".join(sorted(who.scopes))
        return Explanation(False, f"the credential {who.name} uses is for {limits or 'nothing'} only")
    if row is not None:
        return await roci.read(access.explain, row, action, resource)
    allowed = roci.may(who, action, resource)
    return Explanation(allowed, f"{who.name} is nobody stored and may do {', '.join(sorted(who.rights)) or 'nothing'}")
