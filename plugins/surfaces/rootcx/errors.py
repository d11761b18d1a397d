"""How an error reads on this surface: {"error": "text"}, and 400 for every mistake in what was sent."""

from __future__ import annotations

from typing_extensions import TypedDict

from roci import Answer, Conflict, Invalid, Malformed, NotReady, RociError

MISTAKES = (Malformed, Invalid, Conflict, NotReady)


class ErrorBody(TypedDict):
    error: str


# What fields are called here, where the domain's word is another.
FIELDS = {
    "issuer": "issuerUrl",
    "client_id": "clientId",
    "client_secret": "clientSecret",
    "default_role": "defaultRole",
    "display_name": "displayName",
}


def answer(error: RociError) -> Answer:
    return {"error": _text(error)}, 400 if isinstance(error, MISTAKES) else error.status


def _text(error: RociError) -> str:
    if "uuid" in error.details:
        return f"invalid UUID: '{error.details['uuid']}'"
    field, colon, reason = error.message.partition(": ")
    return f"{FIELDS[field]}{colon}{reason}" if isinstance(error, Invalid) and field in FIELDS else error.message
