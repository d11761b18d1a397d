"""Beginning a stay in a dialect that has signed tokens: recorded as the act of who signed in."""

from __future__ import annotations

import dataclasses
import datetime

from roci import Roci, current_actor

from ..domain import access, credentials
from ..domain.credentials import Login
from ..domain.principals import Principal


async def begin(roci: Roci, who: Principal, dialect: str, lasts: datetime.timedelta, address: str) -> Login:
    """The login that tokens of this dialect will name. The caller has checked who it is."""
    actor = dataclasses.replace(access.actor(who, None, "password"), address=address)
    token = current_actor.set(actor)
    try:
        return await roci.write(credentials.open_login, who, dialect, lasts)
    finally:
        current_actor.reset(token)
