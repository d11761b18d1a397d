"""Notes what was refused, whatever the dialect: who asked, from where, for which route and right."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from quart import g, has_websocket_context, request, websocket

from roci import Actor, Protected, Roci, RociError, hookimpl

from ..domain.refusals import Attempt, AttemptRefused, nobody
from ..work import refusals
from .http import client_address

LONGEST = 200  # characters of a reason
RESOURCE = 300  # of what it was about, which may come from a body
TRIED = 100  # and of a name


def _attempt(error: RociError) -> Attempt:
    """The refusal of the current request. The route stands for its path, where ids and secrets may be."""
    asked = websocket if has_websocket_context() else request
    actor: Actor = g.get("actor") or nobody(client_address())
    action, resource = _asked_for(error)
    event = AttemptRefused(
        action=action[:RESOURCE],
        resource=resource[:RESOURCE].encode("utf-8", "replace").decode(),
        method="WEBSOCKET" if has_websocket_context() else request.method,
        path=asked.url_rule.rule if asked.url_rule else "",
        reason=error.message[:LONGEST],
        status=error.status,
        tried=_tried(error),
    )
    return Attempt(actor, error.code, event)


def _asked_for(error: RociError) -> tuple[str, str]:
    """The right that was missing, and on what. Who was refused with the right in hand: the one that let them in."""
    if "action" not in error.details and isinstance(error, Protected) and g.get("needed"):
        return cast("tuple[str, str]", g.needed[-1])
    return str(error.details.get("action", "")), str(error.details.get("resource", ""))


def _tried(error: BaseException | None) -> str:
    """The name that was given; a dialect may have put an error of its own in the place of the one that says it."""
    while error is not None and not hasattr(error, "tried"):
        error = error.__context__
    return str(getattr(error, "tried", ""))[:TRIED].encode("utf-8", "replace").decode()


@hookimpl
def on_refusal(roci: Roci, error: RociError) -> Awaitable[None]:
    return refusals.note(roci, _attempt(error))
