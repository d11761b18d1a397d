"""What was wrong with a form, named beside the field that it is about."""

from __future__ import annotations

from collections.abc import Collection

from roci import RociError

ALL = ""  # what is about no field in particular


def beside(error: RociError | None, fields: Collection[str]) -> dict[str, str]:
    """Reasons by field: the core's messages begin with the name of the field that they are about."""
    if error is None:
        return {}
    field, _, reason = error.message.partition(": ")
    return {field: reason} if reason and field in fields else {ALL: error.message}
