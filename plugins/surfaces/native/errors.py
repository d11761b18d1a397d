"""How an error reads on this surface: {"error": {"code", "message"}}, and 400 where others say 422."""

from __future__ import annotations

from typing_extensions import TypedDict

from roci import (
    Answer,
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    NotReady,
    RociError,
    TimedOut,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    WrongMethod,
)

from ...auth.factors import SecondFactorRequired

# The first class that fits decides.
READS: tuple[tuple[type[RociError], str, int], ...] = (
    (Malformed, "bad_request", 400),
    (NotReady, "bad_request", 400),
    (Invalid, "validation_error", 400),
    (SecondFactorRequired, "second_factor_required", 401),
    (Unauthenticated, "unauthorized", 401),
    (Forbidden, "forbidden", 403),
    (NotFound, "not_found", 404),
    (WrongMethod, "method_not_allowed", 405),
    (Conflict, "conflict", 409),
    (TooLarge, "payload_too_large", 413),
    (TooMany, "too_many_requests", 429),
    (Unavailable, "unavailable", 503),
    (TimedOut, "timed_out", 504),
    (RociError, "internal_error", 500),
)


class Error(TypedDict):
    code: str
    message: str


class ErrorBody(TypedDict):
    error: Error


def answer(error: RociError) -> Answer:
    code, status = next((code, status) for kind, code, status in READS if isinstance(error, kind))
    return {"error": {"code": code, "message": error.message}}, status
