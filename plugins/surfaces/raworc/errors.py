"""How an error reads on this surface: {"error": {"message", "code"}}, and 400 where others say 422."""

from __future__ import annotations

from typing_extensions import TypedDict

from roci import (
    Answer,
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    RociError,
    TimedOut,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    WrongMethod,
)


class Error(TypedDict):
    message: str
    code: str


class ErrorBody(TypedDict):
    error: Error


# The first class that fits decides.
READS: tuple[tuple[type[RociError], str, int], ...] = (
    (Malformed, "BAD_REQUEST", 400),
    (Invalid, "BAD_REQUEST", 400),
    (Unauthenticated, "UNAUTHORIZED", 401),
    (Forbidden, "FORBIDDEN", 403),
    (NotFound, "NOT_FOUND", 404),
    (WrongMethod, "METHOD_NOT_ALLOWED", 405),
    (Conflict, "CONFLICT", 409),
    (TooLarge, "PAYLOAD_TOO_LARGE", 413),
    (TooMany, "RATE_LIMITED", 429),
    (Unavailable, "UNAVAILABLE", 503),
    (TimedOut, "TIMED_OUT", 504),
    (RociError, "INTERNAL_ERROR", 500),
)

# What the reference says where there is none.
MISSING = {"role": "Role not found", "binding": "Role binding not found", "secret": "Secret not found"}


def answer(error: RociError) -> Answer:
    code, status = next((code, status) for kind, code, status in READS if isinstance(error, kind))
    if error.details.get("credential") == "jwt":
        code = "JWT_ERROR"
    return {"error": {"message": _text(error), "code": code}}, status


def _text(error: RociError) -> str:
    if "action" in error.details:
        return "Insufficient permissions"
    return MISSING.get(error.details.get("noun", ""), error.message)
