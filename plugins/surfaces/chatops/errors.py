"""How an error reads on this surface: {"detail": "text"}; with 422 a list of what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roci import (
    Answer,
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    RociError,
    Unauthenticated,
)

NOBODY = "Could not validate credentials"


class WrongPassword(Unauthenticated):
    """A sign-in failed: here the text says why."""


class WrongCurrentPassword(Forbidden):
    """A change of password without the present one: a refusal, which this dialect answers as a mistake."""


def answer(error: RociError) -> Answer:
    if isinstance(error, Malformed | Invalid):
        return {"detail": list(_problems(error))}, 422
    if isinstance(error, Conflict | WrongCurrentPassword):
        return {"detail": error.message}, 400
    return {"detail": _text(error)}, error.status


def _text(error: RociError) -> str:
    if type(error) is Unauthenticated:
        return NOBODY
    if isinstance(error, Forbidden) and "action" in error.details:
        return "Not enough permissions"
    return error.message


def _problems(error: RociError) -> Iterable[dict[str, Any]]:
    details = error.details
    if "errors" in details:
        for each in details["errors"]:
            message = each["msg"].removeprefix("Value error, ")
            yield {"loc": ["body", *each["loc"]], "msg": message, "type": each["type"]}
    elif "uuid" in details:
        where = ["path", details.get("parameter", "id")]
        yield {"loc": where, "msg": "Input should be a valid UUID", "type": "uuid_parsing"}
    elif isinstance(error, Malformed):
        yield {"loc": ["body", 0], "msg": error.message, "type": "json_invalid"}
    else:
        field, _, message = error.message.partition(": ")
        where = ["body", field] if message and field.isidentifier() else ["body"]
        yield {"loc": where, "msg": message or error.message, "type": "value_error"}
