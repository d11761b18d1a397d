"""How an error reads on this surface: {"detail": "text"}, one text for whatever is wrong with a key."""

from __future__ import annotations

from typing_extensions import TypedDict

from roci import Answer, Invalid, Malformed, NotFound, RociError, Unauthenticated

NOBODY = "Invalid, revoked or expired automation key"
WORDS = {"Agent not found": "Server not found"}


class ErrorBody(TypedDict):
    detail: str


def answer(error: RociError) -> Answer:
    if isinstance(error, Unauthenticated):
        return {"detail": NOBODY}, 401
    if isinstance(error, Malformed | Invalid):
        return {"detail": error.message}, 422
    text = WORDS.get(error.message, error.message) if isinstance(error, NotFound) else error.message
    return {"detail": text}, error.status
