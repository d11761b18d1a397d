"""How an error reads on this surface: {"detail": "text"}; with 422 a list of what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NotRequired

from typing_extensions import TypedDict

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
WORDS = {"Agent not found": "Server not found"}  # what this dialect calls a host
FIELDS = {"data": "metadata", "address": "host"}  # and what is noted about one


class WrongPassword(Unauthenticated):
    """A sign-in failed: here the text says why."""


class WrongCurrentPassword(Forbidden):
    """A change of password without the present one: a refusal, which this dialect answers as a mistake."""


class Problem(TypedDict):
    loc: list[str | int]
    msg: str
    type: str


class ErrorBody(TypedDict):
    detail: str
    command_id: NotRequired[str]


class Problems(TypedDict):
    """Of what was sent wrongly."""

    detail: list[Problem]


ERROR_BODIES = {0: ErrorBody, 422: Problems}


def answer(error: RociError) -> Answer:
    if isinstance(error, Malformed | Invalid):
        return {"detail": list(_problems(error))}, 422
    if isinstance(error, Conflict | WrongCurrentPassword):
        return {"detail": error.message}, 400
    return {"detail": _text(error), **_more(error)}, error.status


def _more(error: RociError) -> dict[str, Any]:
    """A command that was not waited for goes on: its id says which."""
    return {"command_id": error.details["command_id"]} if "command_id" in error.details else {}


def _text(error: RociError) -> str:
    if type(error) is Unauthenticated:
        return NOBODY
    if isinstance(error, Forbidden) and "action" in error.details:
        return "Not enough permissions"
    return WORDS.get(error.message, error.message)


def _problems(error: RociError) -> Iterable[dict[str, Any]]:
    details = error.details
    if "errors" in details:
        for each in details["errors"]:
            message = each["msg"].removeprefix("Value error, ")
            yield {"loc": [details.get("where", "body"), *each["loc"]], "msg": message, "type": each["type"]}
    elif "uuid" in details:
        where = ["path", details.get("parameter", "id")]
        yield {"loc": where, "msg": "Input should be a valid UUID", "type": "uuid_parsing"}
    elif isinstance(error, Malformed):
        yield {"loc": ["body", 0], "msg": error.message, "type": "json_invalid"}
    else:
        field, _, message = error.message.partition(": ")
        part = details.get("where", "body")
        where = [part, FIELDS.get(field, field)] if message and field.isidentifier() else [part]
        yield {"loc": where, "msg": message or error.message, "type": "value_error"}
