"""How an error reads on this surface: {"error": "text"}, and 400 for every mistake in what was sent."""

from __future__ import annotations

from typing_extensions import TypedDict

from roci import Answer, Conflict, Invalid, Malformed, NotReady, RociError

MISTAKES = (Malformed, Invalid, Conflict, NotReady)


class ErrorBody(TypedDict):
    error: str


def answer(error: RociError) -> Answer:
    message = f"invalid UUID: '{error.details['uuid']}'" if "uuid" in error.details else error.message
    return {"error": message}, 400 if isinstance(error, MISTAKES) else error.status
