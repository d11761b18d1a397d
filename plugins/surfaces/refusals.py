"""Notes what was refused, whatever the dialect: who asked, from where, for which route and right."""

from __future__ import annotations

from collections.abc import Awaitable

from quart import g, has_websocket_context, request, websocket

from roci import Actor, Roci, RociError, hookimpl

from ..domain.refusals import Attempt, AttemptRefused, nobody
from ..work import refusals
from .http import client_address

LONGEST = 200  # characters of a reason
TRIED = 100  # and of a name


def _attempt(error: RociError) -> Attempt:
    """The refusal of the current request. The route stands for its path, where ids and secrets may be."""
    asked = websocket if has_websocket_context() else request
    actor: Actor = g.get("actor") or nobody(client_address())
    event = AttemptRefused(
        action=str(error.details.get("action", "")),
        resource=str(error.details.get("resource", "")),
        method="WEBSOCKET" if has_websocket_context() else request.method,
        path=asked.url_rule.rule if asked.url_rule else "",
        reason=error.message[:LONGEST],
        status=error.status,
        tried=_tried(error),
    )
    return Attempt(actor, error.code, event)


def _tried(error: BaseException | None) -> str:
    """The name that was given; a dialect may have put an error of its own in the place of the one that says it."""
    while error is not None and not hasattr(error, "tried"):
        error = error.__context__
    return str(getattr(error, "tried", ""))[:TRIED].encode("utf-8", "replace").decode()


@hookimpl
def on_refusal(roci: Roci, error: RociError) -> Awaitable[None]:
    return refusals.note(roci, _attempt(error))
